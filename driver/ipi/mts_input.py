"""Inputs with direct and conservative forces, and the runs that are made from one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...models.base import Role
from ..errors import InputError
from .input import IpiInput
from .motion import Bath
from .outputs import Output, Outputs
from .sockets import Socket, own_prefix

__all__ = ["FORCES", "MtsInput", "RunSettings", "roles_of"]

FORCES = (str(Role.CONSERVATIVE), str(Role.DIRECT), "mts")
"""What a run can be on: one of the two forces alone, or both by multiple time stepping."""

PROPERTIES = (
    "step, time{picosecond}, conserved{electronvolt}, temperature{kelvin}, "
    "potential{electronvolt}, kinetic_md{electronvolt}"
)
NEVER = "1000000"  # steps between two states that i-PI keeps in case that it is ended


@dataclass(frozen=True)
class RunSettings:
    """What is to be run.

    Attributes:
        forces: one of ``FORCES``.
        inner_fs: the step of the fast force.
        stride: inner steps in an outer one; 1 unless ``forces`` is ``mts``.
        ensemble: ``nve``, ``svr`` or ``langevin``.
        tau_fs: of the thermostat.
        ps: length.
        seed: of velocities and thermostat.
        every: outer steps between two frames of positions and velocities; 0 writes none.
        gap: whether to write both forces with the frames.
    """

    forces: str
    inner_fs: float
    ps: float
    stride: int = 1
    ensemble: str = "nve"
    tau_fs: float = 100.0
    seed: int = 1
    every: int = 0
    gap: bool = False

    @property
    def steps(self) -> int:
        """Outer steps."""
        return max(1, round(1e3 * self.ps / (self.inner_fs * self.stride)))


def roles_of(source: IpiInput) -> dict[Role, Socket]:
    """The sockets that serve each role, the last one of each."""
    roles = set(map(str, Role))
    named = [((s.parameters or {}).get("role", ""), s) for s in source.sockets]
    return {Role(role): socket for role, socket in named if role in roles}


class MtsInput:
    """An input with two force fields and two levels of multiple time stepping.

    Args:
        source: i-PI's input.

    Attributes:
        source: with the files that it names made absolute.
        stride: inner steps in an outer one.
        inner_fs: the inner step.

    Raises:
        InputError: if the input is another kind of calculation.
    """

    def __init__(self, source: IpiInput) -> None:
        self.source = source
        self._sockets = roles_of(source)
        if len(self._sockets) != len(Role):
            raise InputError(
                f"expected a direct and a conservative <ffsocket> in '{source.path}', got "
                f"{', '.join(self._sockets) or 'neither'}; name their roles in <parameters>"
            )
        nmts, step_fs = source.nmts, source.timestep_fs
        if len(nmts) != 2 or len(source.systems) != 1 or step_fs is None:
            raise InputError(
                f"expected one <system> with <nmts> [1, M] in '{source.path}', got nmts "
                f"[{', '.join(map(str, nmts))}]; start from the scenario water_nve_mts"
            )
        self.stride = nmts[0] * nmts[1]
        self.inner_fs = step_fs / self.stride

    def make(
        self, settings: RunSettings, *, start: Path | None = None, species: Sequence[str] = ()
    ) -> IpiInput:
        """The input of a run, which can stand anywhere.

        Args:
            settings: what is to be run.
            start: RESTART whose positions and cell to start from, with fresh velocities; ``None``
                to start as the input does.
            species: whose temperatures to write.
        """
        mts, nve = settings.forces == "mts", settings.ensemble == "nve"
        made = self.source.with_absolute_paths()
        direct = self._sockets[Role.DIRECT]
        alone = settings.forces == Role.DIRECT or self.source.without_energy == direct.forcefield
        if alone and nve and settings.forces != Role.CONSERVATIVE:
            # twice the price, for a total energy to look at
            parameters = roles_of(made)[Role.DIRECT].parameters or {}
            made = made.replace_socket(direct.name, parameters=parameters | {"energy": "model"})
        if not mts:
            made = made.with_one_force_field(self._sockets[Role(settings.forces)].forcefield)
        return made.replace(
            attributes={"floatformat": "%24.16e", "safe_stride": NEVER},
            total_steps=settings.steps,
            seed=settings.seed,
            outputs=_outputs(settings, species),
            timestep_fs=settings.inner_fs * settings.stride,
            nmts=(1, settings.stride) if mts else (),
            ensemble="nve" if nve else "nvt",
            thermostat=None if nve else Bath(settings.ensemble, settings.tau_fs),
            checkpoint=start,
        )

    def write(
        self,
        settings: RunSettings,
        folder: Path,
        *,
        start: Path | None = None,
        species: Sequence[str] = (),
    ) -> Path:
        """Write the input of a run into a folder, made if it is not there; see :meth:`make`."""
        folder.mkdir(parents=True, exist_ok=True)
        made = self.make(settings, start=start, species=species)
        prefix = {"sockets_prefix": own_prefix(folder)}
        return made.replace(attributes=prefix).write(folder / "input.xml")

    def recommended(self, inner_fs: float, stride: int) -> IpiInput:
        """The input with another inner step and stride, everything else as it was."""
        return self.source.replace(timestep_fs=inner_fs * stride, nmts=(1, stride))


def _outputs(settings: RunSettings, species: Sequence[str]) -> Outputs:
    more = "".join(f", temperature({s}){{kelvin}}" for s in species)
    kinds = {"positions": "positions", "velocities": "velocities"} if settings.every else {}
    if settings.gap:
        kinds |= {f"force{k}": f"forces_component_raw({k})" for k in (0, 1)}
    stride, how = max(settings.every, 1), {"format": "ase", "bead": "0"}
    frames = [Output("trajectory", name, stride, kind, how) for name, kind in kinds.items()]
    return Outputs(
        "out", [Output("properties", "properties", 1, f"[ {PROPERTIES}{more} ]"), *frames]
    )
