"""Estimators of ring polymers in harmonic wells, where theory knows the answer; real i-PI runs."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from ase import Atoms, units
from commands import halfkick
from simulation import Case, simulate
from wells import STIFFNESS

from halfkick.driver.study.analysis import quantum
from halfkick.driver.study.analysis.run_data import open_run

BEADS, KELVIN, HBAR = 4, 300.0, units._hbar * units.J * units.s
MASSES = {"H": 1.008, "O": 15.999}
SIGMAS = 4.0
PROPERTIES = """[ step, time{picosecond}, conserved{electronvolt}, temperature{kelvin},
  temperature(nm=0){kelvin}, potential{electronvolt}, kinetic_cv(H){electronvolt}, kinetic_cv(O),
  kinetic_cv{electronvolt}, kinetic_td(H){electronvolt}, r_gyration(H){angstrom}, r_gyration(O),
  isotope_tdfep(alpha=2.0;atom=H), isotope_zetatd(alpha=2.0;atom=H) ]"""


def springs(mass, beads=BEADS):
    """Squared frequencies of the free ring polymer's modes, and of the well, in ASE's units."""
    k = np.arange(1, beads)
    omega_k = 2.0 * beads * units.kB * KELVIN / HBAR * np.sin(np.pi * k / beads)
    return omega_k**2, STIFFNESS / mass


def kinetic(mass, beads=BEADS):
    """meV of an atom: 3 kT/2 (1 + Σ ω² / (ω_k² + ω²)) with so many beads."""
    omega_k2, omega2 = springs(mass, beads)
    return 1.5e3 * units.kB * KELVIN * (1.0 + (omega2 / (omega_k2 + omega2)).sum())


def gyration(mass):
    """Å, the mean over drawn modes: variances kT / m (ω_k² + ω²) of each coordinate."""
    omega_k2, omega2 = springs(mass)
    variances = np.repeat(units.kB * KELVIN / (mass * (omega_k2 + omega2)), 3)
    drawn = np.random.default_rng(0).normal(size=(200_000, len(variances))) ** 2 @ variances
    return np.sqrt(drawn).mean()


def heavier(mass, scale):
    """meV, −kT ln of the ratio of partition functions of internal modes, without free particles."""
    omega_k2, omega2 = springs(mass)
    ratio = scale * (omega_k2 + omega2) / (scale * omega_k2 + omega2)
    return -1.5e3 * units.kB * KELVIN * np.log(ratio).sum()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Ring polymers in wells: one run with all properties, one with frames and little else."""
    folder = tmp_path_factory.mktemp("wells")
    structure = Atoms("OH" * 4, [[2.0 * i, 0, 0] for i in range(8)], cell=[40.0] * 3)
    case = Case("pile", ("conservative",), (1,), batch=BEADS, beads=BEADS, steps=5000,
                model="python:wells:wells", structure=structure)  # fmt: skip

    def edit(xml):
        xml = re.sub(r"> \[ step.*?\]", f"> {PROPERTIES}", xml, flags=re.DOTALL)
        xml = xml.replace("> 0.5 <", "> 1.0 <").replace("stride='5000'", "stride='20'")
        xml = xml.replace("<properties stride='1'", "<properties stride='4'")
        forces = "<trajectory filename='f' stride='20' format='ase'> forces{ase} </trajectory>"
        return xml.replace("<checkpoint", f"{forces}<checkpoint").replace("bead='-1' ", "")

    (folder / "all").mkdir()
    simulate(folder / "all", case, edit=edit)
    return folder


def found(run):
    return {s.name: s for s in quantum.scalars(run)}


def assert_is(scalar, value):
    assert abs(scalar.value - value) < SIGMAS * scalar.error, scalar


