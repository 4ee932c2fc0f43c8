"""From the name of a model to the model, and one clear line where that fails."""

import importlib
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import exported
import finite
import pytest
import toy

from halfkick.models import load, registry
from halfkick.models.base import ForceModel, Role
from halfkick.models.errors import ModelError
from halfkick.models.load import load_model
from halfkick.models.spec import ModelSpec
from halfkick.models.testing import check_force_model


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


def test_load_model_finds_the_model_that_ships():
    model = load_model("water")
    assert model.name == "water"
    assert model.capabilities.roles == model.capabilities.stress == frozenset(Role)
    assert model.capabilities.species == {1, 8}


def test_load_model_reads_a_file_with_options(tmp_path, monkeypatch):
    exported.export(tmp_path / "soft.pt", variant="pbe")
    monkeypatch.chdir(tmp_path)
    for spec in ("soft.pt", "./soft.pt", str(tmp_path / "soft.pt")):
        model = load_model(f"{spec}?variant=pbe&chunk=3&skin=0.5")
        assert model.name == "soft"
        assert model._batch_sizes["any"].next_size(9) == 3


def test_load_model_calls_a_python_factory():
    model = load_model("python:toy:toy?direct_stress=False&nan_after=7")
    assert isinstance(model, ForceModel)
    assert model.capabilities.stress == {Role.CONSERVATIVE}
    assert model.nan_after == 7
    finite.evaluate(model, finite.structure_of(toy.atoms()), Role.DIRECT)


def test_load_model_imports_from_the_working_directory(module):
    name = module("my_model_a", "import toy\nmake = toy.Toy\n")
    assert load_model(f"python:{name}:make").name == "toy"


def test_load_model_passes_device_and_dtype_to_a_factory_that_takes_them(module):
    source = (
        "import toy\n"
        "def make(dtype='own', device='cpu'):\n"
        "    model = toy.Toy()\n    model.asked = dtype\n    return model\n"
    )
    name = module("my_model_b", source)
    assert load_model(f"python:{name}:make").asked == "own"
    assert load_model(f"python:{name}:make", dtype="float64").asked == "float64"
    assert load_model(f"python:{name}:make?dtype=x", dtype="float64").asked == "x"


def test_model_options_are_literals_or_text():
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
        ("water?skn=1", {}, "expected options variant, .*skin, engine, extensions .* got skn"),
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
def test_load_model_says_errors_in_one_line(spec, options, message):
    with pytest.raises(ModelError, match=message) as caught:
        load_model(spec, **options)
    assert len(str(caught.value).splitlines()) == 1
    assert ";" in str(caught.value), "says what to do"


@pytest.mark.parametrize(
    ("package", "extra"), [("so3krates_torch.calculator.so3", "so3lr"), ("tblite.ase", "xtb")]
)
def test_load_model_names_the_extra_to_install(package, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)  # as if not installed, imported or not
    with pytest.raises(ModelError, match=rf'pip install "halfkick\[{extra}\]"'):
        load_model(f"ase:{package}:Calculator")


def test_load_model_shows_a_mistake_in_a_module(module):
    name = module("my_model_c", "this is no Python\n")
    with pytest.raises(ModelError, match=f"module '{name}' to be importable, got SyntaxError"):
        load_model(f"python:{name}:make")
    name = module("my_model_d", "def make():\n    raise KeyError('weights')\n")
    with pytest.raises(ModelError, match="to return a model, got KeyError: 'weights'"):
        load_model(f"python:{name}:make")


PLUGIN = """
from halfkick.models.base import Role
from halfkick.models.registry import Kind

KIND = Kind(
    loader="plugin_models:load",
    form="swirl:SCALE",
    help="the toy by another name",
    example="swirl:2",
    roles=frozenset(Role),
    runs_named_code=False,
    init_options=("direct",),
)
NO_KIND = 3
LOST = Kind("plugin_models:nothing", "lost", "", "lost", frozenset(Role), False)
WRONG = Kind("plugin_models:wrong", "wrong", "", "wrong", frozenset(Role), False)
"""

PLUGIN_MODELS = """
from toy import Toy

def load(spec, device, dtype):
    model = Toy(**spec.options)
    model.name = f"swirl {spec.target}"
    return model

def wrong(spec, device, dtype):
    return 3
"""

