"""i-PI's properties file: how energies and temperature went."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np
from numpy.typing import NDArray

from halfkick.driver.units import HARTREE

__all__ = ["Properties", "read_last", "read_properties"]

TAIL = 1 << 16  # bytes, more than any row


@dataclass(frozen=True, eq=False)
class Properties:
    """Columns of a properties file, each of shape (rows,), or ``None`` if it is not written.

    Attributes:
        step: outer steps.
        time: ps.
        conserved: eV.
        potential: eV.
        temperature: K.
    """

    step: NDArray[np.float64] | None = None
    time: NDArray[np.float64] | None = None
    conserved: NDArray[np.float64] | None = None
    potential: NDArray[np.float64] | None = None
    temperature: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        columns = (self.step, self.time, self.conserved, self.potential, self.temperature)
        return max((len(column) for column in columns if column is not None), default=0)


def read_properties(path: Path | None) -> Properties:
    """All complete rows; none if there is no file."""
    if path is None or not path.exists():
        return Properties()
    with path.open("rb") as file:
        return _parse(file)


def read_last(path: Path | None) -> Properties:
    """The last complete row, without reading all of a file that grows; none if there is none."""
    if path is None or not path.exists():
        return Properties()
    with path.open("rb") as file:
        header = []
        for line in file:
            if not line.startswith(b"#"):
                break
            header.append(line)
        start = sum(map(len, header))
        file.seek(max(start, path.stat().st_size - TAIL))
        rows = file.read().splitlines(keepends=True)
    complete = [row for row in rows if row.endswith(b"\n")]
    return _parse([*header, *complete[-1:]])


def _parse(lines: Iterable[bytes]) -> Properties:
    """Let i-PI's own reader read the complete ones of ``lines``."""
    from ipi.scripting.parsing import read_output
    from ipi.utils.units import unit_to_internal

    with NamedTemporaryFile() as file:
        file.writelines(line for line in lines if line.endswith(b"\n"))
        file.flush()
        values, about = read_output(file.name)

    def column(name: str, dimension: str, scale: float) -> NDArray[np.float64] | None:
        if name not in values or np.size(values[name]) == 0:
            return None
        unit = about[name][0] or "atomic_unit"
        factor = scale * (unit_to_internal(dimension, unit, 1.0) if dimension else 1.0)
        return np.atleast_1d(values[name]).astype(float) * factor

    return Properties(
        step=column("step", "", 1.0),
        time=column("time", "time", 1.0 / unit_to_internal("time", "picosecond", 1.0)),
        conserved=column("conserved", "energy", HARTREE),
        potential=column("potential", "energy", HARTREE),
        temperature=column(
            "temperature", "temperature", 1.0 / unit_to_internal("temperature", "kelvin", 1.0)
        ),
    )
