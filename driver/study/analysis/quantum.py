"""Ring polymers: kinetic energies by species, radii of gyration, isotopes, and what is not told."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from ase.units import Hartree, kB
from numpy.typing import NDArray

from ...ipi.trajectories import labels_of_frame
from .observables import Curve, Quantity, Scalar, average, blocked
from .run_data import Frames, Run

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["curves", "missing", "scalars", "virial_kinetic"]

ESTIMATORS = {"kinetic_cv": "", "kinetic_td": ", primitive"}
"""i-PI's names of the centroid-virial and the primitive estimator, and what tells them apart."""

PRESSURES = {"pressure_cv": "pressure", "pressure_td": "pressure, primitive"}
MEV = 1e3  # in an eV
CENTROIDS = "temperature(nm=0)"
ARGUMENT = re.compile(r"(?P<base>\w+)(?:\((?:atom=)?(?P<label>[^=;()]+)\))?")
"""A property of i-PI's, of all atoms or of those of one label (or of one atom, by its index)."""

ISOTOPE = re.compile(r"isotope_(?P<kind>scfep|tdfep|zetasc|zetatd)\((?P<arguments>[^)]*)\)")
RADIUS_BINS = 60
LONGEST_RADIUS = 3.0  # times the mean radius of gyration


def scalars(run: Run) -> list[Scalar]:
    """All figures that there are of ring polymers alone."""
    if run.beads == 1:
        return []
    return [*_centroids(run), *_pressures(run), *kinetic(run), *gyration(run), *isotopes(run)]


def missing(run: Run) -> list[str]:
    """What the outputs of ring polymers do not tell, and what to write for it."""
    if run.beads == 1:
        return []
    species = sorted(_counts(run))
    notes = []
    for base, quantity, frames in (
        ("kinetic_cv", "kinetic energies", "positions and forces"),
        ("r_gyration", "radii of gyration", "positions"),
    ):
        found = kinetic(run) if base == "kinetic_cv" else gyration(run)
        if not {s.species for s in found} >= {*species}:
            asked = ", ".join(f"{base}({label})" for label in species)
            notes.append(
                f"{quantity} of species are not told: write {asked} among the properties, or "
                f"{frames} of all beads"
            )
    positions = run.frames("positions")
    if positions is not None and len(positions.beads) < run.beads:
        notes.append(
            f"distributions are of {len(positions.beads)} of {run.beads} beads: write positions "
            "without 'bead' for all"
        )
    return notes


def kinetic(run: Run) -> list[Scalar]:
    """Kinetic energy for each atom by i-PI's estimators, meV, of all atoms and of each species.

    The centroid-virial one of species is taken from positions and forces of all beads where the
    properties do not have it.
    """
    counts, values = _counts(run), []
    for base, suffix in ESTIMATORS.items():
        for label, series in _columns(run, base).items():
            count = sum(counts.values()) if not label else counts.get(label, 1)
            if count:
                values.append(_kinetic(label, suffix, MEV / count * series))
    if not {s.species for s in values if s.quantity is Quantity.KINETIC_ENERGY} & {*counts}:
        values += [_kinetic(label, "", series) for label, series in _from_forces(run).items()]
    values.sort(key=lambda s: (s.species or "", "primitive" in s.name))
    thermostat = run.system.system.quantum_thermostat
    if thermostat is None:
        return values
    remark = f"holds for beads in equilibrium alone: under '{thermostat}' they are not"
    return [replace(s, remark=remark) if "primitive" in s.name else s for s in values]


