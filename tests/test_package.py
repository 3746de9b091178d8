"""What `import crtkit` costs, that every public name is there, and that imports point one way."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import crtkit

PACKAGE = Path(crtkit.__file__).parent

# Lower rooms first; a module imports from its own room or from one further down.
LAYERS = [
    {
        "_columns",
        "_io",
        "_labels",
        "_leads",
        "_plots",
        "_progress",
        "_resample",
        "_splits",
        "metrics",
    },
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
# What every room may use although its name begins with an underscore.
BASEMENT = {
    "_columns",
    "_io",
    "_plots",
    "_progress",
    "_labels",
    "_leads",
    "_resample",
    "_nd_checks",
    "_splits",
    "_validation",
}
MAX_LINES, MAX_BODY = 430, 60


def _modules():
    return sorted(PACKAGE.rglob("*.py"))


def _benchmarks():
    folder = PACKAGE.parent / "benchmarks"
    return sorted(folder.rglob("*.py"))  # absent from an installed package


def _module_name(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _lazy_names():
    """Module that each lazily exported name comes from, such as crtkit.Cohort."""
    homes = {}
    for stub in PACKAGE.rglob("__init__.pyi"):
        package = _module_name(stub)
        for node in ast.parse(stub.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom):
                module = ".".join(filter(None, (package, node.module)))
                for alias in node.names:
                    homes[f"{package}.{alias.asname or alias.name}"] = (
                        module if node.module else f"{module}.{alias.name}"
                    )
    return homes


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


def test_no_public_name_is_lost():
    """Names that users may have imported; a rename keeps the old one beside the new."""
    names = Path(__file__).parent / "data" / "public_names.txt"
    lost = []
    for place in names.read_text(encoding="utf-8").split():
        room, _, name = place.rpartition(".")
        if not hasattr(importlib.import_module(room), name):
            lost.append(place)
    assert not lost


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


def test_private_names_stay_in_their_room():
    wrong = {}
    for path in [*_modules(), *_benchmarks()]:
        room = _module_name(path).split(".")[:2] if PACKAGE in path.parents else ["benchmarks"]
        for name in _imported(ast.parse(path.read_text(encoding="utf-8"))):
            parts = name.split(".")
            private = [part for part in parts[1:] if part.startswith("_")]
            if parts[0] not in ("crtkit", "benchmarks") or not private:
                continue
            if parts[: len(room)] == room or (room[0] == "crtkit" and parts[1] in BASEMENT):
                continue
            wrong.setdefault(path.relative_to(PACKAGE.parent).as_posix(), set()).add(name)
    assert not wrong


def test_no_module_imports_itself_through_others():
    """Imports within functions count: what must wait for a call is in the wrong room."""
    homes = _lazy_names()
    modules = {_module_name(path): path for path in _modules()}
    imports = {}
    for name, path in modules.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        targets = {homes.get(homes.get(n, n), homes.get(n, n)) for n in _imported(tree)}
        imports[name] = (targets & set(modules)) - {name}

    def reachable(start):
        seen, waiting = set(), list(imports[start])
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting += imports[name]
        return seen

    cycles = {name for name in modules if name in reachable(name)}
    assert not cycles


def test_no_module_has_the_name_of_something_public():
    """``package.name`` would become the module as soon as anybody imports it."""
    modules = {_module_name(path) for path in _modules()}
    shadowed = {n: home for n, home in _lazy_names().items() if n in modules and home != n}
    assert not shadowed


def test_files_and_functions_stay_short():
    files, bodies = set(), set()
    for path in _modules():
        text, name = path.read_text(encoding="utf-8"), path.relative_to(PACKAGE).as_posix()
        if text.count("\n") > MAX_LINES:
            files.add(name)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                body = node.body[1:] if ast.get_docstring(node) is not None else node.body
                if body and body[-1].end_lineno - body[0].lineno + 1 > MAX_BODY:
                    bodies.add(f"{name}: {node.name}")
    assert not files, f"above {MAX_LINES} lines: split the file"
    assert not bodies, f"above {MAX_BODY} lines: split the function"


# One word for one thing: what is written on the left is called what stands on the right.
FORBIDDEN = {
    **dict.fromkeys(("seed", "rng", "random_seed", "generator"), "random_state"),
    **dict.fromkeys(("level", "confidence_level", "conf"), "confidence"),
    **dict.fromkeys(("truth", "y_test", "y_actual"), "y_true"),
    **dict.fromkeys(("called", "y_hat", "predicted"), "y_pred"),
    **dict.fromkeys(("prob", "proba", "probabilities"), "y_prob"),
    **dict.fromkeys(("positive_label", "pos_class"), "pos_label"),
    **dict.fromkeys(("weight", "sample_weights"), "sample_weight"),
    **dict.fromkeys(("patients", "patient", "patient_id", "subject"), "groups"),
    **dict.fromkeys(("n_boot", "n_bootstraps", "n_resamples"), "n_bootstrap"),
    **dict.fromkeys(("jobs", "n_workers", "workers"), "n_jobs"),
}
# A split is drawn under a number of its own, which tables show as its seed.
SPEAKS_OF_SPLITS = {("Evaluation.refit", "seed")}


def test_one_word_for_one_thing(public_functions):
    wrong = {
        f"{name}({parameter}=): call it {FORBIDDEN[parameter]}"
        for name, function in public_functions.items()
        for parameter in inspect.signature(function).parameters
        if parameter in FORBIDDEN and (name, parameter) not in SPEAKS_OF_SPLITS
    }
    assert not wrong


@pytest.mark.parametrize("room", ["metrics", "signals", "statistics"])
def test_returns_are_annotated(room):
    bare = [
        f"{path.name}: {node.name}"
        for path in (PACKAGE / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.returns is None
    ]
    assert not bare
