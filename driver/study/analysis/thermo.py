"""Energies and temperatures of a run: drift, kinetic temperatures, distribution, density."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from ase.units import kB
from numpy.typing import NDArray

from ...ipi.trajectories import labels_of_frame
from ...statistics import mean, slope
from .molecules import find_molecules, split_kinetic, stays_molecules
from .observables import Curve, Quantity, Scalar, average, blocked
from .run_data import Frames, Run
from .slab import find_slab

__all__ = ["as_heat", "curves", "drift", "scalars", "temperature_columns"]

BINS = 40
LEAST_FREE = 1e-6  # degrees of freedom; less is rounding
LOOKS = 10  # at the frames of a run, whether molecules are still the same
SPECIES_TEMPERATURE = re.compile(r"temperature\((?:atom=)?([^=;()]+)\)")
"""i-PI's name of the column with the temperature of one species."""


def scalars(run: Run) -> list[Scalar]:
    """All scalars that the columns and velocities of a run tell."""
    values = []
    if (value := drift(run)) is not None:
        values += [value, *as_heat(run, value)]
    columns = run.columns
    if "temperature" in columns:
        total = average("temperature", "K", columns["temperature"], Quantity.TEMPERATURE)
        values.append(replace(total, remark=run.system.temperature_remark))
    for name, unit in (("density", "g/cm³"), ("volume", "Å³"), ("pressure_md", "MPa")):
        if name in columns and np.ptp(columns[name]) > 0:
            values.append(average(name, unit, columns[name]))
    values += by_species(run)
    kinetic, free = columns.get("kinetic_md"), run.degrees_of_freedom
    if kinetic is not None and run.beads == 1 and free > 0:
        values.append(spread(kinetic, free))
    return values


def drift(run: Run) -> Scalar | None:
    """Slope of the conserved quantity, meV/atom/ps; ``None`` where that lacks a force's energy."""
    columns, system = run.columns, run.system
    written = {"time", "conserved"} <= columns.keys() and system.without_energy is None
    if not system.n_atoms or not written:
        return None
    value, error = slope(columns["time"], columns["conserved"] * 1e3 / system.n_atoms)
    if value is None:
        return None
    unit, remark = "meV/atom/ps", system.conserved_remark
    return Scalar("drift", unit, value, error, Quantity.DRIFT, remark=remark)


def as_heat(run: Run, drift: Scalar) -> list[Scalar]:
    """A drift as that of the temperature, K/ps, if each degree of freedom takes up k.

    Nothing where i-PI's conserved quantity is none, or nothing can take it up.
    """
    free = run.degrees_of_freedom
    if drift.remark or free <= 0:
        return []
    kelvin = 1e-3 / (free / (run.system.n_atoms or 1) * kB)
    error = None if drift.error is None else drift.error * kelvin
    return [Scalar("drift as heat", "K/ps", drift.value * kelvin, error)]


def temperature_columns(run: Run) -> dict[str, NDArray[np.float64]]:
    """Species -> its temperature, K, shape (rows,), where i-PI was asked to write it."""
    matches = ((SPECIES_TEMPERATURE.fullmatch(name), name) for name in sorted(run.columns))
    return {match[1]: run.columns[name] for match, name in matches if match}


def by_species(run: Run) -> list[Scalar]:
    """Kinetic temperature of each species, and of translation, rotation and vibration.

    With a slab also of all its species together, and of all that are adsorbed.
    """
    written = temperature_columns(run)
    values = [species_temperature(species, series) for species, series in written.items()]
    frames = run.frames("velocities") if run.beads == 1 else None
    if frames is None or len(frames.times) < 2:
        return values
    atoms = frames.beads[0][0]
    velocities, masses = frames.array("velocities"), atoms.get_masses()
    free = run.system.system.degrees_of_freedom(masses)
    labels = labels_of_frame(atoms)
    computed = _species_temperatures(velocities, masses, labels, free)
    values += [scalar for scalar in computed if scalar.species not in written]
    positions = run.frames("positions")
    if positions is None:
        return values
    if (slab := find_slab(positions.beads[0][0])) is not None:
        apart = {s: "+".join(side) for side in (slab.surface, slab.others) for s in side}
        sides = _species_temperatures(velocities, masses, [apart[x] for x in labels], free)
        values += [scalar for scalar in sides if "+" in str(scalar.species)]
    return values + _molecular(run, frames, positions)


def species_temperature(species: str, series: NDArray[np.float64]) -> Scalar:
    """The mean of the temperature of a species, K, shape (rows,)."""
    return average(f"temperature({species})", "K", series, Quantity.TEMPERATURE, species)


