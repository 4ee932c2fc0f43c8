"""``halfkick init``: structures of all kinds run, and what is known of them counts in the run."""

from __future__ import annotations

import ase.io
import numpy as np
import pytest
from ase.units import kB
from running import finish, halfkick
from simulation import HALFKICK, PROMPT_IPI, start
from structures import STRUCTURES

from halfkick.driver.commands.init import init
from halfkick.driver.errors import InputError
from halfkick.driver.ipi.input import IpiInput
from halfkick.driver.setup.options import InitOptions
from halfkick.driver.setup.steps import within_rings
from halfkick.driver.study.analysis.collect import analyze_together
from halfkick.driver.study.analysis.observables import Quantity
from halfkick.driver.study.analysis.run_data import open_run
from halfkick.models.check.advice import Advice
from halfkick.models.check.cost import Cost
from halfkick.models.errors import DataError, ModelError

EMT, SOFT = "ase:ase.calculators.emt:EMT", "python:soft:soft"
METALS = ("metal", "slab", "atom")
STEPS, INNER_FS, STRIDE = 10, 0.5, 3
SLOW = ("framework", "water")  # water runs below, too
RUNNING = [
    pytest.param(kind, marks=pytest.mark.slow) if kind in SLOW else kind
    for kind in STRUCTURES
    if kind != "ion"
]
DEUTERIUM = 2.01410178  # amu


def made(folder, kind, **options):
    """The folder that ``init`` writes for a structure."""
    is_mts = kind not in METALS
    given = {
        "model": SOFT if is_mts else EMT,
        "stride": STRIDE if is_mts else None,
        "timestep": INNER_FS,
        "ps": 1e-3 * STEPS * INNER_FS * (STRIDE if is_mts else 1),
    }
    path = folder / "none.xyz" if kind == "nothing" else STRUCTURES[kind](folder)
    init(str(path), out=folder / "run", **(given | options))
    return folder / "run"


def ran(folder):
    """The folder, after i-PI and the driver have run in it."""
    children = [
        start([*PROMPT_IPI, "input.xml"], folder, "i-pi.log"),
        start([*HALFKICK, "serve", "input.xml"], folder, "driver.log"),
    ]
    try:
        codes = [child.wait(120) for child in children]
    finally:
        for child in children:
            child.kill()
    assert codes == [0, 0], "".join(path.read_text()[-2000:] for path in folder.glob("*.log"))
    return folder


def temperatures(frames, masses, fixed):
    """Kinetic temperature of each species by arithmetic, K."""
    symbols = np.array(frames[0].get_chemical_symbols())
    squares = masses * np.array([(f.arrays["velocities"] ** 2).sum(axis=1) for f in frames])
    free = np.where(fixed, 0.0, 3.0)
    if len(masses) > 1 and not fixed.any():  # i-PI holds the centre of mass
        free = free - 3.0 * masses / masses.sum()
    return {
        s: float(squares[:, symbols == s].sum(axis=1).mean() / (free[symbols == s].sum() * kB))
        for s in sorted(set(symbols))
    }


@pytest.mark.ipi
@pytest.mark.parametrize("kind", RUNNING)
def test_init_runs_and_analyze_counts_its_degrees_of_freedom(kind, tmp_path):
    folder = ran(made(tmp_path, kind))
    run = open_run(folder)
    assert run.columns["step"][-1] == STEPS
    atoms, moving = ase.io.read(folder / "init.xyz"), run.frames("velocities")
    masses, fixed = atoms.get_masses(), np.zeros(len(atoms), bool)
    frames = moving.beads[0]
    if kind == "heavy_water":
        masses[1:3] = DEUTERIUM
    if kind == "slab":
        fixed[:4] = True
        assert all((f.arrays["velocities"][fixed] == 0.0).all() for f in frames)
    # masses: the kinetic energy that i-PI writes
    row = np.argmin(np.abs(run.columns["time"] - moving.times[-1]))
    squares = (frames[-1].arrays["velocities"] ** 2).sum(axis=1)
    assert run.columns["kinetic_md"][row] == pytest.approx(0.5 * masses @ squares, rel=1e-5)
    is_light = 0.5 * atoms.get_masses() @ squares == pytest.approx(run.columns["kinetic_md"][row])
    assert is_light == (kind != "heavy_water")
    expected = temperatures(frames, masses, fixed)
    analysis = analyze_together([run])
    told = {s: analysis.find(Quantity.TEMPERATURE, s).value for s in expected}
    assert told == pytest.approx(expected, rel=1e-6)


@pytest.mark.ipi
def test_init_runs_by_run(tmp_path):
    """As it is told to users, ring polymers and a contraction in it."""
    options = {"beads": 4, "contraction": 2, "npt": True}
    folder = made(tmp_path, "water", **options)
    code, _, err = finish(halfkick(tmp_path, "run", "run", "--threads", "1"))
    assert code == 0, err
    frames = open_run(folder).frames("v_centroid")
    assert len(frames.times) == 1 + STEPS // 2


def test_init_refuses_an_ion_and_leaves_nothing(tmp_path):
    with pytest.raises(DataError, match=r"expected a neutral structure .* got charge=1"):
        made(tmp_path, "ion")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", ["metal", "slab", "triclinic"])
