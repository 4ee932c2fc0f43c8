"""Files that are there as a whole or not at all, whenever the process is killed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["draft_of", "write_atomically"]


@contextmanager
def draft_of(path: Path) -> Iterator[Path]:
    """Give a file beside ``path`` to write to; it takes the place of ``path`` at the end.

    If anything is raised within, ``path`` stays as it was.
    """
    draft = path.with_name(path.name + ".part")
    yield draft
    draft.replace(path)


def write_atomically(path: Path, text: str) -> None:
    """Write a text file as a whole."""
    with draft_of(path) as draft:
        draft.write_text(text)
