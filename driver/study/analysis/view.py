"""A chemiscope view of frames with their forces as arrows, to be put into a page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ....models.base import Role
from ....models.plotting import BLUE, RED
from ....models.statistics import rms
from ...errors import InputError

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["view"]

COLORS = {Role.DIRECT: int(RED[1:], 16), Role.CONSERVATIVE: int(BLUE[1:], 16)}
LONGEST_ARROW = 1.5  # Å
PAGE = """<div id="view" style="display:flex;flex-wrap:wrap;gap:1em">
  <div style="flex:1 1 20em;position:relative;height:26em" id="view-map"></div>
  <div style="flex:1 1 20em">
    <div style="position:relative;height:26em" id="view-structure"></div>
    <div id="view-info"></div><div id="view-meta"></div>
  </div>
</div>
<script>{script}</script>
<script>
  const data = {data};
  const warnings = new Chemiscope.Warnings();
  warnings.addHandler((message) => console.warn(message));
  Chemiscope.DefaultVisualizer.load(
    {{map: "view-map", info: "view-info", meta: "view-meta", structure: "view-structure"}},
    data, warnings,
  ).catch((error) => {{ document.getElementById("view").textContent = String(error); }});
</script>
"""


def view(
    title: str,
    frames: Sequence[Atoms],
    times_ps: NDArray[np.float64],
    forces: Mapping[Role, Sequence[NDArray[np.float64]]],
) -> str:
    """Return HTML that shows the frames without loading anything from elsewhere.

    Args:
        title: of the data.
        frames: structures.
        times_ps: of each, shape (frames,).
        forces: of each, eV/Å, shape (N, 3), for the roles there are.

    Raises:
        InputError: if chemiscope is not installed.
    """
    try:
        import chemiscope
    except ImportError as error:
        raise InputError(
            "expected chemiscope for the view of the trajectory, got none; install it with: "
            'pip install "halfkick[report]", or leave the view out with --no-view'
        ) from error
    longest = max((np.abs(f).max() for of_role in forces.values() for f in of_role), default=1.0)
    shapes = {
        f"{role} force": _arrows(of_role, LONGEST_ARROW / longest, COLORS[role])
        for role, of_role in forces.items()
    }
    data = chemiscope.create_input(
        structures=[_plain(frame) for frame in frames],
        metadata={"name": title},
        properties=_properties(frames, times_ps, forces),
        shapes=shapes or None,
        settings=chemiscope.quick_settings(
            periodic=bool(frames[0].pbc.any()),
            trajectory=True,
            structure_settings={"shape": ",".join(shapes), "unitCell": bool(frames[0].pbc.any())},
        ),
    )
    folder = resources.files("chemiscope") / "sphinx" / "static"
    script = (folder / "chemiscope.min.js").read_text(encoding="utf-8")
    return PAGE.format(script=_inline(script), data=_inline(json.dumps(data)))


def _plain(frame: Atoms) -> Atoms:
    """The structure alone, its molecules wrapped into the cell."""
    plain = type(frame)(frame.numbers, frame.positions, cell=frame.cell, pbc=frame.pbc)
    if plain.pbc.any():
        plain.wrap()
    return plain


def _arrows(forces: Sequence[NDArray[np.float64]], scale: float, color: int) -> dict[str, Any]:
    """Chemiscope's arrows for forces of shape (N, 3) of each frame, eV/Å, by ``scale`` in Å."""
    vectors = [{"vector": [float(x) for x in force]} for f in forces for force in f * scale]
    common = {
        "baseRadius": 0.06,
        "headRadius": 0.12,
        "headLength": 0.2,
        "color": color,
    }
    return {"kind": "arrow", "parameters": {"global": common, "atom": vectors}}


def _properties(
    frames: Sequence[Atoms],
    times_ps: NDArray[np.float64],
    forces: Mapping[Role, Sequence[NDArray[np.float64]]],
) -> dict[str, Any]:
    """Time of each frame, and the gap where both forces are known, else the RMS force."""

    def of_frames(values: Iterable[float], units: str, about: str) -> dict[str, Any]:
        listed = [float(v) for v in values]
        return {"target": "structure", "values": listed, "units": units, "description": about}

    properties = {"time": of_frames(times_ps, "ps", "time of the frame")}
    if len(forces) == 2:
        pairs = zip(forces[Role.CONSERVATIVE], forces[Role.DIRECT], strict=True)
        gaps = [1e3 * rms(a - b) for a, b in pairs]
        properties["gap"] = of_frames(gaps, "meV/Å", "RMS of conservative - direct force")
    elif forces:
        (of_role,) = forces.values()
        properties["force"] = of_frames([rms(f) for f in of_role], "eV/Å", "RMS force")
    else:
        properties["frame"] = of_frames(range(len(frames)), "", "number of the frame")
    return properties


def _inline(text: str) -> str:
    """Text that may stand inside a script element."""
    return text.replace("</script", "<\\/script")
