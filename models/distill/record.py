"""The progress of a distillation, on disk: a repeated command goes on from it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import ModelError

__all__ = ["Record", "write_atomically"]


class Record:
    """The file ``rounds.json`` of a working folder.

    Args:
        folder: made if it does not exist.
        lasting: what must be the same in each invocation.
        clock: tells the time in seconds.

    Attributes:
        rounds: one dictionary for each round, in their order.

    Raises:
        ModelError: if the folder belongs to another distillation.
    """

    def __init__(
        self,
        folder: Path,
        lasting: dict[str, Any],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "rounds.json"
        self._lasting = lasting
        self.rounds: list[dict[str, Any]] = []
        self._before_s = 0.0
        self._clock, self._start = clock, clock()
        if not self.is_new:
            self._read()

    def _read(self) -> None:
        before = json.loads(self._path.read_text())
        changed = [k for k, v in self._lasting.items() if before["lasting"].get(k) != v]
        if changed:
            name = changed[0]
            raise ModelError(
                f"expected {name} {before['lasting'].get(name)} as when '{self._path.parent}' was "
                f"begun, got {self._lasting[name]}; repeat the command, or name another --work"
            )
        self.rounds = before["rounds"]
        self._before_s = before["seconds"]

    @property
    def is_new(self) -> bool:
        """Whether nothing has been saved yet."""
        return not self._path.is_file()

    @property
    def seconds(self) -> float:
        """Wall time of all invocations together, as far as they have saved it."""
        return self._before_s + self._clock() - self._start

    def round(self, index: int) -> dict[str, Any]:
        """What is known of a round, to be added to."""
        while len(self.rounds) <= index:
            self.rounds.append({})
        return self.rounds[index]

    def save(self) -> None:
        """Write it."""
        text = {"lasting": self._lasting, "rounds": self.rounds, "seconds": round(self.seconds, 1)}
        write_atomically(self._path, json.dumps(text, indent=1) + "\n")


def write_atomically(path: Path, text: str) -> None:
    """Write a file that is there as a whole or not at all."""
    draft = path.with_name(path.name + ".part")
    draft.write_text(text)
    draft.replace(path)
