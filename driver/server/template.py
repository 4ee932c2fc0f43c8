"""The template of a force field: all of a structure that i-PI does not send."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...models.base import Inputs
from ...models.labels import element
from ..ipi.inputs import inputs_of
from ..ipi.structures import read_structures

__all__ = ["Template", "read_template"]

log = logging.getLogger("halfkick")


class Template(NamedTuple):
    """What a structure file says.

    Attributes:
        numbers: atomic numbers, shape (N,).
        pbc: periodic directions, shape (3,).
        inputs: charge, spin and what else calculators read.
    """

    numbers: NDArray[np.int_]
    pbc: NDArray[np.bool_]
    inputs: Inputs


def read_template(path: Path, parameters: Mapping[str, str] | None = None) -> Template:
    """Read a structure file that ASE reads.

    A file that says nothing about periodicity (a plain xyz) counts as periodic: i-PI always has
    a cell. ``pbc="F F F"`` in an extended xyz makes an isolated molecule. Isotopes are their
    elements; an atom whose label is of no element has number 0.

    Args:
        path: of the file, whose last frame counts.
        parameters: of the force field, whose ``charge`` and ``spin`` count instead of the file's.

    Raises:
        InputError: if there is no such file, or it cannot be read.
    """
    from ase.data import atomic_numbers

    frame = read_structures(path)[-1]
    numbers = [atomic_numbers.get(element(label), 0) for label in frame.labels]
    if 0 in numbers:
        of_none = {label for label, number in zip(frame.labels, numbers, strict=True) if not number}
        log.info("%s: labels of no element: %s", path, ", ".join(sorted(of_none)))
    inputs = inputs_of(frame, parameters)
    return Template(np.array(numbers, np.int_), np.array(frame.periodic, np.bool_), inputs)
