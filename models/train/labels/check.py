"""Looks whether data can be right, before any time goes into training on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from numpy.typing import NDArray

from ...errors import DataError
from .frames import LabelKeys

__all__ = ["check_forces", "check_labels", "check_periodicity", "check_species", "find_outliers"]

MIN_FRAMES = 20
OUTLIER_SPREADS = 15  # robust standard deviations from the median


def check_labels(frames: Sequence[Atoms], keys: LabelKeys, path: str, *, energy: bool) -> None:
    """Raise DataError if labels are missing or not finite, naming the first frame.

    Args:
        frames: labelled, without isolated atoms.
        keys: names of the labels.
        path: named in errors.
        energy: whether energies are needed.
    """
    if len(frames) < MIN_FRAMES:
        raise DataError(
            f"expected at least {MIN_FRAMES} frames of more than one atom, got {len(frames)} in "
            f"'{path}'; make more"
        )
    for kind in ("forces", "energy", "stress"):
        if kind == "energy" and not energy:
            continue
        key = getattr(keys, kind)
        lacking = [f.info["frame"] for f in frames if kind not in f.calc.results]
        if key is None and kind == "stress":
            continue
        if lacking:
            where = f"frame {lacking[0]}" + (
                f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
            )
            remedy = (
                "leave them out with --stress-key none" if kind == "stress"
                else f"add them, name them with --{kind}-key, or remove those frames"
            )  # fmt: skip
            raise DataError(
                f"expected {kind} in every frame of '{path}', got none in {where}; {remedy}"
            )
        for atoms in frames:
            if not np.isfinite(atoms.calc.results[kind]).all():
                raise DataError(
                    f"expected finite {kind}, got NaN or infinity in frame {atoms.info['frame']} "
                    f"of '{path}'; remove it"
                )


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


def check_periodicity(frames: Sequence[Atoms], path: str, *, stress: bool) -> list[str]:
    """Return a warning if some frames are periodic and others not; with stresses it is an error."""
    groups: dict[tuple[bool, ...], list[int]] = {}
    for atoms in frames:
        groups.setdefault(tuple(bool(p) for p in atoms.pbc), []).append(atoms.info["frame"])
    for pbc, indices in groups.items():
        if stress and not all(pbc):
            raise DataError(
                f"expected frames with stress to be periodic in three directions, got pbc "
                f"{name_of(pbc)} in frame {indices[0]} of '{path}'; set pbc, or leave stresses out "
                f"with --stress-key none"
            )
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