def virial_kinetic(
    positions: NDArray[np.float64], forces: NDArray[np.float64], temperature_K: float
) -> NDArray[np.float64]:
    """Centroid-virial kinetic energy of each atom, eV.

    ``T = 3/2 k T − 1/2P Σ_j (q_j − q̄) · f_j`` (Herman, Bruskin and Berne, J. Chem. Phys. 76, 5150
    (1982), about the centroid):

    =======  ==========================================
    q_j, q̄   ``positions``, their mean over beads
    f_j      ``forces`` on a bead, without the springs'
    P        beads
    =======  ==========================================

    Args:
        positions: Å, not wrapped, shape (beads, frames, N, 3).
        forces: eV/Å, likewise.
        temperature_K: of the ensemble.

    Returns:
        Shape (frames, N).
    """
    away = positions - positions.mean(axis=0)
    virial: NDArray[np.float64] = (away * forces).sum(axis=-1).mean(axis=0)
    return 1.5 * kB * temperature_K - 0.5 * virial


def gyration(run: Run) -> list[Scalar]:
    """Mean radius of gyration, Å: i-PI's, or from the positions of all beads.

    ``r² = Σ |q_j − q̄|² / P`` of each atom, q̄ the mean of its P beads; the mean of r over atoms.
    """
    written = _columns(run, "r_gyration")
    if not written.keys() & _counts(run).keys():
        written |= {label: radii.mean(axis=1) for label, radii in _radii(run).items()}
    return [
        average(_of("radius of gyration", label), "Å", series, Quantity.GYRATION, label or None)
        for label, series in sorted(written.items())
    ]


def isotopes(run: Run) -> list[Scalar]:
    """What i-PI's ``isotope_*`` say of another mass, in their best estimates.

    ==========  =====================================================================
    scfep,      kinetic energy with the mass scaled by α, meV: Σ s e^LTW / Σ e^LW
    tdfep       (Ceriotti and Markland, J. Chem. Phys. 138, 014112 (2013))
    zetasc,     excess free energy of that mass over the own one, meV: −kT ln⟨e^−βh⟩
    zetatd      (Cheng and Ceriotti, J. Chem. Phys. 141, 244112 (2014))
    ==========  =====================================================================
    """
    found = []
    for name, rows in sorted(run.columns.items()):
        if (match := ISOTOPE.fullmatch(name)) and rows.ndim == 2 and len(rows) > 1:
            label = f"{match['kind']}, {match['arguments'].replace(';', ', ')}"
            if match["kind"].endswith("fep"):
                found.append(_blocked(f"kinetic energy of isotope ({label})", rows, _reweighted))
            elif (kelvin := run.system.system.ensemble.temperature_K) is not None:
                scale = -MEV * kB * kelvin

                def free_energy(part: NDArray[np.float64], scale: float = scale) -> float:
                    return scale * float(np.log(part[:, 2].mean()))

                found.append(_blocked(f"free energy of isotope ({label})", rows, free_energy))
    return found


def curves(run: Run) -> list[Curve]:
    """Distribution of the radius of gyration of each species, where all beads have positions."""
    found = []
    for label, radii in _radii(run).items():
        edges = np.linspace(0.0, LONGEST_RADIUS * float(radii.mean()), RADIUS_BINS + 1)

        def measure(
            part: slice, radii: NDArray[np.float64] = radii, edges: NDArray[np.float64] = edges
        ) -> NDArray[np.float64]:
            """Of shape (bins,)."""
            counts = np.histogram(radii[part], edges)[0]
            return counts / (max(radii[part].size, 1) * (edges[1] - edges[0]))

        y, error = blocked(len(radii), measure)
        labels = ("radius of gyration", label, "radius (Å)", "probability density (1/Å)")
        found.append(Curve(*labels, 0.5 * (edges[1:] + edges[:-1]), y, error))
    return found


def _centroids(run: Run) -> list[Scalar]:
    if CENTROIDS not in run.columns:
        return []
    return [average("temperature of centroids", "K", run.columns[CENTROIDS])]


def _pressures(run: Run) -> list[Scalar]:
    named = ((PRESSURES[name], run.columns[name]) for name in PRESSURES if name in run.columns)
    return [average(name, "MPa", series) for name, series in named if np.ptp(series) > 0]


