"""Whether what a gradient needs fits into memory, or has to be made again."""

from __future__ import annotations

import logging
from pathlib import Path

from .config import PETConfig

__all__ = ["GradientMemory", "available_bytes"]

logger = logging.getLogger(__name__)

ROWS_PER_LAYER = 40
"""Rows of ``d_pet`` numbers that a transformer layer keeps for the gradient of each edge: 32 for
liquid water, 37 for iron."""

SHARE = 0.5  # of the memory that is available: others want some, too
GROWTH = 1.1  # of the edges, before what is available is asked again

MEMORY = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")


class GradientMemory:
    """Says whether the gradient of a graph fits.

    The answer for a graph holds for smaller ones and a little larger ones: the memory of a pass
    stays with the process, so that the same question would be answered otherwise the next time.

    Args:
        config: of the network.
        itemsize: bytes of a number.
    """

    def __init__(self, config: PETConfig, itemsize: int) -> None:
        layers = config.num_gnn_layers * config.num_attention_layers
        self._bytes_per_edge = ROWS_PER_LAYER * layers * config.d_pet * itemsize
        self._asked, self._fits = 0.0, True

    def fits(self, n_edges: int) -> bool:
        """Whether that of so many edges does; unknown memory is taken to be enough."""
        if n_edges <= self._asked:
            return self._fits
        self._asked = GROWTH * n_edges
        available, needed = available_bytes(), n_edges * self._bytes_per_edge
        fits = available is None or needed <= SHARE * available
        if self._fits and not fits and available is not None:
            logger.info(
                "a gradient of %.1f GB would take more than half of the %.1f GB of memory that are "
                "available: it is made in blocks", 1e-9 * needed, 1e-9 * available
            )  # fmt: skip
        self._fits = fits
        return fits


def available_bytes() -> int | None:
    """Memory that this process could take: the machine's, or its control group's if that is less.

    ``None`` where neither is told.
    """
    found = [_of_machine(), _of_group()]
    return min((x for x in found if x is not None), default=None)


def _of_machine() -> int | None:
    try:
        lines = MEMORY.read_text().splitlines()
    except OSError:
        return None
    values = (line.split()[1] for line in lines if line.startswith("MemAvailable:"))
    return next((1024 * int(value) for value in values), None)


def _of_group() -> int | None:
    """The limit (``max`` where there is none) less what is in use."""
    try:
        limit, used = ((CGROUP / f"memory.{x}").read_text() for x in ("max", "current"))
        return max(0, int(limit) - int(used))
    except (OSError, ValueError):
        return None
