"""What `import crtkit` costs, that every public name is there, and that imports point one way."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import crtkit

PACKAGE = Path(crtkit.__file__).parent

# Lower rooms first; a module imports from its own room or from one further down.
LAYERS = [
    {"_io", "_labels", "_leads", "_splits", "metrics"},
    {"statistics"},
    {"cohort", "readers"},
    {"_validation"},
    {"images", "signals", "spect"},
    {"datasets"},
    {"neural"},
    {"explain", "guidelines", "resampling"},
    {"_nd_checks", "evaluation", "testing"},
    {"persistence"},
    {"studies"},
    {"__main__", "cli"},
]
# Reasons are part of the list: an exception without one is a mistake.
EXCEPTIONS: dict[tuple[str, str], str] = {}


def _modules():
    return sorted(PACKAGE.rglob("*.py"))


def _layer(name):
    for number, names in enumerate(LAYERS):
        if name in names:
            return number
    raise AssertionError(f"crtkit.{name} is in no layer: add it to LAYERS")


def _imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_import_is_light():
    code = (
        "import sys, crtkit\n"
        "heavy = {'torch', 'sklearn', 'scipy', 'pandas', 'matplotlib', 'numpy', 'lightgbm'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


@pytest.mark.parametrize("module", ["datasets", "metrics", "signals", "evaluation", "studies"])
def test_torch_is_imported_only_where_it_is_used(module):
    code = f"import sys, crtkit; dir(crtkit.{module}); print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


@pytest.mark.parametrize(
    "package", ["crtkit", *(f"crtkit.{p.parent.name}" for p in PACKAGE.glob("*/__init__.pyi"))]
)
def test_every_public_name_resolves(package):
    module = __import__(package, fromlist=["_"])
    assert all(getattr(module, name) is not None for name in module.__all__)
    with pytest.raises(AttributeError):
        module.NoSuchName  # noqa: B018


@pytest.mark.parametrize("path", _modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    here = path.relative_to(PACKAGE).with_suffix("").parts[0]
    if here == "__init__":
        return
    wrong = set()
    for name in _imported(ast.parse(path.read_text(encoding="utf-8"))):
        parts = name.split(".")
        if parts[0] == "benchmarks":
            wrong.add(name)
        if parts[0] != "crtkit" or len(parts) < 2 or (here, parts[1]) in EXCEPTIONS:
            continue
        is_module = (PACKAGE / parts[1]).exists() or (PACKAGE / f"{parts[1]}.py").exists()
        if is_module and _layer(parts[1]) > _layer(here):
            wrong.add(name)
    assert not wrong, f"{path.name} imports upwards: {sorted(wrong)}"


@pytest.mark.parametrize("path", _modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_torch_stays_in_neural_and_explain(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    here = path.relative_to(PACKAGE).parts[0]
    top = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    roots = {name.split(".")[0] for node in top for name in _imported(ast.Module([node], []))}
    if here not in ("neural", "explain"):
        assert not roots & {"torch", "torchvision", "skorch", "captum"}
    assert "matplotlib" not in roots
