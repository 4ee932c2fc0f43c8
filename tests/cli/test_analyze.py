"""``halfkick analyze``: each estimator against a case with a known answer; real runs."""

from __future__ import annotations

import json
import subprocess
from itertools import product

import numpy as np
import pytest
from ase import Atoms, units
from commands import halfkick
from scipy.stats import gamma
from simulation import ENVIRONMENT, HALFKICK, Case, simulate

from halfkick.driver.ipi.system import System
from halfkick.driver.study.analysis import quantum, thermo
from halfkick.driver.study.analysis.collect import Analysis
from halfkick.driver.study.analysis.molecules import find_molecules, split_kinetic
from halfkick.driver.study.analysis.observables import Scalar, blocked
from halfkick.driver.study.analysis.report import AnalysisReport
from halfkick.driver.study.analysis.run_data import open_run
from halfkick.driver.study.analysis.structure import radial_distributions

WATER = np.array([[0.0, 0.0, 0.0], [0.76, 0.59, 0.0], [-0.76, 0.59, 0.0]])


def box_of_water(side=3, edge=9.0):
    """Water molecules on a grid, some of them cut by the cell."""
    corners = np.array(list(product(range(side), repeat=3))) * (edge / side)
    positions = (corners[:, None] + WATER).reshape(-1, 3)
    atoms = Atoms("OHH" * side**3, positions, cell=[edge] * 3, pbc=True)
    atoms.wrap()
    return atoms


def thermal(atoms, kelvin, rng):
    """Velocities without those of the centre of mass, shape (N, 3), ASE's unit."""
    m = atoms.get_masses()[:, None]
    v = rng.normal(size=(len(atoms), 3)) * np.sqrt(units.kB * kelvin / m)
    return v - (m * v).sum(axis=0) / m.sum()


def test_molecules_are_found_across_the_cell():
    atoms = box_of_water()
    molecules = find_molecules(atoms)
    assert sorted(map(sorted, molecules)) == [[3 * i, 3 * i + 1, 3 * i + 2] for i in range(27)]
    metal = Atoms("Cu8", np.array(list(product((0, 1), repeat=3))) * 2.5, cell=[5] * 3, pbc=True)
    assert find_molecules(metal) == []


def test_molecule_motions_are_separated():
    """Pure translation, pure rotation and a pure stretch each go where they belong."""
    atoms = Atoms("OHH", WATER)
    m = atoms.get_masses()[:, None]
    x = WATER - (m * WATER).sum(axis=0) / m.sum()
    stretch = x.copy()
    stretch[:, [1, 2]] = 0.0  # along x: H against H
    motions = {
        "translation": np.full((3, 3), 0.3),
        "rotation": np.cross([0.1, 0.2, -0.3], x),
        "vibration": stretch,
    }
    for name, v in motions.items():
        found = split_kinetic(atoms, v, m[:, 0], [np.arange(3)])
        kinetic = 0.5 * (m * v**2).sum()
        for other, (energy, _) in found.items():
            assert energy == pytest.approx(kinetic if other == name else 0.0, abs=1e-12)
    assert [free for _, free in found.values()] == [0, 3, 3]


def test_molecule_motions_share_thermal_energy_alike():
    rng = np.random.default_rng(0)
    atoms = box_of_water()
    molecules, masses = find_molecules(atoms), atoms.get_masses()
    sums = {}
    for _ in range(100):
        for name, (energy, free) in split_kinetic(
            atoms, thermal(atoms, 300.0, rng), masses, molecules
        ).items():
            sums.setdefault(name, []).append(2 * energy / (free * units.kB))
    for series in sums.values():
        error = np.std(series) / np.sqrt(len(series))
        assert abs(np.mean(series) - 300.0) < 4.0 * error
        assert error < 6.0


@pytest.mark.parametrize("free", [False, True])
def test_translation_has_the_degrees_of_the_centre_of_mass_where_it_moves(free):
    rng = np.random.default_rng(5)
    atoms = box_of_water(side=2)
    molecules, masses = find_molecules(atoms), atoms.get_masses()
    m, drawn = masses[:, None], []
    for _ in range(300):
        v = rng.normal(size=(len(atoms), 3)) * np.sqrt(units.kB * 300.0 / m)
        v = v if free else v - (m * v).sum(axis=0) / m.sum()
        drawn.append(split_kinetic(atoms, v, masses, molecules, centre_at_rest=not free))
    kelvin = [2 * energy / (f * units.kB) for energy, f in (d["translation"] for d in drawn)]
    assert drawn[0]["translation"][1] == 24 - (0 if free else 3)
    assert abs(np.mean(kelvin) - 300.0) < 4.0 * np.std(kelvin) / 300**0.5 < 25.0