ENTRY_POINTS = """
[halfkick.models]
swirl = plugin:KIND
no-kind = plugin:NO_KIND
absent = no_such_package:KIND
lost = plugin:LOST
wrong = plugin:WRONG
so3lr = plugin:KIND
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A package that is installed and brings kinds of models."""
    (tmp_path / "plugin.py").write_text(PLUGIN)
    (tmp_path / "plugin_models.py").write_text(PLUGIN_MODELS)
    info = tmp_path / "plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(tmp_path)
    registry._entry_points.cache_clear()
    yield
    registry._entry_points.cache_clear()
    for name in ("plugin", "plugin_models"):
        sys.modules.pop(name, None)


def test_entry_point_brings_a_kind(plugin):
    model = load_model("swirl:2?direct=False")
    assert model.name == "swirl 2" and model.capabilities.roles == {Role.CONSERVATIVE}
    check_force_model(load_model("swirl:2"), [finite.structure_of(toy.atoms())], tolerance=1e-7)
    spec = ModelSpec.parse("swirl:2?direct=False")
    assert spec.named_code is None and spec.with_options(path="x").named_code == "path"
    with pytest.raises(ModelError, match=r"'python:…', absent, lost, no-kind, swirl or wrong, got"):
        load_model("swirls")


def test_entry_point_cannot_replace_a_kind(plugin):
    assert ModelSpec.parse("so3lr").kind == "so3lr"
    assert registry.find_kind("so3lr") is registry.KINDS["so3lr"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent:x", "entry point 'absent = no_such_package:KIND' to be importable, got ModuleNot"),
        ("no-kind", r"entry point 'no-kind = plugin:NO_KIND' to be a .*registry\.Kind, got int"),
        ("lost", "expected 'plugin_models:nothing' to load models of the form lost, got Attribute"),
        ("wrong", r"expected 'plugin_models:wrong' to return a .*ForceModel, got int"),
    ],
)
def test_entry_point_that_is_broken_is_one_clear_line(plugin, name, message):
    with pytest.raises(ModelError, match=message) as caught:
        load_model(name)
    assert len(str(caught.value).splitlines()) == 1


def test_entry_points_are_asked_last(monkeypatch, tmp_path):
    """What is built in, ships or is a file costs no search among installed packages."""
    monkeypatch.setattr(registry, "_entry_points", lambda: pytest.fail("searched"))
    monkeypatch.chdir(tmp_path)
    Path("model").touch()
    for name in ("water", "so3lr", "tblite:GFN2-xTB", "some/file.pt", "file.pt", "model", "a.ckpt"):
        ModelSpec.parse(name)


def test_model_kinds_have_a_loader_and_an_example():
    for kind in (*registry.KINDS.values(), *registry.FILE_KINDS.values()):
        module, _, name = kind.loader.partition(":")
        assert callable(getattr(importlib.import_module(module), name))
        assert registry.kind_of(ModelSpec.parse(kind.example)) is kind
        assert str(ModelSpec.parse(kind.example)) == kind.example
        assert set(kind.init_options) <= set(kind.options or kind.init_options)
        assert kind.form in registry.table() and kind.form in load.__doc__


def test_model_kinds_name_extras_that_exist():
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    extras = text.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    kinds = (*registry.KINDS.values(), *registry.FILE_KINDS.values())
    for kind in kinds:
        assert not kind.extra or f"\n{kind.extra} = [" in extras


@pytest.mark.parametrize(
    "text",
    ["water?chunk=4&skin=0.5", "python:a:b?c='1'&d=1&e=None&f=[1, 2]&g=x=y", "a/b.pt", "so3lr"],
)
def test_model_spec_survives_parsing(text):
    spec = ModelSpec.parse(text)
    assert str(spec) == text and ModelSpec.parse(str(spec)) == spec


def test_model_spec_is_seen_from_another_folder(tmp_path):
    (tmp_path / "own.pt").touch()
    absolute = f"{tmp_path.resolve()}/own.pt"
    assert str(ModelSpec.parse("own.pt?chunk=2").in_folder(tmp_path)) == f"{absolute}?chunk=2"
    assert str(ModelSpec.parse("mace:own.pt").in_folder(tmp_path)) == f"mace:{absolute}"
    assert str(ModelSpec.parse("water").in_folder(tmp_path)) == "water"


@pytest.mark.skipif(
    find_spec("torch_geometric") is not None, reason="metatomic comes before torch_geometric"
)
def test_load_model_imports_torch_only_if_needed():
    code = (
        "import sys\nfrom halfkick.models.load import load_model\n"
        "load_model('ase:ase.calculators.emt:EMT')\nassert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
