"""Inputs for the checks, and what these say of them."""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms

from halfkick.driver.ipi.checks import check_input
from halfkick.driver.ipi.input import IpiInput
from halfkick.driver.run.job import prepare
from halfkick.models.errors import HalfkickError

INPUT = """<simulation> %(fields)s %(smotion)s <system>
    <initialize nbeads='%(beads)d'> %(start)s </initialize>
    <forces> %(forces)s </forces>
    <motion mode='%(motion)s'> %(how)s </motion>
  </system> </simulation>"""

SOCKET = "<ffsocket name='f' %s> <parameters> {model: %s, role: %s, template: %s} %s </ffsocket>"

STANDARD = {
    "start": "<file mode='ase'> init.xyz </file>",
    "beads": 1,
    "motion": "dynamics",
    "how": "<dynamics mode='nve'/>",
    "forces": "<force forcefield='f'/>",
    "smotion": "",
}

NPT = "<dynamics mode='npt'><barostat mode='isotropic'/></dynamics>"

REMD = "<smotion mode='remd'/>"


def given(
    folder: Path,
    frames: Atoms | list[Atoms],
    *,
    template: Atoms | None = None,
    model: str = "python:toy:toy",
    role: str = "conservative",
    attributes: str = "",
    extra: str = "",
    **parts: object,
) -> IpiInput:
    """An input in a folder, with the files that it names."""
    ase.io.write(folder / "init.xyz", frames)
    named = "init.xyz"
    if template is not None:
        ase.io.write(folder / "template.xyz", template)
        named = "template.xyz"
    field = SOCKET % (attributes, model, role, named, "</parameters>" + extra)
    path = folder / "input.xml"
    path.write_text(INPUT % (STANDARD | {"fields": field} | parts))
    return IpiInput.read(path)


def refuses(source: IpiInput, *words: str) -> None:
    """Both a run and a driver on its own say so, in one line, and leave the folder as it is."""
    before = {path: path.stat().st_mtime_ns for path in source.folder.iterdir()}
    for alone in (False, True):
        with pytest.raises(HalfkickError) as caught:
            check_input(source, source.folder, alone=alone)
        message = str(caught.value)
        assert "\n" not in message and message.startswith("expected ")
        assert all(word in message for word in words), message
    with pytest.raises(HalfkickError):
        prepare(source.path, steps=3, restart=False)
    assert {path: path.stat().st_mtime_ns for path in source.folder.iterdir()} == before


def accepts(source: IpiInput) -> None:
    check_input(source, source.folder)
    check_input(source, source.folder, alone=True)


def ion(**info: object) -> Atoms:
    ammonium = Atoms("NH4", np.eye(5, 3) + 5.0, cell=[10, 10, 10], pbc=False)
    ammonium.info.update(info)
    return ammonium


def molecule(labels: str) -> Atoms:
    return Atoms(labels, np.eye(9, 3)[: len(Atoms(labels))], cell=[9, 9, 9], pbc=False)


def crystal(cell: object, pbc: object = True) -> Atoms:
    return Atoms("H2", [[1, 1, 1], [2, 1, 1]], cell=cell, pbc=pbc)


TRICLINIC = np.array([[5.0, 0.3, 0.1], [1.0, 6.0, 0.2], [0.5, 0.7, 7.0]])
UPRIGHT = np.array([[5.0, 0.0, 0.0], [1.0, 6.0, 0.0], [0.5, 0.7, 7.0]])
