"""Looks whether data can be right, before any time goes into training on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from numpy.typing import NDArray

from ...errors import DataError
from .keys import KINDS, LabelKeys, candidates

__all__ = [
    "check_count",
    "check_forces",
    "check_isolated",
    "check_labels",
    "check_periodicity",
    "check_species",
    "find_outliers",
]

MIN_FRAMES = 20
OUTLIER_SPREADS = 15  # robust standard deviations from the median


def check_count(frames: Sequence[Atoms], path: str) -> None:
    """Raise DataError if there are too few frames beside isolated atoms."""
    if len(frames) < MIN_FRAMES:
        raise DataError(
            f"expected at least {MIN_FRAMES} frames beside isolated atoms, got {len(frames)} in "
            f"'{path}'; make more"
        )


def check_labels(
    frames: Sequence[Atoms], keys: LabelKeys, path: str, *, energy: bool, given: Sequence[Atoms]
) -> None:
    """Raise DataError if labels are missing or not finite, naming the first frame.

    Args:
        frames: labelled, without isolated atoms. Any may lack a stress.
        keys: names of the labels.
        path: named in errors.
        energy: whether energies are needed.
        given: all frames of the file, as they are in it.
    """
    for kind in KINDS:
        if kind == "energy" and not energy:
            continue
        lacking = [f.info["frame"] for f in frames if kind not in f.calc.results]
        if lacking and kind != "stress":
            more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
            others = [n for n in candidates([given[lacking[0]]], kind) if n != getattr(keys, kind)]
            hint = f" (which has {', '.join(others)})" if others else ""
            raise DataError(
                f"expected {kind} in every frame of '{path}', got none in frame {lacking[0]}"
                f"{more}{hint}; add them, name them with --{kind}-key, or remove those frames"
            )
        for atoms in frames:
            if not np.isfinite(atoms.calc.results.get(kind, 0.0)).all():
                raise DataError(
                    f"expected finite {kind}, got NaN or infinity in frame {atoms.info['frame']} "
                    f"of '{path}'; remove it"
                )
    if not any(f.calc.results["forces"].any() for f in frames):
        raise DataError(
            f"expected forces to learn in '{path}', got none but zeros; add frames with atoms that "
            f"are not in places of symmetry"
        )


def check_isolated(lone: Sequence[Atoms], path: str) -> list[str]:
    """Return a warning where the energy of an isolated atom is not one; DataError if not finite."""
    energies: dict[str, list[float]] = {}
    for atoms in lone:
        if "energy" in atoms.calc.results:
            energy = float(atoms.calc.results["energy"])
            if not np.isfinite(energy):
                raise DataError(
                    f"expected the energy of an isolated atom, got {energy} in frame "
                    f"{atoms.info['frame']} of '{path}'; remove it"
                )
            energies.setdefault(atoms.get_chemical_formula(), []).append(energy)
    return [
        f"isolated {symbol} has energies from {min(found):.6g} to {max(found):.6g} eV in '{path}'; "
        f"the lowest is taken"
        for symbol, found in energies.items()
        if max(found) - min(found) > 1e-3
    ]


def check_forces(frames: Sequence[Atoms], path: str, max_force: float) -> None:
    """Raise DataError if a force is above ``max_force`` (eV/Å), naming the frame."""
    for atoms in frames:
        norms = np.linalg.norm(atoms.calc.results["forces"], axis=1)
        if norms.max() > max_force:
            raise DataError(
                f"expected forces up to {max_force:g} eV/Å, got {norms.max():.4g} on atom "
                f"{norms.argmax()} of frame {atoms.info['frame']} of '{path}'; remove the frame or "
                f"raise --max-force"
            )


def check_periodicity(frames: Sequence[Atoms], path: str) -> list[str]:
    """Return a warning if some frames are periodic and others not."""
    groups: dict[tuple[bool, ...], list[int]] = {}
    for atoms in frames:
        groups.setdefault(tuple(bool(p) for p in atoms.pbc), []).append(atoms.info["frame"])
    for atoms in frames:
        flat = atoms.pbc & (np.linalg.norm(atoms.cell.array, axis=1) < 1e-6)
        if flat.any():
            raise DataError(
                f"expected a cell vector along every periodic direction, got none in frame "
                f"{atoms.info['frame']} of '{path}'; write the Lattice or set pbc"
            )
    if len(groups) == 1:
        return []
    listed = ", ".join(f"{name_of(p)} in {len(g)} (first: {g[0]})" for p, g in groups.items())
    return [f"mixed periodicity: pbc {listed} frames; check that no pbc is missing"]


def name_of(pbc: Sequence[bool]) -> str:
    """Write periodicity as extended xyz does."""
    return " ".join("T" if p else "F" for p in pbc)


def check_species(frames: Sequence[Atoms], known: set[int], path: str) -> None:
    """Raise DataError if a frame has a species that the training data lack."""
    for atoms in frames:
        unknown = set(atoms.numbers.tolist()) - known
        if unknown:
            raise DataError(
                f"expected the species of the training data "
                f"({', '.join(chemical_symbols[z] for z in sorted(known))}), got also "
                f"{', '.join(chemical_symbols[z] for z in sorted(unknown))} in frame "
                f"{atoms.info['frame']} of '{path}'; add training frames that have it"
            )


def find_outliers(frames: Sequence[Atoms], residuals: NDArray[np.float64] | None) -> list[str]:
    """Return warnings of frames that stand far apart from all others.

    Args:
        frames: labelled.
        residuals: energies less the baseline, eV per atom, shape (frames,); ``None`` without
            energies.
    """
    warnings = []
    largest = [np.linalg.norm(f.calc.results["forces"], axis=1).max() for f in frames]
    quantities = {"largest force (eV/Å)": np.array(largest)}
    if residuals is not None:
        quantities["energy (eV/atom, less the baseline)"] = residuals
    for what, values in quantities.items():
        median = np.median(values)
        spread = 1.4826 * np.median(np.abs(values - median))  # of a Gaussian, its deviation
        is_outlier = np.abs(values - median) > OUTLIER_SPREADS * max(spread, 1e-3)
        for k in np.flatnonzero(is_outlier)[:5]:
            warnings.append(
                f"frame {frames[k].info['frame']} stands apart: {what} {values[k]:.3g}, median "
                f"{median:.3g}; look at it"
            )
    return warnings
