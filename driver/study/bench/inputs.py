"""Writes the i-PI inputs that are compared, all made from one."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ....models.base import Role
from ....models.spec import ModelSpec
from ...errors import InputError
from ...ipi.input import IpiInput
from ...ipi.mts_input import FORCES, roles_of
from ...ipi.outputs import Outputs

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["MODES", "Base", "Setup"]

MODES = FORCES
ENDLESS = 10**9
STRUCTURE = "init.xyz"


@dataclass(frozen=True)
class Setup:
    """One simulation: ``mode`` (one of MODES), number of beads and of atoms."""

    mode: str
    beads: int
    atoms: int


class Base:
    """The input from which all others are made.

    Args:
        path: an i-PI input with a direct and a conservative ``<ffsocket>`` of one model; ``None``
            for liquid water with the model that ships.
        stride: inner steps in an outer step, ``None`` for the input's.

    Attributes:
        model: as the input names it.
        structure: of the input's template.
        stride: inner steps in an outer step.
        beads: of the input.

    Raises:
        InputError: if it is no such input.
    """

    def __init__(self, path: Path | None, stride: int | None) -> None:
        from ase.io import read

        path = path or Path(str(files("halfkick.ipi_inputs"))) / "water_nve_mts" / "input.xml"
        source = IpiInput.read(path)
        self._sockets = roles_of(source)
        found = {role: s.parameters or {} for role, s in self._sockets.items()}
        if len({parameters.get("model") for parameters in found.values()}) != 1 or len(found) < 2:
            raise InputError(
                f"expected a direct and a conservative <ffsocket> of one model in '{path}', got "
                f"{', '.join(found) or 'none'}; begin from the scenario water_nve_mts"
            )
        direct = found[Role.DIRECT]
        self.model = str(ModelSpec.parse(direct["model"]).in_folder(source.folder))
        self.structure = cast("Atoms", read(source.folder / direct["template"]))  # the last frame
        self.beads = source.replicas
        self._source = source
        self._inner_fs = (source.timestep_fs or 1.0) / source.inner_steps
        self.stride = stride or source.inner_steps

    def write(self, folder: Path, setup: Setup, model: str | None) -> Path:
        """Write ``input.xml`` and ``init.xyz`` of one simulation.

        Args:
            folder: where to; it names the sockets, too.
            setup: which simulation.
            model: what serves it: a model of halfkick's ``<ffsocket>``; ``metatomic FILE`` or
                ``dummy`` make it an ``<ffdirect>``.
        """
        import ase.io

        mts = setup.mode == "mts"
        source = self._source
        if not mts:
            source = source.with_one_force_field(self._sockets[Role(setup.mode)].forcefield)
        source = source.replace(
            attributes={
                "verbosity": "quiet",
                "sockets_prefix": f"{folder}/",
                "safe_stride": str(ENDLESS),
            },
            total_steps=ENDLESS,
            outputs=Outputs(),
            timestep_fs=self._inner_fs * (self.stride if mts else 1),
            nmts=(1, self.stride) if mts else (),
            beads=setup.beads,
            structure=STRUCTURE,
        )
        for role, socket in self._sockets.items():
            if setup.mode in ("mts", role):
                source = _serve(source, socket.name, role, model or self.model, setup.beads)
        ase.io.write(folder / STRUCTURE, repeated(self.structure, setup.atoms))
        return source.write(folder / "input.xml")


def _serve(source: IpiInput, name: str, role: Role, model: str, beads: int) -> IpiInput:
    """Say what serves a force field."""
    kind, _, file = model.partition(" ")
    if kind not in ("metatomic", "dummy"):
        parameters = {"model": model, "role": str(role), "template": STRUCTURE}
        return source.replace_socket(
            name, parameters=parameters, unix_name=str(role), batch_size=beads
        )
    given = {"template": STRUCTURE, "model": file} if file else {}
    if file and role is Role.DIRECT:
        given["non_conservative"] = "True"
    return source.replace_socket_by_direct(name, kind, given, beads)


def repeated(structure: Atoms, n_atoms: int) -> Atoms:
    """Repeat a structure to ``n_atoms``, as close to a cube as it can be; InputError if not."""
    times, rest = divmod(n_atoms, len(structure))
    if rest or not times:
        raise InputError(
            f"expected atoms in multiples of {len(structure)}, the template's, got {n_atoms}"
        )
    splits = [
        (a, b, times // a // b)
        for a in range(1, times + 1)
        for b in range(1, times // a + 1)
        if times % (a * b) == 0
    ]
    best = min(splits, key=lambda split: (structure.cell.lengths() * split).max())
    return structure.repeat(best)
