"""The process that trains: ``python -m halfkick.models.train.worker FOLDER``.

Reads ``plan.json`` and the frames in FOLDER, keeps its state there, and leaves ``model.ckpt``.
Started again after a kill it goes on where it was.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from ...backends.batch_size import is_out_of_memory
from ...backends.malloc import keep_memory
from ...errors import HalfkickError
from ..process import FAILED, OUT_OF_MEMORY
from .training import Training

__all__ = ["main"]


def main(folder: Path) -> int:
    """Train; return an exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    keep_memory()
    try:
        Training(folder).run()
    except HalfkickError as error:
        print(error, file=sys.stderr)
        return FAILED
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return OUT_OF_MEMORY
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
