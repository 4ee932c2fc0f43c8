"""Equipartition under a finite step: how it shares kinetic energy out among species."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from ase import units
from numpy.typing import NDArray

from ...ipi.trajectories import labels_of_frame

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["species_temperatures"]


def species_temperatures(
    frames: Sequence[Atoms],
    forces: Sequence[NDArray[np.float64]],
    step_fs: float,
    temperature_K: float,
) -> dict[str, float]:
    """Kinetic temperatures of species that velocity Verlet gives, where only the total is held.

    It conserves the energy of a Hamiltonian a little off, whose kinetic part is larger by
    ``h² p V'' p / 12 m²`` (Skeel and Hardy, SIAM J. Sci. Comput. 23, 1172 (2001)). That is what is
    shared out equally: the kinetic energy of a coordinate is smaller by the part ``h² V''/6m``, and
    ``V''`` is ``F²/kT`` in the mean. So atoms in stiff bonds are colder than others, and a
    thermostat of the total kinetic energy (SVR, or none at all) keeps the mean. One that acts on
    each atom, as Langevin does, holds each at the temperature.

    ==================  ==============================================
    V'' = ⟨F²⟩ / k T    ``stiffness``, eV/Å², of each atom
    h² V'' / 6 m        ``lost``
    T_i / T             ``share``, of mean 1
    ==================  ==============================================

    Args:
        frames: of a run at about that temperature.
        forces: F, conservative, of each frame, eV/Å, shape (N, 3).
        step_fs: h, of the stiff forces: the inner one of MTS.
        temperature_K: T of all atoms together.

    Returns:
        K, by label.
    """
    symbols = np.array(labels_of_frame(frames[0]))
    stiffness = np.mean([(f**2).mean(axis=1) for f in forces], axis=0) / (units.kB * temperature_K)
    lost = (step_fs * units.fs) ** 2 * stiffness / frames[0].get_masses() / 6.0
    share = (1.0 - lost) / (1.0 - lost).mean()
    names = sorted(set(symbols.tolist()))
    return {s: float(temperature_K * share[symbols == s].mean()) for s in names}
