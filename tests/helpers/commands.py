"""``halfkick`` in the process of the tests, which has loaded what a new one would have to load."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
from pathlib import Path
from subprocess import CompletedProcess
from unittest.mock import patch

import pytest

from halfkick.driver.cli import main


def halfkick(folder: Path, *words: str) -> CompletedProcess[str]:
    """What a shell in ``folder`` would get of a command; the process is left as it was."""
    out, err = io.StringIO(), io.StringIO()
    terminate = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.MonkeyPatch.context() as here, patch.dict(os.environ):
            here.chdir(folder)
            here.setattr(sys, "argv", ["halfkick", *words])
            here.setattr(sys, "stdout", out)
            here.setattr(sys, "stderr", err)
            here.setattr(logging.root, "handlers", [])  # not pytest's: the command adds its own
            with pytest.raises(SystemExit) as ended:
                main()
    finally:
        signal.signal(signal.SIGTERM, terminate)
    return CompletedProcess(words, int(ended.value.code or 0), out.getvalue(), err.getvalue())