def test_species_temperatures_are_those_set():
    rng = np.random.default_rng(1)
    atoms = box_of_water()
    v = np.array([thermal(atoms, 300.0, rng) for _ in range(300)])
    symbols, masses = atoms.get_chemical_symbols(), atoms.get_masses()
    free = System().degrees_of_freedom(masses)
    found = thermo._species_temperatures(v, masses, symbols, free)
    assert [s.name for s in found] == ["temperature(H)", "temperature(O)"]
    for s in found:
        assert abs(s.value - 300.0) < 4.0 * s.error < 15.0
    hot = np.where(np.array(symbols)[:, None] == "H", 1.1, 1.0) * v
    hydrogen, oxygen = thermo._species_temperatures(hot, masses, symbols, free)
    assert hydrogen.value - 300.0 > 10 * hydrogen.error
    assert abs(oxygen.value - 300.0) < 4.0 * oxygen.error


def test_kinetic_energy_spread_is_that_of_the_ensemble():
    rng = np.random.default_rng(2)
    free = 81
    canonical = rng.gamma(free / 2, 600.0 / free, size=4000)
    found = thermo.spread(canonical, free)
    assert abs(found.value - 1.0) < 4.0 * found.error < 0.2
    isolated = 300.0 + 0.5 * (canonical - 300.0)
    found = thermo.spread(isolated, free)
    assert found.value == pytest.approx(0.5, abs=0.05)
    assert abs(found.value - 1.0) > 8.0 * found.error


def test_canonical_temperatures_have_the_density_of_scipy():
    kelvin, free = np.linspace(150.0, 500.0, 30), 81
    found = thermo.gamma_density(kelvin, free / 2, 600.0 / free)
    np.testing.assert_allclose(found, gamma.pdf(kelvin, free / 2, scale=600.0 / free), rtol=1e-9)
    assert kelvin @ found / found.sum() == pytest.approx(300.0, rel=0.02)


def gas(rng, n=150, edge=11.0):
    return Atoms(f"Ne{n}", rng.uniform(0, edge, size=(n, 3)), cell=[edge] * 3, pbc=True)


def test_radial_distribution_of_an_ideal_gas_is_one():
    rng = np.random.default_rng(3)
    frames = [gas(rng) for _ in range(30)]
    edges = np.arange(0.0, 5.01, 0.5)
    g = radial_distributions([frames[:15], frames[15:]], edges)["Ne", "Ne"]  # of two beads
    y, error = blocked(15, lambda part: g[part].mean(axis=0))
    assert np.abs(y[1:] - 1.0).max() < 0.1
    assert np.sqrt(np.mean(((y - 1.0) / error)[1:] ** 2)) < 2.5
    for frame in frames:  # the twin: pairs
        frame.positions[1::2] = frame.positions[::2] + np.array([1.25, 0, 0])
    paired = radial_distributions([frames], edges)["Ne", "Ne"].mean(axis=0)
    assert paired[2] - 1.0 > 20 * error[2]


def test_radial_distribution_of_a_crystal_has_its_shells():
    """NaCl: six unlike neighbours at a/2, twelve like ones at a/√2."""
    from ase.build import bulk

    atoms = bulk("NaCl", "rocksalt", a=5.6, cubic=True) * (3, 3, 3)
    edges = np.arange(0.0, 4.6, 0.1)
    shells = 4 / 3 * np.pi * np.diff(edges**3)
    middle = 0.5 * (edges[1:] + edges[:-1])
    density = 0.5 * len(atoms) / atoms.get_volume()
    found = radial_distributions([[atoms]], edges)
    for pair, count, place in ((("Cl", "Na"), 6, 2.8), (("Na", "Na"), 12, 5.6 / np.sqrt(2))):
        (g,) = found[pair]
        assert (g * shells * density)[abs(middle - place) < 0.2].sum() == pytest.approx(
            count, rel=0.01
        )
        like = (g > 0) & (abs(middle - place) > 0.2)
        assert not like.any()


