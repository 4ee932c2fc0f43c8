"""Freed memory stays with the process that will need it again."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

CODE = """
import resource, numpy as np
from halfkick.models.backends.malloc import keep_memory
{first}
for _ in range(5):
    np.ones(10**7)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(10**7)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(first: str, **variables: str) -> int:
    """Pages that twenty arrays of 80 MB needed after the first five."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")} | variables
    command = [sys.executable, "-c", CODE.format(first=first)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives memory back so")
def test_freed_memory_is_kept_unless_the_user_says_otherwise():
    assert faults("keep_memory()") < 100
    assert faults("") > 500
    assert faults("keep_memory()", MALLOC_ARENA_MAX="2") > 500