def test_init_keeps_distances_in_an_upright_right_handed_cell(kind, tmp_path):
    before = ase.io.read(STRUCTURES[kind](tmp_path))
    after = ase.io.read(made(tmp_path, kind) / "init.xyz")
    assert (after.cell.array == np.tril(after.cell.array)).all()
    assert (np.diag(after.cell.array) > 0.0).all()
    assert (after.pbc == before.pbc).all()
    order = [1, 0, 2] if kind == "triclinic" else [0, 1, 2]  # its first two change places
    for shift in np.array([(0, 0, 0), (1, 0, 0), (0, 1, 0), (1, -1, 0)]):
        distances = [
            np.linalg.norm(atoms.positions[:, None] - atoms.positions - image, axis=-1)
            for atoms, image in (
                (before, shift[order] @ before.cell.array),
                (after, shift @ after.cell.array),
            )
        ]
        assert distances[1] == pytest.approx(distances[0], abs=1e-6)


def test_init_says_which_frame_and_what_is_fixed(tmp_path, capsys):
    made(tmp_path, "water")
    made(tmp_path / "run", "slab")
    out = capsys.readouterr().out
    assert "frame 1 of 2, the last" in out
    assert "4 atoms are fixed" in out
    source = IpiInput.read(tmp_path / "run" / "run" / "input.xml")
    assert source.systems[0].fixed_coordinates == tuple(range(12))


@pytest.mark.parametrize(
    ("kind", "options", "error", "message"),
    [
        ("slab", {"npt": True}, InputError, "three directions for --npt, got pbc T T F"),
        ("metal", {"stride": 4}, InputError, "expected two forces for --stride"),
        ("metal", {"model": "python:toy:toy"}, ModelError, "expected species that .* got Cu"),
        ("ethanol", {"model": "python:soft:inner"}, ModelError, "with conservative forces"),
        ("ethanol", {"model": "nowhere.pt"}, ModelError, "nowhere.pt"),
        ("nothing", {}, DataError, "expected structures that ASE reads in .*none.xyz"),
        ("water", {"nve": True, "npt": True}, InputError, "expected one of --nve"),
        ("water", {"nve": True, "thermostat": "svr"}, InputError, "with --thermostat"),
        ("water", {"beads": 8, "thermostat": "svr"}, InputError, "pile_g or pile_l"),
        ("water", {"contraction": 2}, InputError, "below the number of beads"),
    ],
)
def test_init_refuses_in_one_line_and_writes_nothing(kind, options, error, message, tmp_path):
    with pytest.raises(error, match=message):
        made(tmp_path, kind, **options)
    assert not (tmp_path / "run").exists()


def test_init_takes_forces_of_two_models(tmp_path):
    folder = made(tmp_path, "water", model="python:soft:outer", inner="python:soft:inner")
    slow, fast = (s.parameters for s in IpiInput.read(folder / "input.xml").sockets)
    assert slow == {"model": "python:soft:outer", "role": "conservative", "template": "init.xyz"}
    assert fast == {"model": "python:soft:inner", "role": "direct", "template": "init.xyz"}


def test_init_without_direct_forces_says_how_to_come_to_them(tmp_path, capsys):
    folder = made(tmp_path, "water", model="python:soft:outer", stride=None)
    source = IpiInput.read(folder / "input.xml")
    assert [s.parameters["role"] for s in source.sockets] == ["conservative"]
    assert source.nmts == ()
    assert "halfkick distill python:soft:outer STRUCTURE" in capsys.readouterr().out


@pytest.mark.parametrize(("direct_ms", "is_mts"), [(3.0, False), (1.0, True)])
def test_init_takes_the_advice_of_check(direct_ms, is_mts, tmp_path, monkeypatch, capsys):
    """Direct forces that cost as much as the others gain nothing, and are left out."""
    times = {"direct": direct_ms, "conservative": 3.0, "both": 3.1}
    costs = {force: Cost(ms, ms, ms, 1) for force, ms in times.items()}
    monkeypatch.setattr("halfkick.models.check.steps.cost", lambda *_, **__: costs)
    if not is_mts:  # whatever the drift
        monkeypatch.setattr("halfkick.models.check.steps.predict_drifts", lambda *_, **__: ({}, 0))
    folder = made(tmp_path, "heavy_water", stride=None)
    out = capsys.readouterr().out
    assert "check: a short trajectory, about" in out
    assert ("no stride is faster than conservative forces" in out) != is_mts
    assert bool(IpiInput.read(folder / "input.xml").nmts) == is_mts


def test_init_never_overwrites(tmp_path):
    folder = made(tmp_path, "water")
    before = (folder / "input.xml").read_text()
    with pytest.raises(InputError, match="expected a new folder"):
        made(tmp_path, "water")
    assert (folder / "input.xml").read_text() == before


def test_init_takes_the_step_from_the_fastest_vibration(tmp_path, capsys):
    """A lone atom has none; two of copper one that bears 4 fs."""
    made(tmp_path, "atom", timestep=None)
    assert "nothing vibrates" in capsys.readouterr().out
    made(tmp_path / "run", "metal", timestep=None)
    assert IpiInput.read(tmp_path / "run" / "run" / "input.xml").timestep_fs == 4.0


def test_init_shortens_the_stride_for_ring_polymers(tmp_path):
    """M = 4 of 0.5 fs with 8 beads at 300 K, as the scenario of path integrals has it."""
    advice = Advice(0.5, 8, "")
    assert within_rings(advice, InitOptions(beads=8)).stride == 4
    assert within_rings(advice, InitOptions()).stride == 8
    asked = within_rings(Advice(1.0, 8, ""), InitOptions(beads=8, stride=8))
    assert (asked.inner_fs, asked.stride) == (0.25, 8)
