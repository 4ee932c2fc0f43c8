"""What is installed: every module and data file, the public names, and their types."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import halfkick

ROOT = Path(__file__).parents[2]
ROOMS = ("driver", "models", "ipi_inputs")
DATA = {".pt", ".ckpt", ".json", ".xml", ".xyz"}
BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
NAMES = ["ForceModel", "ForceResult", "Role", "Structure", "__version__", "load_model"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy, since a build leaves files."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    (source / ".src").mkdir(parents=True)
    for name in (*ROOMS, ".src/halfkick"):
        junk = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=junk)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BUILD, str(folder)],
        cwd=source, check=True, capture_output=True,
    )  # fmt: skip
    (path,) = folder.glob("halfkick-*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def shipped() -> set[str]:
    """Modules and data files of the checkout, as they are named in the wheel."""
    files = [path for room in ROOMS for path in (ROOT / room).rglob("*")]
    return {
        f"halfkick/{path.relative_to(ROOT).as_posix()}"
        for path in files
        if path.suffix in DATA | {".py"} and "__pycache__" not in path.parts
    }


def test_wheel_holds_every_module_and_data_file(wheel):
    names = set(wheel.namelist())
    assert not shipped() - names
    assert {"halfkick/__init__.py", "halfkick/py.typed"} <= names


def test_wheel_holds_nothing_else(wheel):
    others = set(wheel.namelist()) - shipped()
    allowed = r"halfkick-[\d.]+\.dist-info/|halfkick/(__init__\.py|py\.typed)$|.*\.(md|png)$"
    assert not [name for name in others if not re.match(allowed, name)]


def test_wheel_holds_scenarios_with_the_structure_they_start_from(wheel):
    starts = [name for name in wheel.namelist() if name.endswith("/init.xyz")]
    for name in starts:
        assert wheel.read(name) == (ROOT / name.partition("/")[2]).read_bytes()
    scenarios = {name.rpartition("/")[0] for name in wheel.namelist() if name.endswith("input.xml")}
    assert scenarios <= {name.rpartition("/")[0] for name in wheel.namelist() if ".xyz" in name}


def test_package_folders_have_an_init():
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            assert (path.parent / "__init__.py").exists(), path.parent


def test_package_offers_its_public_names():
    from halfkick.models import base, load

    assert sorted(halfkick.__all__) == NAMES
    for name in ("ForceModel", "ForceResult", "Role", "Structure"):
        assert getattr(halfkick, name) is getattr(base, name)
    assert halfkick.load_model is load.load_model
    assert re.fullmatch(r"\d+\.\d+\.\d+", halfkick.__version__)
    assert set(NAMES) <= set(dir(halfkick))
    with pytest.raises(AttributeError, match="'halfkick' has no attribute 'nonsense'"):
        _ = halfkick.nonsense


def test_package_import_loads_no_library():
    code = "import sys, halfkick; print(sorted({'numpy', 'torch', 'ase'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