def test_report_marks_what_stands_out():
    def analysis(value):
        return Analysis("", [], [Scalar("t", "K", value, 1.0)], [])

    (row,) = AnalysisReport([analysis(300.0), analysis(301.0), analysis(310.0)]).rows()
    assert row == ["t", "K", "300.0 ± 1.0", "301.0 ± 1.0 (+0.7)", "310.0 ± 1.0 (+7.1)!"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Toy runs through i-PI, with velocities: corrected at constant energy, and not."""
    folder = tmp_path_factory.mktemp("runs")
    velocities = "<trajectory stride='1' filename='vel' format='ase'> velocities </trajectory>"

    def edit(xml):
        xml = xml.replace("<checkpoint", f"{velocities}<checkpoint")
        xml = xml.replace("stride='250' filename='pos'", "stride='1' filename='pos'")
        alone = "role: conservative" not in xml  # shows its drift only with the model's energy
        return xml.replace("role: direct", "role: direct, energy: model") if alone else xml

    for name, case in (
        ("mts", Case(steps=250)),
        ("direct", Case(steps=250, roles=("direct",), strides=(4,))),
        ("beads", Case(steps=20, ensemble="pile", beads=3)),
    ):
        (folder / name).mkdir()
        simulate(folder / name, case, edit=edit)
    return folder


def test_run_data_has_columns_frames_and_settings(runs):
    run = open_run(runs / "mts")
    assert (run.ensemble, run.beads, run.timestep_ps) == ("nve", 1, pytest.approx(0.002))
    assert np.isnan(run.target_K)
    assert run.columns["time"][-1] == pytest.approx(0.5)
    velocities = run.frames("velocities")
    np.testing.assert_allclose(velocities.times, run.columns["time"], atol=1e-9)
    masses = velocities.beads[0][0].get_masses()[:, None]
    kinetic = 0.5 * (masses * velocities.array("velocities") ** 2).sum(axis=(1, 2))
    np.testing.assert_allclose(kinetic, run.columns["kinetic_md"], rtol=1e-4)
    later = open_run(runs / "mts", skip_ps=0.25)
    assert later.columns["time"][0] == pytest.approx(0.25)
    assert later.frames("velocities").times[0] == pytest.approx(0.25)
    beads = open_run(runs / "beads" / "input.xml")
    assert (beads.ensemble, beads.beads, beads.target_K) == ("nvt", 3, pytest.approx(300.0))
    assert len(beads.frames("positions").beads) == 3
    assert any(s.name == "radius of gyration(O)" for s in quantum.scalars(beads))


def test_species_temperatures_add_up_to_that_of_ipi(runs):
    run = open_run(runs / "mts")
    found = {s.name: s.value for s in thermo.scalars(run)}
    atoms = run.frames("velocities").beads[0][0]
    masses, symbols = atoms.get_masses(), np.array(atoms.get_chemical_symbols())
    free = {s: n - masses[symbols == s].sum() / masses.sum() for s, n in count(symbols)}
    total = sum(found[f"temperature({s})"] * f for s, f in free.items()) / sum(free.values())
    # i-PI itself counts the centre of mass at the ensemble's temperature, 300 K
    n = len(atoms)
    assert (total * (n - 1) + 300.0) / n == pytest.approx(found["temperature"], rel=1e-4)


def count(symbols):
    return zip(*np.unique(symbols, return_counts=True), strict=True)


def test_analyze_tells_direct_forces_apart(runs):
    words = ["mts", "direct", "--out", "report.html", "--json", "found.json", "--frames", "3"]
    done = subprocess.run(
        [*HALFKICK, "analyze", *words, "--pictures", "drawn"],
        cwd=runs, env=ENVIRONMENT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    mts, direct = json.loads((runs / "found.json").read_text())
    assert mts["figures"]["drift"]["sigmas_from_first"] == 0.0
    assert direct["figures"]["drift"]["sigmas_from_first"] > 2.0  # it walks, of 27 atoms
    assert direct["figures"]["drift"]["value"] > 20 * abs(mts["figures"]["drift"]["value"])
    assert mts["figures"]["gap, RMSE (all)"]["value"] > 10.0
    page = (runs / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 5
    assert len(list((runs / "drawn").glob("*.png"))) == 5
    assert (runs / "drawn/energies.png").read_bytes().startswith(b"\x89PNG")
    assert "Chemiscope.DefaultVisualizer.load" in page and '"direct force"' in page
    own = page.split("<script>")[0]
    assert 'src="http' not in own and 'href="http' not in own
    assert "diffusion(" not in page  # the runs are too short for it
    for name in ("drift", "temperature(H)", "temperature(O)"):
        assert name in done.stdout and name in page


@pytest.fixture(scope="module")
def groups(runs):
    """Figures of runs taken together and alone, from one call of the command."""
    words = ["mts+direct", "mts+beads", "mts", "beads", "--json", "four.json", "--frames", "0"]
    done = halfkick(runs, "analyze", *words)
    assert done.returncode == 0, done.stderr
    return json.loads((runs / "four.json").read_text())


def test_analyze_takes_runs_of_one_kind_together(runs, groups):
    both, _, mts, _ = groups
    assert len(both["runs"]) == 2 and len(mts["runs"]) == 1
    found, one = both["figures"]["drift"], mts["figures"]["drift"]
    assert found["value"] > 5 * abs(one["value"])  # of the mean of both, half of the direct run's
    assert found["error"] > 2 * one["error"]  # they differ
    assert "mts+direct" in (runs / "analysis.html").read_text(encoding="utf-8")


def test_analyze_weighs_the_longer_run_more(runs, groups):
    both, mts, beads = (group["figures"]["temperature"]["value"] for group in groups[1:])
    long, short = (open_run(runs / name).columns["time"][-1] for name in ("mts", "beads"))
    assert long > 5 * short
    assert both == pytest.approx((long * mts + short * beads) / (long + short))
    assert abs(mts - beads) > 1.0


def test_analyze_refuses_what_it_cannot_read(runs, tmp_path):
    for what, message in (("nowhere", "expected an i-PI input file"), ("mts", "smaller --skip")):
        words = [what, "--skip", "99", "--out", str(tmp_path / "none.html")]
        done = halfkick(runs, "analyze", *words)
        assert done.returncode == 2
        assert message in done.stderr and "Traceback" not in done.stderr
        assert not (tmp_path / "none.html").exists()
