"""Pairs of atoms on springs: a potential whose motion is known, and a network that knows it.

Atoms 2k and 2k + 1 attract each other by ``½ K r²``; ``propagator.py`` moves them exactly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from propagator import MASSES, K, write_network

from halfkick.models.base import Capabilities, ForceModel, ForceResult, Role, Structure


class Springs(ForceModel):
    """Their forces; the direct ones are a tenth too small."""

    name = "springs"
    capabilities = Capabilities(frozenset(Role), frozenset(Role), frozenset(MASSES))

    def evaluate(
        self, structures: Sequence[Structure], roles: frozenset[Role]
    ) -> list[Mapping[Role, ForceResult]]:
        return [{role: self._evaluate(s, role) for role in roles} for s in structures]

    def _evaluate(self, structure: Structure, role: Role) -> ForceResult:
        r = structure.positions[::2] - structure.positions[1::2]
        size = 0.9 if role is Role.DIRECT else 1.0
        forces = np.repeat(-size * K * r, 2, axis=0) * np.tile([[1.0], [-1.0]], (len(r), 1))
        energy = 0.0 if role is Role.DIRECT else 0.5 * K * float((r**2).sum())
        return ForceResult(energy, forces, -size * K * r.T @ r)


def springs() -> Springs:
    return Springs()


def atoms(pairs: int = 8) -> Atoms:
    """Pairs of O and H near each other, anywhere in a box."""
    rng = np.random.default_rng(5)
    centres = np.repeat(rng.uniform(0.0, 12.0, (pairs, 3)), 2, axis=0)
    positions = centres + rng.normal(scale=0.03, size=centres.shape)
    return Atoms("OH" * pairs, positions, cell=[12.0] * 3, pbc=True)


XML = """<simulation verbosity='low' safe_stride='1' floatformat='%24.16e'
  sockets_prefix='{prefix}'>
  <output prefix='simulation'>
    <properties stride='1' filename='out'> [ step, time{{picosecond}}, conserved{{electronvolt}},
      temperature{{kelvin}}, potential{{electronvolt}}, kinetic_md{{electronvolt}} ] </properties>
    <trajectory stride='1' filename='pos' format='ase'> positions{{ase}} </trajectory>
    <trajectory stride='1' filename='vel' format='ase'> velocities{{ase}} </trajectory>
    <checkpoint stride='5' overwrite='true'/>
  </output>
  <total_steps> {steps} </total_steps> <prng> <seed> 7 </seed> </prng>
  {sockets}
  <system>
    <initialize nbeads='1'> <file mode='ase'> init.xyz </file>
      <velocities mode='thermal' units='kelvin'> 300 </velocities> </initialize>
    <forces>
      <force forcefield='energy'> <mts_weights> [1, 0] </mts_weights> </force>
      <force forcefield='slow' weight='0'> <mts_weights> [1, 0] </mts_weights> </force>
      <force forcefield='fast' weight='0'> <mts_weights> [-1, 1] </mts_weights> </force>
    </forces>
    <motion mode='dynamics'> <dynamics mode='{ensemble}'> {thermostat}
      <timestep units='femtosecond'> 8 </timestep> <nmts> [4, 8] </nmts> </dynamics> </motion>
    <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
  </system>
</simulation>
"""
LANGEVIN = "<thermostat mode='langevin'> <tau units='femtosecond'> 100 </tau> </thermostat>"
ROLES = {"energy": "energy", "slow": "conservative", "fast": "direct"}


def write(
    folder: Path,
    *,
    steps: int = 20,
    ensemble: str = "nve",
    spoil_beyond: float = math.inf,
    more: str = "",
) -> str:
    """Write structure, network and input of a run; return the latter."""
    folder.mkdir(exist_ok=True)
    ase.io.write(folder / "init.xyz", atoms())
    write_network(folder / "flash.pt", spoil_beyond=spoil_beyond)
    xml = XML.format(
        prefix=f"{folder}/",
        steps=steps,
        sockets="".join(socket(name, more) for name in ROLES),
        ensemble=ensemble,
        thermostat=LANGEVIN if ensemble == "nvt" else "",
    )
    (folder / "input.xml").write_text(xml)
    return xml


def write_dynamics(folder: Path, seed: int, steps: int) -> None:
    """Write the input of a run by multiple time stepping at constant energy, frames 2 fs apart."""
    xml = write(folder, steps=steps)
    changes = {
        "<seed> 7": f"<seed> {seed}",
        socket("energy", ""): "",
        "<force forcefield='energy'> <mts_weights> [1, 0] </mts_weights> </force>": "",
        " weight='0'": "",
        "> 8 </timestep> <nmts> [4, 8]": "> 2 </timestep> <nmts> [1, 4]",
    }
    for old, new in changes.items():
        assert old in xml
        xml = xml.replace(old, new)
    (folder / "input.xml").write_text(xml)


def socket(name: str, more: str) -> str:
    told = f", flash: flash.pt{more}" if name == "energy" else ""
    return f"""<ffsocket name='{name}' mode='unix' pbc='false'> <address> {name} </address>
    <latency> 1e-4 </latency> <timeout> 60 </timeout> <parameters>
    {{ model: python:springs:springs, role: {ROLES[name]}, template: init.xyz{told} }}
    </parameters> </ffsocket>"""
