"""The order of rows says nothing: a table shuffled with its index gives the same figures."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

import crtkit as ck
from crtkit import evaluation, metrics, signals, statistics
from crtkit.cohort import shared_records

N = 60
RNG = np.random.default_rng(0)
PATIENT = np.repeat([f"P{i:02d}" for i in range(N // 2)], 2)
Y = pd.Series(np.repeat(RNG.permutation(np.arange(N // 2) % 2), 2), name="y")
TABLE = pd.DataFrame(
    {
        "qrs_duration_ms": 140 + 12 * Y + RNG.normal(0, 15, N),
        "lvef": RNG.normal(28, 5, N),
        "lbbb": RNG.integers(0, 2, N),
        "sex": np.where(RNG.random(N) < 0.5, "f", "m"),
        "y": Y,
        "patient": PATIENT,
        "risk": np.clip(0.5 + 0.2 * (Y - 0.5) + RNG.normal(0, 0.15, N), 0.01, 0.99),
        "other": RNG.random(N),
    }
)
NUMBERS = ["qrs_duration_ms", "lvef", "lbbb"]

FUNCTIONS = {
    **{
        name: lambda t, name=name: getattr(metrics, name)(t["y"], t["risk"])
        for name in ("roc_auc", "average_precision", "brier")
    },
    **{
        name: lambda t, name=name: getattr(metrics, name)(t["y"], t["lbbb"])
        for name in ("accuracy", "balanced_accuracy", "sensitivity", "specificity", "ppv", "f1")
    },
    "delong_test": lambda t: statistics.delong_test(t["y"], t["risk"], t["other"]),
    "delong by patient": lambda t: statistics.delong_interval(
        t["y"], t["risk"], groups=t["patient"]
    ),
    "univariate": lambda t: statistics.univariate_logistic(t[NUMBERS], t["y"]),
    "multivariable": lambda t: statistics.multivariable_logistic(t[NUMBERS], t["y"]),
    "firth": lambda t: statistics.univariate_logistic(t[NUMBERS], t["y"], method="firth"),
    "incremental": lambda t: statistics.incremental_value(
        t[NUMBERS], t["y"], ["lvef"], ["qrs_duration_ms"]
    ),
    "table one": lambda t: statistics.baseline_table(t[[*NUMBERS, "sex", "y"]], "y"),
    "pearson": lambda t: statistics.pearson_table(t[NUMBERS]),
    "net benefit": lambda t: evaluation.net_benefit(t["y"], t["risk"], [0.3, 0.5]),
    "calibration": lambda t: vars_of(evaluation.calibration_figures(t["y"], t["risk"])),
    "bootstrap": lambda t: vars_of(
        evaluation.bootstrap_interval(
            t["y"], t["risk"], t["patient"], n_bootstrap=50, random_state=0
        )
    ),
    "aggregate": lambda t: signals.aggregate_by_group(
        t["risk"], t["patient"], y_true=t["y"]
    ).sort_index(),
    "screen": lambda t: ck.UnivariateScreen(alpha=0.2).fit(t[NUMBERS], t["y"]).p_values_,
    "rule": lambda t: pd.Series(
        ck.GuidelineClassifier(rule="QRS150").fit(t, t["y"]).predict(t), index=t.index
    ).sort_index(),
    "select": lambda t: ck.Select(["lvef"]).fit_transform(t.sort_index()),
    "shared": lambda t: len(shared_records(ck.Cohort(t, t["y"], t["patient"]))),
}


def vars_of(figures):
    values = figures._asdict() if hasattr(figures, "_asdict") else vars(figures)
    return {k: v for k, v in values.items() if isinstance(v, (int, float))}


@pytest.fixture(scope="module")
def wanted():
    return {name: function(TABLE) for name, function in FUNCTIONS.items()}


@pytest.mark.parametrize("name", FUNCTIONS)
@settings(max_examples=8, deadline=None)
@given(order=st.permutations(range(N)))
def test_a_permutation_of_rows_changes_nothing(wanted, name, order):
    found = FUNCTIONS[name](TABLE.iloc[order])
    if isinstance(found, pd.DataFrame):
        pd.testing.assert_frame_equal(found, wanted[name], rtol=1e-7, atol=1e-9)
    elif isinstance(found, (pd.Series, np.ndarray)):
        np.testing.assert_allclose(found, wanted[name], rtol=1e-7)
    else:
        assert found == pytest.approx(wanted[name], rel=1e-7, nan_ok=True)
