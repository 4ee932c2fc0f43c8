"""Energies and temperatures of a run: drift, kinetic temperatures, distribution, density, beads."""

from __future__ import annotations

import numpy as np
from ase.units import kB
from numpy.typing import NDArray
from scipy.stats import gamma

from ...statistics import mean, slope
from .molecules import find_molecules, split_kinetic
from .observables import Curve, Scalar, average, blocked
from .run_data import Frames, Run

__all__ = ["curves", "scalars"]

BINS = 40


def scalars(run: Run) -> list[Scalar]:
    """All figures that the columns and velocities of a run tell."""
    found = drift(run)
    columns = run.columns
    for name in ("temperature", "density", "volume"):
        if name in columns:
            unit = {"temperature": "K", "density": "g/cm³", "volume": "Å³"}[name]
            if name == "temperature" or np.ptp(columns[name]) > 0:
                found.append(average(name, unit, columns[name]))
    found += by_species(run)
    if (kinetic := columns.get("kinetic_md")) is not None and run.beads == 1:
        found.append(spread(kinetic, degrees_of_freedom(run)))
    found += quantum(run)
    return found


def degrees_of_freedom(run: Run) -> int:
    """3N less the centre of mass, which i-PI keeps at rest."""
    fixed = all(system.fixes_centre_of_mass for system in run.source.systems[:1])
    return 3 * (run.job.n_atoms or 1) - (3 if fixed else 0)


def drift(run: Run) -> list[Scalar]:
    """Slope of the conserved quantity: meV/atom/ps, and K/ps if 3 k an atom take it up.

    Nothing where it lacks the energy of a force.
    """
    columns, n = run.columns, run.job.n_atoms
    told = {"time", "conserved"} <= columns.keys() and run.job.without_energy is None
    if not n or not told:
        return []
    value, error = slope(columns["time"], columns["conserved"] * 1e3 / n)
    if value is None:
        return []
    kelvin = 1e-3 / (3.0 * kB)
    return [
        Scalar("drift", "meV/atom/ps", value, error),
        Scalar("drift as heat", "K/ps", value * kelvin, None if error is None else error * kelvin),
    ]


def by_species(run: Run) -> list[Scalar]:
    """Kinetic temperature of each species, and of translation, rotation and vibration."""
    found = [
        average(name, "K", values)
        for name, values in sorted(run.columns.items())
        if name.startswith("temperature(")
    ]
    frames = run.frames("velocities") if run.beads == 1 else None
    if frames is None or len(frames.times) < 2:
        return found
    atoms = frames.beads[0][0]
    velocities, masses = frames.array("velocities"), atoms.get_masses()
    told = {scalar.name for scalar in found}
    computed = _species_temperatures(velocities, masses, atoms.get_chemical_symbols())
    found += [scalar for scalar in computed if scalar.name not in told]
    positions = run.frames("positions")
    return found if positions is None else found + _molecular(frames, positions)


def _species_temperatures(
    velocities: NDArray[np.float64], masses: NDArray[np.float64], symbols: list[str]
) -> list[Scalar]:
    kinetic = 0.5 * masses[:, None] * velocities**2
    names = np.array(symbols)
    found = []
    for symbol in sorted(set(symbols)):
        chosen = names == symbol
        free = 3.0 * chosen.sum() - 3.0 * masses[chosen].sum() / masses.sum()
        if free > 0:
            series = 2.0 * kinetic[:, chosen].sum(axis=(1, 2)) / (free * kB)
            found.append(average(f"temperature({symbol})", "K", series))
    return found


def _molecular(moving: Frames, positions: Frames) -> list[Scalar]:
    """Temperatures of the motions of molecules, at the times that have positions too."""
    molecules = find_molecules(positions.beads[0][0])
    masses = positions.beads[0][0].get_masses()
    at = {round(t, 9): frame for t, frame in zip(positions.times, positions.beads[0], strict=True)}
    series: dict[str, list[float]] = {}
    for time, v in zip(moving.times, moving.array("velocities"), strict=True):
        if (frame := at.get(round(time, 9))) is not None:
            for name, (energy, free) in split_kinetic(frame, v, masses, molecules).items():
                if free > 0:
                    series.setdefault(name, []).append(2.0 * energy / (free * kB))
    return [average(f"temperature, {name}", "K", np.array(t)) for name, t in series.items()]


def spread(kinetic: NDArray[np.float64], free: int) -> Scalar:
    """Standard deviation of the kinetic energy over the canonical one at its own mean: 1 in NVT."""
    squares = (kinetic - kinetic.mean()) ** 2
    variance, error = mean(squares)
    canonical = 2.0 * kinetic.mean() ** 2 / free
    value = float(np.sqrt((variance or 0.0) / canonical))
    scale = None if not error or not value else error / canonical / (2.0 * value)
    return Scalar("spread of kinetic energy / canonical", "", value, scale)


def quantum(run: Run) -> list[Scalar]:
    """Kinetic energy by both estimators and radius of gyration of ring polymers."""
    if run.beads == 1:
        return []
    found = []
    for name, values in sorted(run.columns.items()):
        base = name.partition("(")[0]
        if base in ("kinetic_cv", "kinetic_td"):
            kind = "virial" if base == "kinetic_cv" else "primitive"
            rest = name[len(base) :]
            found.append(average(f"kinetic energy, {kind} {rest}".strip(), "eV", values))
        elif base == "r_gyration":
            found.append(average(f"radius of gyration {name[len(base) :]}".strip(), "Å", values))
    return found if any(s.unit == "Å" for s in found) else found + _gyration(run)


def _gyration(run: Run) -> list[Scalar]:
    """Radius of gyration per species from the beads' positions."""
    frames = run.frames("positions")
    if frames is None or len(frames.beads) < 2:
        return []
    q = np.array([[frame.positions for frame in bead] for bead in frames.beads])
    squares = ((q - q.mean(axis=0)) ** 2).sum(axis=-1).mean(axis=0)  # frames, atoms
    symbols = np.array(frames.beads[0][0].get_chemical_symbols())
    return [
        average(f"radius of gyration ({s})", "Å", np.sqrt(squares[:, symbols == s]).mean(axis=1))
        for s in sorted(set(symbols))
    ]


def curves(run: Run) -> list[Curve]:
    """The distribution of the kinetic energy (as a temperature), and the canonical one at a target.

    Both over the same range: five canonical standard deviations around the mean.
    """
    kinetic = run.columns.get("kinetic_md")
    if kinetic is None or len(kinetic) < 20 or run.beads > 1:
        return []
    free = degrees_of_freedom(run)
    values = 2.0 * kinetic / (free * kB)
    target = run.target_K
    centre = target if np.isfinite(target) else float(values.mean())
    width = 5.0 * centre * np.sqrt(2.0 / free)
    edges = np.linspace(max(0.0, centre - width), centre + width, BINS + 1)
    x = 0.5 * (edges[1:] + edges[:-1])
    size = edges[1] - edges[0]

    def density(part: slice) -> NDArray[np.float64]:
        counts = np.histogram(values[part], edges)[0]
        return counts / (max(len(values[part]), 1) * size)

    y, error = blocked(len(values), density)
    labels = ("temperature (K)", "probability density (1/K)")
    found = [Curve("kinetic energy", "found", *labels, x, y, error)]
    if np.isfinite(target):
        canonical = gamma.pdf(x, free / 2.0, scale=2.0 * target / free)
        found.append(Curve("kinetic energy", "canonical", *labels, x, canonical, 0.0 * x))
    return found
