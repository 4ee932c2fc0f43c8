"""Tests families of models, each in an environment of its own: their packages exclude each other.

``python tests/tools/families.py orb fairchem`` makes a virtual environment for each in a folder,
installs halfkick with the extra, runs the tests that need it and prints the versions. Without names
it takes all. Environments that are there are used again. fairchem's needs 3 GB.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = ("test_families.py", "test_torchsim.py", "test_calculators.py", "test_models_ase.py")
VERSIONS = """
import importlib.metadata, sys
print(*(f"{name} {importlib.metadata.version(name)}" for name in sys.argv[1:]), sep=", ")
"""
TOOLS = ("pytest>=8", "pytest-xdist>=3.6", "hypothesis>=6.100")


@dataclass(frozen=True)
class Family:
    """One environment.

    Attributes:
        extras: of halfkick.
        shows: packages whose versions are printed.
        tests: words that the names of its tests have, as pytest's -k takes them.
        python: the interpreter to make it with.
    """

    extras: tuple[str, ...]
    shows: tuple[str, ...]
    tests: str
    python: str = sys.executable


FAMILIES = {
    "sevennet": Family(("sevennet",), ("sevenn",), "sevennet"),
    "chgnet": Family(("chgnet",), ("chgnet",), "chgnet"),
    "orb": Family(("orb", "torchsim"), ("orb-models", "torch-sim-atomistic"), "orb or torchsim"),
    "fairchem": Family(("fairchem",), ("fairchem-core", "e3nn"), "fairchem"),
    "mattersim": Family(("mattersim",), ("mattersim",), "mattersim"),
    "nequip": Family(("nequip",), ("nequip",), "nequip"),
    "mace": Family(("mace",), ("mace-torch", "e3nn"), "mace"),
    "so3lr": Family(("so3lr",), ("so3krates-torch",), "so3lr"),
    "xtb": Family(("xtb",), ("tblite",), "tblite"),
    "torchsim": Family(
        ("torchsim", "sevennet"), ("torch-sim-atomistic", "sevenn"), "torchsim", "python3.12"
    ),
}


def run(name: str, family: Family, folder: Path) -> int:
    """Make the environment if it is not there, run the tests in it; returns pytest's exit code."""
    place = folder / name
    python = place / "bin" / "python"
    if not python.exists():
        subprocess.run([family.python, "-m", "venv", place], check=True)
        package = f"{ROOT}[{','.join(family.extras)}]"
        subprocess.run([python, "-m", "pip", "install", "-q", "-e", package, *TOOLS], check=True)
    files = [ROOT / "tests" / "unit" / file for file in TESTS]
    command = [python, "-m", "pytest", "-n", "0", "-q", "-m", "extra", "-k", family.tests, *files]
    code = subprocess.run(command, cwd=ROOT).returncode
    shows = ["torch", "numpy", *family.shows]
    print(f"{name}: exit code {code};", end=" ", flush=True)
    subprocess.run([python, "-c", VERSIONS, *shows], check=True)
    return code


def main() -> int:
    """Test the families named; returns 1 if the tests of one fail or there are none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="family", help=", ".join(FAMILIES))
    parser.add_argument(
        "--folder", type=Path, default=Path(".venv-families"), help="of environments"
    )
    arguments = parser.parse_args()
    unknown = {*arguments.names} - {*FAMILIES}
    if unknown:
        parser.error(f"expected some of {', '.join(FAMILIES)}, got {', '.join(unknown)}")
    names = arguments.names or list(FAMILIES)
    codes = [run(name, FAMILIES[name], arguments.folder.resolve()) for name in names]
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
