"""Nitrogen on copper: ASE's effective medium theory, with direct forces that conserve nothing.

Named in an input as ``python:surface:surface``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.build import add_adsorbate, fcc111, molecule
from ase.calculators.emt import EMT

from halfkick.models.backends.ase import AseModel
from halfkick.models.base import Capabilities, ForceModel, ForceResult, Role, Structure

BOND = 1.0  # Å, of N₂ in this theory
TURN = 0.05  # of the forces around z: the gradient of nothing
SOFTER = 0.02  # direct forces are by this part too small


class Surface(ForceModel):
    """Both forces of it."""

    name = "surface"

    def __init__(self) -> None:
        self._exact = AseModel(self.name, EMT)
        self.capabilities = Capabilities(frozenset(Role), frozenset({Role.CONSERVATIVE}))

    def evaluate(
        self, structures: Sequence[Structure], roles: frozenset[Role]
    ) -> list[Mapping[Role, ForceResult]]:
        exact = self._exact.evaluate(structures, frozenset({Role.CONSERVATIVE}))
        return [{r: _as(result[Role.CONSERVATIVE], r) for r in roles} for result in exact]


def _as(result: ForceResult, role: Role) -> ForceResult:
    if role is Role.CONSERVATIVE:
        return result
    forces = result.forces + TURN * np.cross([0.0, 0.0, 1.0], result.forces)
    return replace(result, energy=0.0, forces=(1.0 - SOFTER) * forces, virial=np.zeros((3, 3)))


def surface() -> Surface:
    """Make it."""
    return Surface()


def nitrogen_on_copper(
    height: float = 4.0, vacuum: float = 7.0, layers: int = 3, pbc: Sequence[bool] = (True,) * 3
) -> Atoms:
    """A slab of Cu(111), N₂ upright above it, its upper atom at a height in Å."""
    nitrogen = molecule("N2")
    nitrogen.set_distance(0, 1, BOND, fix=0)
    slab = fcc111("Cu", (2, 2, layers), vacuum=vacuum)
    add_adsorbate(slab, nitrogen, height, "ontop")
    return Atoms(slab.symbols, slab.positions, cell=slab.cell, pbc=pbc)


INPUT = """<simulation verbosity='low' safe_stride='1000' floatformat='%24.16e'>
  <output prefix='out'>
    <properties filename='properties'> [ step, time{{picosecond}}, conserved{{electronvolt}},
      temperature{{kelvin}}, kinetic_md{{electronvolt}}, potential{{electronvolt}} ] </properties>
    <trajectory filename='positions' stride='1' format='ase' bead='0'> positions </trajectory>
    <trajectory filename='velocities' stride='1' format='ase' bead='0'> velocities </trajectory>
    <checkpoint stride='1000'/>
  </output>
  <total_steps> {steps} </total_steps>
  <prng> <seed> 3 </seed> </prng>
  <ffsocket name='slow' mode='unix' pbc='false'> <address> slow </address>
    <latency> 1e-4 </latency> <timeout> 60 </timeout>
    <parameters> {{model: {model}, role: conservative, template: init.xyz}} </parameters>
  </ffsocket>
  <ffsocket name='fast' mode='unix' pbc='false'> <address> fast </address>
    <latency> 1e-4 </latency> <timeout> 60 </timeout>
    <parameters> {{model: {model}, role: direct, template: init.xyz}} </parameters>
  </ffsocket>
  <system>
    <initialize nbeads='1'>
      <file mode='ase'> init.xyz </file>
      <velocities mode='thermal' units='kelvin'> 300 </velocities>
    </initialize>
    <forces>
      <force forcefield='slow'> <mts_weights> [1, 0] </mts_weights> </force>
      <force forcefield='fast'> <mts_weights> [-1, 1] </mts_weights> </force>
    </forces>
    <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
    <motion mode='dynamics'> <dynamics mode='nve'>
      <nmts> [1, {stride}] </nmts> <timestep units='femtosecond'> {step_fs} </timestep>
    </dynamics> </motion>
  </system>
</simulation>
"""


def write(folder: Path, atoms: Atoms, *, steps: int = 20, stride: int = 4) -> Path:
    """Write ``input.xml``, with inner steps of 0.5 fs, and ``init.xyz`` for the atoms."""
    folder.mkdir(parents=True, exist_ok=True)
    ase.io.write(folder / "init.xyz", atoms)
    path = folder / "input.xml"
    values = {"model": "python:surface:surface", "stride": stride, "step_fs": 0.5 * stride}
    path.write_text(INPUT.format(steps=steps, **values))
    return path
