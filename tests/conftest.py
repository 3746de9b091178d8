"""Factories shared by the tests, and where real data are."""

import importlib
import inspect
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="session")
def data_dir():
    """Folder of real data; tests that need it are skipped, saying so, where it is not given."""
    path = os.environ.get("CRTKIT_DATA")
    if not path:
        pytest.skip("needs real data: the environment variable CRTKIT_DATA is not set")
    return Path(path).resolve()


@pytest.fixture(scope="session")
def public_functions():
    """Public functions, constructors and methods by their qualified names."""
    import crtkit

    package = Path(crtkit.__file__).parent
    found = {}
    for stub in package.rglob("__init__.pyi"):
        room = importlib.import_module(".".join(stub.parent.relative_to(package.parent).parts))
        for name in room.__all__:
            value = getattr(room, name)
            if _is_ours(value) and not (inspect.isclass(value) and issubclass(value, Exception)):
                found[value.__qualname__] = value
    for name, value in list(found.items()):
        if inspect.isclass(value):
            methods = (getattr(value, key) for key in dir(value) if not key.startswith("_"))
            found |= {f"{name}.{m.__name__}": m for m in methods if _is_ours(m)}
    return found


def _is_ours(value):
    """A class or function that crtkit wrote: scikit-learn adds its own methods to classes."""
    written = inspect.isclass(value) or inspect.isfunction(value)
    return written and value.__module__.startswith("crtkit")


@pytest.fixture
def make_signals():
    """Random signals of shape (n_records, n_leads, n_samples), in millivolt."""

    def make(n_records=6, n_leads=12, n_samples=50, seed=0, dtype=np.float32):
        rng = np.random.default_rng(seed)
        return rng.normal(scale=0.3, size=(n_records, n_leads, n_samples)).astype(dtype)

    return make


@pytest.fixture
def make_wfdb(tmp_path):
    """Write twelve-lead WFDB records (16 bit, 1000 units a millivolt) and return their folder."""
    wfdb = pytest.importorskip("wfdb")

    def make(n_records=3, fs=500, seconds=2.0, lead_names=None, comments=(), prefix="r"):
        from crtkit._leads import LEADS_12

        lead_names = list(lead_names or LEADS_12)
        rng = np.random.default_rng(0)
        for i in range(n_records):
            wfdb.wrsamp(
                f"{prefix}{i}",
                fs=fs,
                units=["mV"] * len(lead_names),
                sig_name=lead_names,
                p_signal=rng.normal(scale=0.3, size=(round(fs * seconds), len(lead_names))),
                fmt=["16"] * len(lead_names),
                adc_gain=[1000] * len(lead_names),
                baseline=[0] * len(lead_names),
                comments=list(comments),
                write_dir=str(tmp_path),
            )
        return tmp_path

    return make


@pytest.fixture
def make_table():
    """Table of a small cohort: two records a patient, alternating classes."""

    def make(n_patients=6):
        patient = np.repeat([f"p{i}" for i in range(n_patients)], 2)
        label = np.repeat(["no", "yes"] * ((n_patients + 1) // 2), 2)[: 2 * n_patients]
        age = np.arange(2 * n_patients, dtype=float) + 50
        return pd.DataFrame({"patient": patient, "response": label, "age": age})

    return make


# What damaged headers hold: numbers that are none, or that no recorder has.
_NUMBERS = (b"0", b"-1", b"1e308", b"1e-30", b"nan", b"inf", b"99999999999", b"-0.5", b"")


def _mutate(content, rng):
    """Flip, cut, repeat, zero or exchange parts of a file, once to six times."""
    content = bytearray(content)
    for _ in range(rng.integers(1, 7)):
        n = len(content)
        at, length = int(rng.integers(0, n)), int(rng.integers(1, 1 + min(64, n)))
        choice = rng.integers(0, 7)
        if choice <= 1:
            content[at] = rng.integers(0, 256)
        elif choice == 2 and n > 400:
            del content[at : at + length]
        elif choice == 3:
            content[at:at] = content[at : at + length]
        elif choice == 4:
            content[at : at + length] = bytes(len(content[at : at + length]))
        elif choice == 5 and rng.random() < 0.3 and n > 400:
            del content[max(at, 200) :]
        else:  # a number of the text
            found = list(re.finditer(rb"\d+(\.\d+)?", bytes(content)))
            if found:
                place = found[int(rng.integers(0, min(len(found), 300)))]
                content[place.start() : place.end()] = _NUMBERS[int(rng.integers(0, len(_NUMBERS)))]
    return bytes(content)


@pytest.fixture(scope="session")
def mutate():
    """Damage the bytes of a file as ``mutate(content, rng)``; the same for every kind of file."""
    return _mutate
