"""Geometry optimisation through i-PI's own optimiser, with direct and conservative forces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ....models.base import Role
from ....models.pair import Pair
from ....models.spec import ModelSpec
from ...errors import RunError
from ...ipi.input import IpiInput
from ...ipi.sockets import own_prefix
from ...run.folder import RunFolder
from ...run.runner import Runner
from ..analysis.forces import both_forces
from ..analysis.run_data import open_run

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["RECIPES", "Optimised", "optimise"]

RECIPES = ("conservative", "direct", "direct, then conservative")
FORCE = 0.03  # eV/Å: an optimisation has succeeded if no conservative force is larger in the end
STRUCTURE = "init.xyz"
TOLERANCE = 5e-4  # hartree/bohr, 0.026 eV/Å: where i-PI ends
INPUT = f"""<simulation verbosity='low' safe_stride='100000' floatformat='%24.16e'>
  <output prefix='out'>
    <properties stride='1' filename='properties'> [ step, potential{{electronvolt}} ] </properties>
    <trajectory stride='1' filename='positions' format='ase'> positions </trajectory>
  </output>
  <ffsocket name='forces' mode='unix' pbc='false'>
    <address> forces </address> <latency> 1e-4 </latency> <timeout> 600 </timeout>
  </ffsocket>
  <system>
    <initialize nbeads='1'> <file mode='ase'> {STRUCTURE} </file> </initialize>
    <forces> <force forcefield='forces'/> </forces>
    <motion mode='minimize'>
      <optimizer mode='bfgstrm'>
        <tolerances>
          <energy> 1e-3 </energy> <force> {TOLERANCE} </force> <position> 1.0 </position>
        </tolerances>
      </optimizer>
    </motion>
  </system>
</simulation>
"""


@dataclass(frozen=True)
class Optimised:
    """How one optimisation went.

    Attributes:
        structure: its name.
        recipe: one of ``RECIPES``.
        steps: of the optimiser, all phases together.
        force: largest component of the conservative force in the end, eV/Å.
        energy: eV, by the conservative model.
        success: whether that force is small.
    """

    structure: str
    recipe: str
    steps: int
    force: float
    energy: float
    success: bool


def optimise(
    structures: dict[str, Atoms],
    models: Mapping[Role, str],
    pair: Pair,
    folder: Path,
    run: Runner,
    steps: int,
) -> list[Optimised]:
    """Optimise each structure by each recipe.

    Args:
        structures: name -> start.
        models: of each role as in ``<parameters> model``, for i-PI's driver.
        pair: the same models, to judge by.
        folder: for the runs.
        run: runs an input.
        steps: most steps of each phase.

    Raises:
        RunError: if i-PI fails.
    """
    found = []
    for name, atoms in structures.items():
        phases = {role: _phase(atoms, models[role], role, folder / f"{name}_{role}", run, steps)
                  for role in Role}  # fmt: skip
        begun, last = phases[Role.DIRECT][0], Role.CONSERVATIVE
        second = _phase(begun, models[last], last, folder / f"{name}_both", run, steps)
        outcomes = (
            phases[Role.CONSERVATIVE],
            phases[Role.DIRECT],
            (second[0], phases[Role.DIRECT][1] + second[1]),
        )
        for recipe, (end, count) in zip(RECIPES, outcomes, strict=True):
            found.append(_judge(name, recipe, end, count, pair))
    return found


def _phase(
    atoms: Atoms, model: str, role: Role, folder: Path, run: Runner, steps: int
) -> tuple[Atoms, int]:
    """Where i-PI ends, and after how many steps."""
    from ase.io import write

    folder.mkdir(parents=True, exist_ok=True)
    start = atoms.copy()
    if not start.pbc.any():
        start.cell, start.pbc = 100.0 * np.eye(3), False  # i-PI wants a cell, the model none
    init = folder / STRUCTURE
    if not init.is_file():
        write(init, start, format="extxyz")
    parameters = {
        "model": str(ModelSpec.parse(model).in_folder(Path.cwd())),
        "role": str(role),
        "template": STRUCTURE,
    }
    if role is Role.DIRECT:
        parameters["energy"] = "model"
    source = IpiInput.parse(INPUT).replace_socket("forces", parameters=parameters)
    prefix = {"sockets_prefix": own_prefix(folder)}
    files = RunFolder(folder)
    if run(source.replace(attributes=prefix, total_steps=steps).write(files.input)) != 0:
        raise RunError(
            f"expected the optimisation in '{folder}' to end well; see {files.driver_log.name}"
        )
    done = open_run(folder)
    frame = done.positions()[-1]
    frame.pbc = atoms.pbc
    if not atoms.pbc.any():
        frame.cell = None
    return frame, int(done.columns["step"][-1])


def _judge(name: str, recipe: str, end: Atoms, steps: int, pair: Pair) -> Optimised:
    force = float(np.abs(both_forces(pair, [end])[Role.CONSERVATIVE][0]).max())
    from ....models.frames import structure_of

    role = Role.CONSERVATIVE
    (result,) = pair.evaluate([structure_of(end, "frames")], frozenset({role}))
    return Optimised(name, recipe, steps, force, result[role].energy, force < FORCE)


def rates(results: Sequence[Optimised]) -> list[list[str]]:
    """For each recipe: successes, median steps, largest force that was left (eV/Å)."""
    rows = []
    for recipe in RECIPES:
        own = [r for r in results if r.recipe == recipe]
        done = sum(r.success for r in own)
        steps = float(np.median([r.steps for r in own]))
        worst = max(r.force for r in own)
        rows.append([recipe, f"{done} of {len(own)}", f"{steps:.0f}", f"{worst:.3f}"])
    return rows
