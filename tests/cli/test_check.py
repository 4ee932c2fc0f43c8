"""``halfkick check``: each figure against one known beforehand, each with a twin that differs."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace

import ase.io
import finite
import numpy as np
import pytest
import surface
import toy
from ase import units
from ase.data import atomic_masses
from commands import halfkick
from simulation import ENVIRONMENT, HALFKICK

from halfkick.models.base import Capabilities, ForceModel, ForceResult, Role, Structure
from halfkick.models.check import modes, report
from halfkick.models.check.advice import advise
from halfkick.models.check.cost import Cost, cost
from halfkick.models.check.curl import curl, exact_curl, loop_work
from halfkick.models.check.derivatives import force_error, jumps, virial_error
from halfkick.models.check.gap import gap
from halfkick.models.check.heating import evenly_spaced
from halfkick.models.check.probe import Probe
from halfkick.models.check.stability import period_fs
from halfkick.models.pair import Pair

BOTH = frozenset(Role)


class Springs(ForceModel):
    """Forces ``-K x`` about the origin with a matrix for each role, plus a push on every atom."""

    name = "springs"

    def __init__(self, conservative, direct, push=0.0):
        self.capabilities = Capabilities(BOTH)
        self.matrices = {Role.CONSERVATIVE: conservative, Role.DIRECT: direct}
        self.push = {Role.CONSERVATIVE: 0.0, Role.DIRECT: push}

    def evaluate(self, structures, roles):
        return [{role: self.one(s.positions.ravel(), role) for role in roles} for s in structures]

    def one(self, x, role):
        forces = -(self.matrices[role] @ x).reshape(-1, 3) + self.push[role]
        return ForceResult(0.5 * x @ self.matrices[role] @ x, forces, np.zeros((3, 3)))


def bond(k):
    """Stiffness of one bond along x between two atoms, shape (6, 6)."""
    along = np.array([1.0, 0, 0, -1.0, 0, 0])
    return k * np.outer(along, along)


def springs_probe(conservative, direct, *, push=0.0, numbers=(8, 1)):
    n = len(numbers)
    positions = np.random.default_rng(3).normal(size=(n, 3))
    structure = Structure(np.array(numbers), positions, np.zeros((3, 3)), np.zeros(3, bool))
    return Probe(Springs(conservative, direct, push), structure)


@pytest.fixture(scope="module")
def toy_probe():
    return Probe(toy.toy(), finite.structure_of(toy.atoms()))


@pytest.fixture(scope="module")
def toy_jacobian(toy_probe):
    return toy_probe.jacobian(range(27))


def test_jacobian_of_springs_is_their_matrix():
    rng = np.random.default_rng(1)
    conservative, direct = rng.normal(size=(2, 6, 6))
    jacobian = springs_probe(conservative, direct).jacobian([0, 1])
    np.testing.assert_allclose(jacobian[Role.CONSERVATIVE], -conservative, atol=1e-8)
    mean = np.kron(np.full((2, 2), 0.5), np.eye(3))  # direct forces are served without their mean
    np.testing.assert_allclose(jacobian[Role.DIRECT], -(direct - mean @ direct), atol=1e-8)


@pytest.mark.parametrize("factor", [1.0, 4.0])
def test_stiff_vibrations_are_those_of_the_masses_given(factor):
    """Of isotopes four times as heavy: half the wave number."""
    plain = springs_probe(bond(30.0), bond(30.0))
    masses = np.array([15.999, 1.008])
    (found, *_), _ = modes.stiffest(Probe(plain.model, plain.structure, factor * masses))
    reduced = factor * masses.prod() / masses.sum()
    assert found.period_fs * units.fs == pytest.approx(
        2 * np.pi * np.sqrt(reduced / 30.0), rel=1e-3
    )


def test_curl_of_known_matrices():
    skew = np.array([[0.0, 1.0], [-1.0, 0.0]])
    assert exact_curl(skew) == pytest.approx(1.0)
    assert exact_curl(np.eye(2) + skew) == pytest.approx(np.sqrt(0.5))
    assert exact_curl(np.array([[2.0, 1.0], [1.0, 3.0]])) == 0.0


def test_curl_by_probes_is_the_exact_one(toy_probe, toy_jacobian):
    exact = exact_curl(toy_jacobian[Role.DIRECT])
    found = [curl(toy_probe, 12, seed)[Role.DIRECT] for seed in range(8)]
    values, errors = np.array([(c.value, c.error) for c in found]).T
    assert abs(values.mean() - exact) < 4.0 * values.std(ddof=1) / np.sqrt(len(values))
    assert 0.4 < np.sqrt(np.mean(errors**2)) / values.std(ddof=1) < 2.5
    assert abs(values.mean() - exact) < 0.2 * exact
    assert exact > 0.01


def test_curl_of_a_gradient_is_zero(toy_probe):
    assert curl(toy_probe, 12)[Role.CONSERVATIVE].value < 1e-5


def test_curl_of_few_coordinates_is_exact():
    rng = np.random.default_rng(5)
    matrix = rng.normal(size=(6, 6))
    found = curl(springs_probe(matrix, matrix), 12)[Role.CONSERVATIVE]
    assert found.error is None
    assert found.value == pytest.approx(exact_curl(matrix), abs=1e-7)


def test_loop_work_is_area_times_curl():
    rng = np.random.default_rng(2)
    matrix = rng.normal(size=(6, 6))
    probe = springs_probe(matrix, matrix, push=0.3)
    found = loop_work(probe, amplitude=0.1, paths=1, seed=4)[Role.CONSERVATIVE]
    a, b = 0.1 * np.random.default_rng(4).normal(size=(2, 6))
    expected = 1e3 * np.pi * (a @ matrix @ b - b @ matrix @ a) / 2
    assert found.largest_meV == pytest.approx(abs(expected), rel=1e-9)
    symmetric = springs_probe(matrix + matrix.T, matrix)
    assert loop_work(symmetric, amplitude=0.1)[Role.CONSERVATIVE].largest_meV < 1e-9


class Off(toy.Toy):
    """The toy model with forces a hundredth too large, and with a step in them at 2 Å if asked."""

    def __init__(self, factor=1.0, step=0.0):
        super().__init__()
        self.factor, self.step = factor, step

    def _evaluate(self, structure, role):
        result = super()._evaluate(structure, role)
        i, j, d = toy.pairs(structure)
        inside = (np.linalg.norm(d, axis=1) < 2.0)[:, None] * d * self.step
        forces = self.factor * result.forces
        np.add.at(forces, i, inside)
        np.add.at(forces, j, -inside)
        return replace(result, forces=forces, virial=self.factor * result.virial)


def test_derivative_errors_are_seen_in_forces_and_virial(toy_probe):
    for found in (force_error(toy_probe), virial_error(toy_probe)):
        assert found.agrees
        assert found.deviation < 1e-4 * found.size
    off = Probe(Off(factor=1.01), toy_probe.structure)
    for found in (force_error(off), virial_error(off)):
        assert not found.agrees
        assert found.deviation > 3e-3 * found.size


class Far(Off):
    """Energies in single precision, 4000 eV from zero, as total energies are."""

    def _evaluate(self, structure, role):
        result = super()._evaluate(structure, role)
        return replace(result, energy=float(np.float32(result.energy - 4000.0)))


def test_derivative_errors_leave_out_rounding_of_large_energies(toy_probe):
    found = force_error(Probe(Far(), toy_probe.structure))
    assert found.agrees and found.rounding > 0.1
    assert not force_error(Probe(Far(factor=1.1), toy_probe.structure)).agrees


def test_jumps_see_a_step_in_the_force(toy_probe):
    assert all(found.smooth for found in jumps(toy_probe).values())
    found = jumps(Probe(Off(step=0.01), toy_probe.structure))
    assert not any(jump.smooth for jump in found.values())
    # 0.01 eV/Å² times 2 Å of a pair, along one direction or another
    assert 5.0 < found[Role.CONSERVATIVE].largest_meV_per_A < 40.0


def test_stiffest_mode_is_the_vibration_of_the_bond():
    k, softer = 44.0, 0.95
    probe = springs_probe(bond(k), bond(softer * k))
    (found, *_), atom = modes.stiffest(probe, count=1)
    m_o, m_h = atomic_masses[[8, 1]]
    stiffness = k * (1 / m_o + 1 / m_h)
    assert found.period_fs == pytest.approx(period_fs(stiffness), rel=1e-6)
    assert found.frequency_cm == pytest.approx(521.47 * stiffness**0.5, rel=1e-4)
    assert found.gap_stiffness == pytest.approx(1 - softer, rel=1e-6)
    assert atom == 1
    slow, fast = modes.stiff_block(probe, atom)
    np.testing.assert_allclose(slow, [[(1 - softer) * stiffness]], rtol=1e-6)
    np.testing.assert_allclose(fast, [[softer * stiffness]], rtol=1e-6)


def test_stiff_bond_of_an_adsorbate_is_told_from_the_metal_below():
    """N₂ in which the gap is small, on a soft metal of which it is half: only the bond counts."""
    conservative, direct = np.zeros((2, 12, 12))
    conservative[:6, :6], direct[:6, :6] = bond(140.0), bond(0.98 * 140.0)
    conservative[6:, 6:], direct[6:, 6:] = bond(3.0), bond(1.5)
    probe = springs_probe(conservative, direct, numbers=(7, 7, 26, 26))
    found, atom = modes.stiffest(probe, count=2)
    assert [v.movers for v in found] == ["N-N", "Fe-Fe"] and atom in (0, 1)
    assert [v.gap_stiffness for v in found] == pytest.approx([0.02, 0.5], rel=1e-4)
    assert modes.stiff(found) == found[:1]
    costs = {kind: Cost(ms, ms, ms, 1) for kind, ms in
             (("conservative", 2.0), ("direct", 1.0), ("both", 2.1))}  # fmt: skip
    advice, _ = advise(found, [modes.stiff_block(probe, atom)], costs)
    assert "(N-N) has a period of 14.3 fs" in advice.reason
    assert "stiffness of" not in advice.reason and advice.stride > 1
    direct[:6, :6] = bond(0.9 * 140.0)
    probe = springs_probe(conservative, direct, numbers=(7, 7, 26, 26))
    found, atom = modes.stiffest(probe, count=2)
    advice, _ = advise(found, [modes.stiff_block(probe, atom)], costs)
    assert "10 % of the stiffness of N-N" in advice.reason


@pytest.mark.parametrize("pbc", [(True, True, False), (True, True, True)])
def test_check_of_a_slab_advises_by_the_bond_upon_it(pbc):
    """In any periodicity; the virial only where it is one."""
    atoms = surface.nitrogen_on_copper(pbc=pbc)
    atoms.rattle(0.03, seed=1)
    frame = finite.structure_of(atoms)
    found = report.check(surface.surface(), [frame], probes=3, seconds=0.0, dynamics=60)
    assert (found.virial is not None) is all(pbc)
    assert found.force.agrees and found.gap.species["N"].rmse_meV_per_A > 0.0
    first, *others = found.vibrations
    assert first.movers == "N-N" and first.gap_stiffness == pytest.approx(0.02, rel=0.05)
    assert all(v.period_fs > 2.0 * first.period_fs for v in others)
    assert np.isfinite([row.drift.value for row in found.strides if row.drift]).all()
    assert found.dynamics_K > 50.0 and found.advice.inner_fs == 2.0


def test_cost_times_every_kind_of_evaluation(toy_probe):
    found = cost(toy_probe, seconds=0.0, at_least=3)
    assert set(found) == {"conservative", "direct", "both"}
    assert all(c.repeats == 3 and 0 < c.low_ms <= c.median_ms <= c.high_ms for c in found.values())


def test_gap_is_told_per_species():
    """Oxygen and hydrogen are pushed apart by the direct head; a push on all is taken away."""
    zero = np.zeros((6, 6))
    probe = springs_probe(zero, zero, push=np.array([[0.3, 0, 0], [0.1, 0, 0]]))
    found = gap([probe])
    assert found.net_force_meV_per_A == pytest.approx(200.0 / np.sqrt(3))
    for name in ("all", "O", "H"):
        assert found.species[name].rmse_meV_per_A == pytest.approx(100.0 / np.sqrt(3))
    assert gap([springs_probe(zero, zero, push=0.3)]).species["all"].rmse_meV_per_A < 1e-9


def test_pair_serves_two_models_as_one(toy_probe):
    slow, fast = toy.toy(), toy.toy()
    pair = Pair({Role.CONSERVATIVE: slow, Role.DIRECT: fast})
    (found,) = pair.evaluate([toy_probe.structure], BOTH)
    for role in Role:
        expected = finite.evaluate(toy.toy(), toy_probe.structure, role).forces
        np.testing.assert_array_equal(found[role].forces, expected)
    assert (slow.evaluated, fast.evaluated) == (1, 1)
    one = Pair({role: slow for role in Role})
    one.evaluate([toy_probe.structure], BOTH)
    assert slow.evaluated == 2  # both forces of one model in one pass


def test_check_follows_small_systems_from_several_frames():
    """As many starts as make 50 000 steps of an atom, as far as there are frames."""
    model, rng = Springs(bond(40.0), bond(39.0)), np.random.default_rng(5)
    frames = [
        Structure(
            np.array([8, 1]), 0.1 * rng.normal(size=(2, 3)), np.zeros((3, 3)), np.zeros(3, bool)
        )
        for _ in range(4)
    ]

    def starts(frames, dynamics):
        lines = []
        found = report.check(
            model, frames, probes=3, seconds=0.01, dynamics=dynamics, log=lines.append
        )
        assert found.dynamics_K > 0.0
        return [text.split()[-1] for text in lines if text.startswith("dynamics")]

    assert starts(frames, 60) == ["0", "1", "2", "3"]
    assert starts(frames[:1], 60) == ["0"]
    assert evenly_spaced(range(100), 3) == [0, 49, 99] and evenly_spaced(range(9), 1) == [0]


def test_check_command_advises_a_stride(tmp_path):
    ase.io.write(tmp_path / "init.xyz", toy.atoms())
    words = ["check", "python:toy:toy", "init.xyz", "--json", "found.json", "--probes", "8"]
    done = subprocess.run(
        [*HALFKICK, *words], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["advice"]["stride"] >= 1
    assert f"M = {found['advice']['stride']}" in " ".join(done.stdout.split())
    assert found["force"]["agrees"] and found["virial"]["agrees"]
    assert len(found["strides"]) == 16
    drifts = [row["drift"] for row in found["strides"]]
    assert all(drift["value"] >= 0.0 for drift in drifts) and drifts[7]["value"] > 0.0
    assert found["dynamics_K"] > 0 and "will scatter by" in " ".join(done.stdout.split())
    words = ["check", "python:toy:toy", "init.xyz", "--dynamics", "0", "--json", "still.json"]
    still = halfkick(tmp_path, *words)
    assert still.returncode == 0 and "will scatter by" not in still.stdout
    rows = json.loads((tmp_path / "still.json").read_text())["strides"]
    assert [row["drift"] for row in rows] == [None] * 16
    words = ["check", "python:toy:toy?direct=False", "init.xyz", "--json", "one.json"]
    one = halfkick(tmp_path, *words)
    assert one.returncode == 0, one.stderr
    found = json.loads((tmp_path / "one.json").read_text())
    assert (found["gap"], found["advice"], found["roles"]) == (None, None, ["conservative"])


def test_check_refuses_what_it_cannot_evaluate(tmp_path):
    ase.io.write(tmp_path / "gold.xyz", ase.Atoms("Au2", [[0, 0, 0], [0, 0, 2]]))
    (tmp_path / "words.md").write_text("# no structure\n")
    for arguments, message in (
        (("python:toy:toy", "nowhere.xyz"), "expected structures that ASE reads in 'nowhere.xyz'"),
        (("python:toy:toy", "words.md"), "words.md', got StopIteration; name another file"),
        (("python:toy:toy", "gold.xyz"), "expected species that model 'toy' knows"),
    ):
        done = halfkick(tmp_path, "check", *arguments)
        assert done.returncode == 2
        assert message in done.stderr and "Traceback" not in done.stderr
