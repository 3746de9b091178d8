"""The reference page lists every public name, and public docstrings say what they should."""

import doctest
import importlib
import importlib.util
import inspect
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from sklearn.base import BaseEstimator

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def api():
    spec = importlib.util.spec_from_file_location("api", DOCS / "api.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_complete(api):
    assert (DOCS / "api.rst").read_text(encoding="utf-8") == api.api(), "run python docs/api.py"


def test_public_docstrings_have_their_sections(api):
    wrong = []
    for path in api.MODULES:
        module = importlib.import_module(path)
        for name in api.public_names(module):
            value = getattr(module, name)
            if inspect.isclass(value) and not issubclass(value, BaseEstimator):
                continue  # results, which a function or a fit makes
            doc = inspect.getdoc(value) or ""
            takes = [p for p in _parameters(value) if p not in ("self", "args", "kwargs")]
            wanted = ["Parameters"] * bool(takes) + ["Examples"]
            missing = [s for s in wanted if f"{s}\n---" not in doc and f"{s} as in" not in doc]
            if missing:
                wrong.append(f"{path}.{name}: {missing}")
    assert not wrong, "\n".join(wrong)


def _parameters(value):
    try:
        return inspect.signature(value).parameters
    except ValueError:
        return ()


PAGES = sorted(p for p in DOCS.glob("*.rst") if ">>>" in p.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_guides_examples_run(page):
    failed, tried = doctest.testfile(
        str(page), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert tried > 0
    assert failed == 0


def test_every_extra_is_explained():
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))
    extras = set(project["project"]["optional-dependencies"]) - {"all", "dev", "docs"}
    text = (DOCS / "start.rst").read_text(encoding="utf-8").partition("\nExtras\n")[2]
    assert set(re.findall(r"^``(\w+)`` ", text, re.M)) == extras


def _commands():
    """Every ``$ crtkit …`` of the pages, continuation lines joined."""
    found = []
    for page in sorted(DOCS.glob("*.rst")):
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        found += [(page.stem, line) for line in re.findall(r"^ +\$ crtkit (.+)$", text, re.M)]
    return found


@pytest.mark.parametrize(("page", "line"), _commands())
def test_the_pages_commands_are_understood(page, line):
    from crtkit.cli.main import parser

    options = parser().parse_args(shlex.split(line))
    assert callable(options.run)
