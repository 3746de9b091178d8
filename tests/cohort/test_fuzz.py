"""Mutated tables and rows of arrays: read plausibly, or refused by name."""

import time
import warnings

import numpy as np
import pandas as pd
import pytest

from crtkit import Select, read_manifest
from crtkit.cohort.rows import Rows

SECONDS = 10


def rows(folder, mutate, seeds):
    path = folder / "signals.npy"
    signals = np.random.default_rng(0).normal(0, 0.3, (4, 2, 60)).astype("f4")
    np.save(path, signals)
    content = path.read_bytes()
    for seed in seeds:
        path.write_bytes(mutate(content, np.random.default_rng(seed)))
        start, said = time.process_time(), path.name
        try:
            array = np.asarray(Rows.from_cells([f"{path}#{i}" for i in range(4)]))
            assert len(array) == 4
        except (ValueError, OSError) as error:
            said = str(error)
        assert path.name in said, (seed, said)
        table = pd.DataFrame({"p": range(4), "y": [0, 1] * 2})
        table["s"] = [f"{path}#{i}" for i in range(4)]
        said = path.name
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                cohort = read_manifest(table, label="y", group="p", signal="s", fs=100)
            array = np.asarray(Select("signal").fit_transform(cohort.X))
            assert np.isfinite(array).all(), seed
            assert np.abs(array).max() <= 50, seed
        except (ValueError, OSError) as error:
            said = str(error)
        assert path.name in said, (seed, said)
        assert time.process_time() - start < SECONDS, seed


def tables(folder, mutate, seeds):
    lines = ["patient,responder,qrs_duration_ms,lvef"]
    lines += [f"P{i},{'no' if i % 2 else 'yes'},{140.5 + i},{25 + i % 9}" for i in range(12)]
    content = ("\n".join(lines) + "\n").encode()
    path = folder / "cohort.csv"
    for seed in seeds:
        path.write_bytes(mutate(content, np.random.default_rng(seed)))
        start, said = time.process_time(), path.name
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                cohort = read_manifest(path, label="responder", group="patient")
            assert len(cohort.y) == len(cohort.X) == len(cohort.groups)
        except ValueError as error:
            said = str(error)
        assert path.name in said or "column" in said or "row" in said, (seed, said)
        assert time.process_time() - start < SECONDS, seed


@pytest.mark.parametrize("fuzz", [rows, tables])
def test_mutated(fuzz, tmp_path, mutate):
    fuzz(tmp_path, mutate, range(30))


@pytest.mark.slow
@pytest.mark.parametrize("start", [1000, 1400])
@pytest.mark.parametrize("fuzz", [rows, tables])
def test_many_mutated(fuzz, start, tmp_path, mutate):
    fuzz(tmp_path, mutate, range(start, start + 400))
