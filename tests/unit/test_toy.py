"""The analytic test model does what other tests rely on."""

from dataclasses import replace

import finite
import numpy as np
import pytest
import toy

from halfkick.models.base import Role, without_mean_force
from halfkick.models.errors import ModelError
from halfkick.models.testing import check_force_model

EV_PER_A_AMU = 0.009648533  # Å/fs² for 1 eV/Å on 1 amu


def test_toy_forces_and_virial_are_derivatives_of_the_energy():
    check_force_model(toy.toy(), [finite.structure_of(toy.atoms())], tolerance=1e-7)


def test_toy_evaluates_a_molecule_without_a_cell():
    atoms = toy.atoms(2)
    atoms.pbc, atoms.cell = False, None
    check_force_model(toy.toy(), [finite.structure_of(atoms)], tolerance=1e-7)


def test_toy_direct_forces_have_a_curl_and_a_net_force():
    model, structure = toy.toy(), finite.structure_of(toy.atoms())

    def direct(positions):
        return finite.evaluate(model, replace(structure, positions=positions), Role.DIRECT).forces

    jacobian = np.zeros((6, 6))
    for column in range(6):
        shift = np.zeros_like(structure.positions)
        shift.flat[column] = 1e-5
        difference = direct(structure.positions + shift) - direct(structure.positions - shift)
        jacobian[:, column] = difference.flat[:6] / 2e-5
    assert abs(jacobian - jacobian.T).max() > 0.05
    result = finite.evaluate(model, structure, Role.DIRECT)
    assert abs(result.forces.mean(axis=0)).max() > 1e-4
    assert abs(without_mean_force(result.forces).mean(axis=0)).max() < 1e-15


def test_toy_options_do_what_they_say():
    structure = finite.structure_of(toy.atoms())
    conservative = toy.toy(direct=False)
    with pytest.raises(ModelError, match="offer direct forces"):
        conservative.evaluate([structure], finite.DIRECT)
    no_stress = toy.toy(direct_stress=False)
    assert Role.DIRECT not in no_stress.capabilities.stress
    assert not finite.evaluate(no_stress, structure, Role.DIRECT).virial.any()
    failing = toy.toy(nan_after=2)
    finite_forces = [
        np.isfinite(finite.evaluate(failing, structure, Role.DIRECT).forces).all() for _ in range(4)
    ]
    assert finite_forces == [True, True, False, False]


def drift(stride, outer, inner, steps=2000, timestep=0.5):
    """Drift of the energy (meV/atom/ps) of NVE on ``inner`` forces corrected to ``outer`` ones."""
    model, atoms = toy.toy(), toy.atoms()
    structure = finite.structure_of(atoms)
    masses = atoms.get_masses()[:, None]
    rng = np.random.default_rng(4)
    velocities = rng.normal(size=(len(atoms), 3)) * np.sqrt(0.0258 * EV_PER_A_AMU / masses)

    def forces(role):
        return without_mean_force(finite.evaluate(model, structure, role).forces)

    energies = []
    kick = 0.5 * timestep * EV_PER_A_AMU / masses
    fast = forces(inner)
    slow = forces(outer) - fast
    for step in range(steps):
        if step % stride == 0:
            velocities = velocities + stride * kick * slow
        velocities = velocities + kick * fast
        structure = replace(structure, positions=structure.positions + timestep * velocities)
        fast = forces(inner)
        velocities = velocities + kick * fast
        if (step + 1) % stride == 0:
            slow = forces(outer) - fast
            velocities = velocities + stride * kick * slow
            kinetic = 0.5 * (masses * velocities**2).sum() / EV_PER_A_AMU
            energies.append(kinetic + finite.energy(model, structure))
    times = 1e-3 * timestep * stride * np.arange(len(energies))
    return 1e3 * np.polyfit(times, energies, 1)[0] / len(atoms)


def test_toy_direct_forces_drift_and_corrected_ones_do_not():
    direct = abs(drift(1, Role.DIRECT, Role.DIRECT))
    assert direct > 20.0
    for stride in (1, 4, 8):
        assert abs(drift(stride, Role.CONSERVATIVE, Role.DIRECT)) < direct / 20
    assert abs(drift(1, Role.CONSERVATIVE, Role.CONSERVATIVE)) < direct / 1000
