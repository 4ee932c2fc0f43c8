"""The energy that atoms have by themselves, which the network need not learn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

__all__ = ["find_baseline", "residuals"]


def find_baseline(frames: Sequence[Atoms], lone: Sequence[Atoms]) -> tuple[dict[int, float], str]:
    """Return the energy of an atom of each species in eV, and in words where it comes from.

    Isolated atoms if there is one of each species; else the linear fit of energies to
    compositions (the smallest one where compositions leave it open).
    """
    species = sorted({z for f in frames for z in f.numbers.tolist()})
    isolated = {
        int(f.numbers[0]): float(f.calc.results["energy"])
        for f in lone
        if "energy" in f.calc.results
    }
    if set(species) <= isolated.keys():
        return {z: isolated[z] for z in species}, "isolated atoms in the data"
    counts = np.array([[np.count_nonzero(f.numbers == z) for z in species] for f in frames], float)
    energies = np.array([f.calc.results["energy"] for f in frames])
    fitted = np.linalg.lstsq(counts, energies, rcond=1e-8)[0]
    return dict(zip(species, fitted.tolist(), strict=True)), "fit of energies to compositions"


def residuals(frames: Sequence[Atoms], baseline: dict[int, float]) -> np.ndarray:
    """Energies less the baseline, eV per atom."""
    return np.array(
        [
            (f.calc.results["energy"] - sum(baseline[z] for z in f.numbers.tolist())) / len(f)
            for f in frames
        ]
    )