def _columns(run: Run, base: str) -> dict[str, NDArray[np.float64]]:
    """Label, empty for all atoms -> the series of a property."""
    matches = ((ARGUMENT.fullmatch(name), series) for name, series in run.columns.items())
    return {m["label"] or "": series for m, series in matches if m and m["base"] == base}


def _counts(run: Run) -> Counter[str]:
    """Atoms of each label; none if nothing tells them."""
    if run.system.atoms is not None:
        return Counter(run.system.atoms.labels)
    frames = run.frames("positions")
    return Counter() if frames is None else Counter(labels_of_frame(frames.beads[0][0]))


def _kinetic(label: str, suffix: str, series: NDArray[np.float64]) -> Scalar:
    quantity = None if suffix else Quantity.KINETIC_ENERGY
    name = _of("kinetic energy", label) + suffix
    return average(name, "meV/atom", series, quantity, label or None)


def _of(name: str, label: str) -> str:
    return f"{name}({label})" if label else name


def _from_forces(run: Run) -> dict[str, NDArray[np.float64]]:
    """Label -> mean virial kinetic energy, meV, shape (frames,), where all beads have forces."""
    positions, forces = run.frames("positions"), run.frames("forces")
    kelvin = run.system.system.ensemble.temperature_K
    if positions is None or forces is None or kelvin is None:
        return {}
    if not len(positions.beads) == len(forces.beads) == run.beads:
        return {}
    _, own, other = np.intersect1d(positions.times.round(9), forces.times.round(9),
                                   return_indices=True)  # fmt: skip
    if len(own) == 0:
        return {}
    f = np.array([[_forces_of(bead[i]) for i in other] for bead in forces.beads])
    energies = MEV * virial_kinetic(_coordinates(positions)[:, own], f, kelvin)
    labels = np.array(labels_of_frame(positions.beads[0][0]))
    return {s: energies[:, labels == s].mean(axis=1) for s in sorted(set(labels.tolist()))}


def _forces_of(frame: Atoms) -> NDArray[np.float64]:
    """Forces of a frame, eV/Å, shape (N, 3): ASE puts those of an extended xyz apart."""
    apart = {} if frame.calc is None else frame.calc.results
    return np.asarray((frame.arrays | apart)["forces"])


def _coordinates(frames: Frames) -> NDArray[np.float64]:
    """Å, shape (beads, frames, N, 3)."""
    return np.array([[frame.positions for frame in bead] for bead in frames.beads])


def _radii(run: Run) -> dict[str, NDArray[np.float64]]:
    """Label -> radii of gyration, Å, shape (frames, atoms), where all beads have positions."""
    frames = run.frames("positions")
    if run.beads == 1 or frames is None or len(frames.beads) < run.beads:
        return {}
    q = _coordinates(frames)
    radii = np.sqrt(((q - q.mean(axis=0)) ** 2).sum(axis=-1).mean(axis=0))
    labels = np.array(labels_of_frame(frames.beads[0][0]))
    return {s: radii[:, labels == s] for s in sorted(set(labels.tolist()))}


def _blocked(
    name: str, rows: NDArray[np.float64], estimate: Callable[[NDArray[np.float64]], float]
) -> Scalar:
    """The estimate of all rows, its error by those of parts of them, meV."""
    _, error = blocked(len(rows), lambda part: np.array([estimate(rows[part])]))
    known = bool(np.isfinite(error[0]))
    return Scalar(name, "meV", estimate(rows), float(error[0]) if known else None)


def _reweighted(rows: NDArray[np.float64]) -> float:
    """Kinetic energy, meV: rows of i-PI's seven numbers, LW, LTW and STW the last of them."""
    log_weight, log_kinetic, sign = rows[:, 4], rows[:, 5], rows[:, 6]
    largest = float(log_weight.max())
    kinetic = (sign * np.exp(log_kinetic - largest)).sum()
    return MEV * Hartree * float(kinetic / np.exp(log_weight - largest).sum())