def _species_temperatures(
    velocities: NDArray[np.float64],
    masses: NDArray[np.float64],
    labels: Sequence[str],
    free: NDArray[np.float64],
) -> list[Scalar]:
    """Kinetic temperature of each species, ``T = Σ m v² / (f k)``.

    Args:
        velocities: shape (frames, N, 3), ASE's unit.
        masses: shape (N,), amu.
        labels: of the N atoms.
        free: degrees of freedom of each atom, shape (N,), of which f is the sum.
    """
    kinetic = 0.5 * masses[:, None] * velocities**2
    names = np.array(labels)
    temperatures = []
    for label in sorted(set(labels)):
        chosen = names == label
        f = float(free[chosen].sum())
        if f > LEAST_FREE:
            series = 2.0 * kinetic[:, chosen].sum(axis=(1, 2)) / (f * kB)
            temperatures.append(species_temperature(label, series))
    return temperatures


def _molecular(run: Run, moving: Frames, positions: Frames) -> list[Scalar]:
    """Temperatures of the motions of molecules, at the times that have positions too.

    Nothing where bonds come or go. Molecules with a fixed coordinate are left out: their motions
    are of no one kind.
    """
    system = run.system.system
    if system.dynamics is not None and system.dynamics.holds_centroids:
        return []
    fixed = {coordinate // 3 for coordinate in system.fixed_coordinates}
    first, *later = positions.beads[0]
    found = find_molecules(first)
    if not all(stays_molecules(f, found) for f in later[:: max(1, len(later) // LOOKS)] if found):
        return []
    molecules = [m for m in found if fixed.isdisjoint(m.tolist())]
    masses, at_rest = positions.beads[0][0].get_masses(), system.fixes_centre_of_mass
    at = {round(t, 9): frame for t, frame in zip(positions.times, positions.beads[0], strict=True)}
    series: dict[str, list[float]] = {}
    for time, v in zip(moving.times, moving.array("velocities"), strict=True):
        if (frame := at.get(round(time, 9))) is not None:
            parts = split_kinetic(frame, v, masses, molecules, centre_at_rest=at_rest)
            for name, (energy, free) in parts.items():
                if free > 0:
                    series.setdefault(name, []).append(2.0 * energy / (free * kB))
    return [average(f"temperature, {name}", "K", np.array(t)) for name, t in series.items()]


def spread(kinetic: NDArray[np.float64], free: float) -> Scalar:
    """Standard deviation of the kinetic energy over the canonical one at its own mean: 1 in NVT.

    ======================  ==================================================
    K                       ``kinetic``
    f                       ``free``
    ⟨(K − ⟨K⟩)²⟩            ``variance``
    2 ⟨K⟩² / f              ``canonical``: that of a Gamma distribution, f/2
    ======================  ==================================================

    Args:
        kinetic: energies, shape (rows,), in any unit.
        free: degrees of freedom.
    """
    squares = (kinetic - kinetic.mean()) ** 2
    variance, error = mean(squares)
    canonical = 2.0 * kinetic.mean() ** 2 / free
    value = float(np.sqrt((variance or 0.0) / canonical))
    scale = None if not error or not value else error / canonical / (2.0 * value)
    return Scalar("spread of kinetic energy / canonical", "", value, scale)


def curves(run: Run) -> list[Curve]:
    """The distribution of the kinetic energy as a temperature, with the canonical one at a target.

    ``T = 2 K / (f k)``, over five canonical standard deviations around target or mean: of the
    Gamma distribution with shape f/2 and scale 2 T / f, ``T √(2 / f)``.
    """
    kinetic, free = run.columns.get("kinetic_md"), run.degrees_of_freedom
    if kinetic is None or len(kinetic) < 20 or run.beads > 1 or free <= 0:
        return []
    values = 2.0 * kinetic / (free * kB)
    target = run.target_K
    has_target = bool(np.isfinite(target))
    centre = target if has_target else float(values.mean())
    width = 5.0 * centre * np.sqrt(2.0 / free)
    edges = np.linspace(max(0.0, centre - width), centre + width, BINS + 1)
    x = 0.5 * (edges[1:] + edges[:-1])
    size = edges[1] - edges[0]

    def density(part: slice) -> NDArray[np.float64]:
        """Of shape (bins,)."""
        counts = np.histogram(values[part], edges)[0]
        return counts / (max(len(values[part]), 1) * size)

    y, error = blocked(len(values), density)
    canonical = gamma_density(x, free / 2.0, 2.0 * target / free) if has_target else None
    labels = ("temperature (K)", "probability density (1/K)")
    return [Curve("kinetic energy", "found", *labels, x, y, error, only=True, theory=canonical)]


def gamma_density(x: NDArray[np.float64], shape: float, scale: float) -> NDArray[np.float64]:
    """Density of the Gamma distribution, ``x^(k − 1) exp(−x / θ) / (Γ(k) θ^k)``.

    Args:
        x: above zero, of any shape.
        shape: k.
        scale: θ, in the unit of ``x``.
    """
    u = x / scale
    return np.exp((shape - 1.0) * np.log(u) - u - math.lgamma(shape)) / scale