def test_kinetic_energy_of_beads_is_that_of_theory(runs):
    figures = found(open_run(runs / "all", skip_ps=0.1))
    for label, mass in MASSES.items():
        own = figures[f"kinetic energy({label})"]
        assert_is(own, kinetic(mass))
        assert own.error < 0.02 * own.value
    assert_is(figures["kinetic energy(H), primitive"], kinetic(MASSES["H"]))
    assert_is(figures["kinetic energy"], np.mean([kinetic(m) for m in MASSES.values()]))
    # twins: one bead, and so many that they are converged, are another result
    own = figures["kinetic energy(H)"]
    for beads in (1, 64):
        assert abs(own.value - kinetic(MASSES["H"], beads)) > 2.0 * SIGMAS * own.error


def test_kinetic_energy_converges_to_that_of_the_quantum_oscillator():
    quantum_energy = HBAR * np.sqrt(STIFFNESS / MASSES["H"])
    exact = 0.75e3 * quantum_energy / np.tanh(0.5 * quantum_energy / (units.kB * KELVIN))
    assert kinetic(MASSES["H"], 512) == pytest.approx(exact, rel=1e-4)


def test_gyration_radii_are_those_of_theory(runs):
    figures = found(open_run(runs / "all", skip_ps=0.1))
    for label, mass in MASSES.items():
        assert_is(figures[f"radius of gyration({label})"], gyration(mass))
    own = figures["radius of gyration(H)"]
    assert abs(own.value - gyration(MASSES["O"])) > 20.0 * own.error


def test_centroids_are_at_the_target(runs):
    assert_is(found(open_run(runs / "all", skip_ps=0.1))["temperature of centroids"], KELVIN)


def test_isotopes_are_those_of_theory(runs):
    figures = found(open_run(runs / "all", skip_ps=0.1))
    kind = "isotope (tdfep, alpha=2.0, atom=H)"
    assert_is(figures[f"kinetic energy of {kind}"], kinetic(2.0 * MASSES["H"]))
    own = figures[f"kinetic energy of {kind}"]
    assert abs(own.value - kinetic(MASSES["H"])) > 2.0 * SIGMAS * own.error
    own = figures["free energy of isotope (zetatd, alpha=2.0, atom=H)"]
    assert_is(own, heavier(MASSES["H"], 2.0))
    assert abs(own.value) > 2.0 * SIGMAS * own.error


def test_figures_from_frames_are_those_of_ipi(runs):
    """Kinetic energies from positions and forces, radii from positions, at the same steps."""
    run = open_run(runs / "all")
    for label, energies in quantum._from_forces(run).items():
        written = 1e3 / 4 * run.columns[f"kinetic_cv({label})"][::5]
        np.testing.assert_allclose(energies, written, rtol=1e-5)
    for label, radii in quantum._radii(run).items():
        written = run.columns[f"r_gyration({label})"][::5]
        np.testing.assert_allclose(radii.mean(axis=1), written, rtol=1e-5)
    curves = {c.name: c for c in quantum.curves(run)}
    for label in MASSES:
        x, y = curves[label].x, curves[label].y
        mean = (x * y).sum() / y.sum()
        assert mean == pytest.approx(run.columns[f"r_gyration({label})"].mean(), rel=0.02)


def test_analyze_says_what_ring_polymers_do_not_tell(runs, tmp_path):
    from shutil import copytree

    bare = copytree(runs / "all", tmp_path / "bare")
    xml = (bare / "input.xml").read_text()
    (bare / "input.xml").write_text(re.sub("(?s)<trajectory.*</trajectory>", "", xml))
    out = (bare / "simulation.out").read_text()
    (bare / "simulation.out").write_text(re.sub(r"\((H|O|nm=0)\)", r"(0)", out))
    done = halfkick(tmp_path, "analyze", "bare", "--json", "found.json", "--frames", "0")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "write kinetic_cv(H), kinetic_cv(O) among the properties" in said
    assert "write r_gyration(H), r_gyration(O)" in said
    (run,) = json.loads((tmp_path / "found.json").read_text())
    assert run["figures"]["kinetic energy"]["unit"] == "meV/atom"
    assert not quantum.missing(open_run(runs / "all"))
