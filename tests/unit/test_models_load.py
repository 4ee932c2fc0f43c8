"""From the name of a model to the model, and one clear line where that fails."""

import subprocess
import sys
from pathlib import Path

import exported
import finite
import pytest
import toy

from halfkick.models.base import ForceModel, Role
from halfkick.models.errors import ModelError
from halfkick.models.load import load_model
from halfkick.models.spec import ModelSpec


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write Python source to a module in the working directory; returns its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def write(name, source):
        Path(f"{name}.py").write_text(source)
        monkeypatch.delitem(sys.modules, name, raising=False)
        return name

    return write


def test_shipped_model():
    model = load_model("water")
    assert model.name == "water"
    assert model.capabilities.roles == model.capabilities.stress == frozenset(Role)
    assert model.capabilities.species == {1, 8}


def test_file_with_options(tmp_path, monkeypatch):
    exported.export(tmp_path / "soft.pt", variant="pbe")
    monkeypatch.chdir(tmp_path)
    for spec in ("soft.pt", "./soft.pt", str(tmp_path / "soft.pt")):
        model = load_model(f"{spec}?variant=pbe&chunk=3&skin=0.5")
        assert model.name == "soft"
        assert model._batch_sizes["any"].next_size(9) == 3


def test_python_factory():
    model = load_model("python:toy:toy?direct_stress=False&nan_after=7")
    assert isinstance(model, ForceModel)
    assert model.capabilities.stress == {Role.CONSERVATIVE}
    assert model.nan_after == 7
    finite.evaluate(model, finite.structure_of(toy.atoms()), Role.DIRECT)


def test_module_in_the_working_directory(module):
    name = module("my_model_a", "import toy\nmake = toy.Toy\n")
    assert load_model(f"python:{name}:make").name == "toy"


def test_device_and_dtype_reach_a_factory_that_takes_them(module):
    source = (
        "import toy\n"
        "def make(dtype='own', device='cpu'):\n"
        "    model = toy.Toy()\n    model.asked = dtype\n    return model\n"
    )
    name = module("my_model_b", source)
    assert load_model(f"python:{name}:make").asked == "own"
    assert load_model(f"python:{name}:make", dtype="float64").asked == "float64"
    assert load_model(f"python:{name}:make?dtype=x", dtype="float64").asked == "x"


def test_options_are_literals_or_text():
    text = "a=1&b=1e-3&c=True&d=GFN2-xTB&e=None&f=[1,2]&g=x=y&h="
    assert ModelSpec.parse(f"water?{text}").options == {
        "a": 1,
        "b": 1e-3,
        "c": True,
        "d": "GFN2-xTB",
        "e": None,
        "f": [1, 2],
        "g": "x=y",
        "h": "",
    }
    assert ModelSpec.parse("water").options == ModelSpec.parse("water?").options == {}


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        ("watr", {}, r"expected a model that ships \(.*water.*\).*got 'watr'"),
        ("", {}, "expected a model"),
        ("no/such.pt", {}, "got 'no/such.pt', which does not exist in"),
        (__file__, {}, "expected an exported metatomic model, got .*test_models_load.py"),
        ("water?skn=1", {}, "expected options variant, extensions, chunk, skin, engine .* got skn"),
        ("water?skin", {}, "expected options as key=value, got 'skin'"),
        ("ase:", {}, "expected 'module:factory', got ''"),
        ("ase", {}, "expected 'module:factory', got ''"),
        ("python:toy", {}, "expected 'module:factory', got 'toy'"),
        ("python:toy:nothing", {}, "expected a function or class 'nothing' in module 'toy', got n"),
        (
            "python:toy:CUTOFF",
            {},
            "expected a function or class 'CUTOFF' in module 'toy', got float",
        ),
        ("python:toy:atoms", {}, "ForceModel, got Atoms; for an ASE calculator write 'ase:toy:at"),
        ("python:toy:toy?x=1", {}, "expected 'toy:toy' to return a model, got TypeError"),
        ("python:no_such_module:f", {}, "No module named 'no_such_module'; install it, or put it"),
        ("ase:os:getcwd", {}, "expected 'os:getcwd' to return an ASE calculator"),
        ("water", {"dtype": "float16"}, "expected dtype float32 or float64, got 'float16'"),
        ("python:toy:toy", {"dtype": "float32"}, "expected a factory that takes 'dtype'"),
        ("water", {"device": "gpu"}, "expected device cpu, cuda or cuda:N, got 'gpu'"),
        ("water", {"device": "cuda:x"}, "expected device cpu, cuda or cuda:N, got 'cuda:x'"),
        ("water", {"device": "cuda:99"}, "expected a GPU for device 'cuda:99', got [0-9]+ of them"),
    ],
)
def test_one_clear_line(spec, options, message):
    with pytest.raises(ModelError, match=message) as caught:
        load_model(spec, **options)
    assert len(str(caught.value).splitlines()) == 1
    assert ";" in str(caught.value), "says what to do"


@pytest.mark.parametrize(
    ("package", "extra"), [("so3krates_torch.calculator.so3", "so3lr"), ("tblite.ase", "xtb")]
)
def test_names_the_extra_to_install(package, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)  # as if not installed, imported or not
    with pytest.raises(ModelError, match=rf'pip install "halfkick\[{extra}\]"'):
        load_model(f"ase:{package}:Calculator")


def test_a_module_with_a_mistake(module):
    name = module("my_model_c", "this is no Python\n")
    with pytest.raises(ModelError, match=f"module '{name}' to be importable, got SyntaxError"):
        load_model(f"python:{name}:make")
    name = module("my_model_d", "def make():\n    raise KeyError('weights')\n")
    with pytest.raises(ModelError, match="to return a model, got KeyError: 'weights'"):
        load_model(f"python:{name}:make")


def test_torch_is_imported_only_for_models_that_need_it():
    code = (
        "import sys\nfrom halfkick.models.load import load_model\n"
        "load_model('ase:ase.calculators.emt:EMT')\nassert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
