"""One rule for patients and one for the positive class, for every function that takes them."""

import inspect
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import crtkit as ck
from crtkit import evaluation, statistics
from crtkit._labels import (
    check_groups,
    check_labels,
    class_pair,
    patient_text,
    resolve_pos_label,
)
from crtkit.resampling import HeldOutThreshold, RecalibratedClassifier, ResampledClassifier

N = 40
Y = np.tile([0, 1], N // 2)
RNG = np.random.default_rng(0)
SCORE = Y + RNG.normal(0, 1, N)
PROB = 1 / (1 + np.exp(-SCORE))
SIGNALS = RNG.normal(size=(N, 2, 64)).astype(np.float32)
PAGES = RNG.integers(0, 256, (N, 32, 32, 3), dtype=np.uint8)


def _network(groups):
    model = ck.FCNClassifier(n_filters=(4, 4, 4), max_epochs=1, early_stopping=True, random_state=0)
    return model.fit(SIGNALS, Y, groups=groups)


TAKES_GROUPS = {
    "Cohort": lambda g: ck.Cohort(pd.DataFrame({"a": SCORE}), Y, g),
    "aggregate_by_group": lambda g: ck.signals.aggregate_by_group(SCORE, g),
    "delong_interval": lambda g: statistics.delong_interval(Y, SCORE, groups=g),
    "delong_test": lambda g: statistics.delong_test(Y, SCORE, -SCORE, groups=g),
    "bootstrap_interval": lambda g: evaluation.bootstrap_interval(Y, SCORE, g, n_bootstrap=9),
    "signal_lead_share": lambda g: ck.explain.signal_lead_share(
        np.abs(RNG.normal(size=(N, 12, 50))), groups=g, n_bootstrap=9
    ),
    "group_holdout": lambda g: evaluation.group_holdout(Y, g, random_state=0),
    "HeldOutThreshold": lambda g: HeldOutThreshold(LogisticRegression(), random_state=0).fit(
        SCORE[:, None], Y, groups=g
    ),
    "ResampledClassifier": lambda g: ResampledClassifier(LogisticRegression()).fit(
        SCORE[:, None], Y, groups=g
    ),
    "RecalibratedClassifier": lambda g: RecalibratedClassifier(LogisticRegression()).fit(
        SCORE[:, None], Y, groups=g
    ),
    "ConformalClassifier": lambda g: evaluation.ConformalClassifier(
        LogisticRegression(), random_state=0
    ).fit(SCORE[:, None], Y, groups=g),
    "FCNClassifier": _network,
    "SimCLR": lambda g: ck.SimCLR(max_epochs=1, batch_size=20).fit(PAGES, groups=g),
    "TorchClassifier": _network,
    "ECGFMPretraining": lambda g: ck.ECGFMPretraining(max_epochs=1).fit(SIGNALS, groups=g),
    "RepeatedStratifiedPatientSplit": lambda g: list(
        evaluation.RepeatedStratifiedPatientSplit(random_state=0).split(SCORE, Y, g)
    ),
    "conformal_thresholds": lambda g: evaluation.conformal_thresholds(Y, PROB, groups=g),
    "conformal_p_values": lambda g: evaluation.conformal_p_values(Y, PROB, PROB, groups=g),
    "risk_coverage": lambda g: evaluation.risk_coverage(Y, PROB, groups=g),
    "permutation_test": lambda g: statistics.permutation_test(
        Y, SCORE, groups=g, n_permutations=9, random_state=0
    ),
    "wave_share": lambda g: ck.explain.wave_share(
        SIGNALS, SIGNALS, 100, qrs=[([0.2], [0.3])] * N, groups=g, n_bootstrap=9
    ),
    "check_pool": lambda g: evaluation.check_pool(PAGES[:6], PAGES, pool_groups=range(6), groups=g),
    "check_pool, pool": lambda g: evaluation.check_pool(
        PAGES, PAGES[:6], pool_groups=g, groups=range(6)
    ),
}


def _with_missing(kind):
    rows = (3, 9, 20)
    text = np.array([f"p{i // 2}" for i in range(N)], dtype=object)
    if kind == "NaN":
        numbers = np.arange(N) // 2 * 1.0
        numbers[list(rows)] = np.nan
        return numbers
    if kind == "nullable":
        return pd.array([None if i in rows else i // 2 for i in range(N)], dtype="Int64")
    text[list(rows)] = {"None": None, "empty": "", "blank": "  ", "text nan": "nan"}[kind]
    return text.tolist() if kind == "blank" else text


@pytest.mark.parametrize("kind", ["None", "NaN", "nullable", "empty", "blank", "text nan"])
@pytest.mark.parametrize("name", TAKES_GROUPS)
def test_a_missing_patient_is_refused_everywhere(name, kind):
    with pytest.raises(ValueError, match=r"3 record\(s\) have no patient .* first at row 3"):
        TAKES_GROUPS[name](_with_missing(kind))


def test_every_public_function_of_patients_is_tried(public_functions):
    takes = {
        function.__qualname__.partition(".")[0]  # where a method was written, not who inherits it
        for function in public_functions.values()
        if {"groups", "pool_groups", "patients"} & set(inspect.signature(function).parameters)
    }
    # Select looks at columns only; patients pass it unread.
    assert takes - {"Select"} <= set(TAKES_GROUPS)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([1, 2, 1], [1, 2, 1]),
        ([1.0, 2.0, 1.0], [1, 2, 1]),
        ([1, "1", 1.0, "1.0"], ["1", "1", "1", "1"]),
        (["e\u0301", "\u00e9"], ["\u00e9", "\u00e9"]),
        (["NA", "None"], ["NA", "None"]),
        (pd.Categorical(["b", "a"]), ["b", "a"]),
        (pd.array([1, 2], dtype="Int64"), [1, 2]),
        (pd.Series(["a", "b"], dtype="string"), ["a", "b"]),
        (pd.DataFrame({"patient": [3, 4]}), [3, 4]),
    ],
)
def test_one_patient_has_one_identifier(given, expected):
    assert check_groups("test", given).tolist() == expected


@pytest.mark.parametrize("pair", [("01", "1"), ("a ", "a"), ("\uff11", "1"), ("P1", "p1")])
def test_look_alikes_are_two_and_warn(pair):
    with pytest.warns(UserWarning, match="count as two"):
        assert len(set(check_groups("test", list(pair)))) == 2


def test_several_columns_are_no_identifier():
    with pytest.raises(ValueError, match=r"2 columns, \['patient', 'visit'\]"):
        check_groups("test", pd.DataFrame({"patient": [1], "visit": [2]}))


def test_cohorts_compare_patients_as_text():
    assert patient_text(7) == patient_text(7.0) == patient_text("7") == "7"
    assert patient_text(np.int64(7)) == patient_text(np.float32(7)) == "7"
    assert patient_text("07") != patient_text(7)


ORDER = ["poor", "good"]
OUTCOME = pd.Series(pd.Categorical(np.array(ORDER)[Y], categories=ORDER, ordered=True))
FRAME = pd.DataFrame({"qrs": SCORE})


@pytest.mark.parametrize(
    "call",
    [
        lambda y: ck.metrics.roc_auc(y, SCORE),
        lambda y: ck.metrics.average_precision(y, SCORE),
        lambda y: ck.metrics.sensitivity(y, y),
        lambda y: statistics.delong_interval(y, SCORE)["auc"].iloc[0],
        lambda y: statistics.univariate_logistic(FRAME, y)["odds_ratio"].iloc[0],
        lambda y: statistics.multivariable_logistic(FRAME, y)["odds_ratio"].iloc[0],
        lambda y: (
            evaluation.bootstrap_interval(y, SCORE, range(N), n_bootstrap=50, random_state=0).low
        ),
        lambda y: evaluation.calibration_figures(y, 1 / (1 + np.exp(-SCORE))).slope,
        lambda y: evaluation.net_benefit(y, 1 / (1 + np.exp(-SCORE)), [0.3]),
    ],
)
def test_an_ordered_outcome_keeps_its_order_everywhere(call):
    np.testing.assert_array_equal(call(OUTCOME), call(Y))


def test_evaluate_takes_the_order_of_the_outcome():
    model = {"m": make_pipeline(ck.Select(["qrs"]), LogisticRegression())}
    options = {"seeds": 2, "reference_rows": False, "progress": False}
    ordered = ck.evaluate(model, ck.Cohort(FRAME, OUTCOME, range(N)), **options)
    text = ck.Cohort(FRAME, OUTCOME.astype(str), range(N))
    told = ck.evaluate(model, text, pos_label="good", **options)
    assert ordered.classes == told.classes == ("poor", "good")
    pd.testing.assert_frame_equal(ordered.per_seed(), told.per_seed())


def test_a_flag_with_missing_values_is_a_covariate():
    flag = pd.DataFrame({"lbbb": pd.Series([True, None, False, True] * 10, dtype=object)})
    got = statistics.univariate_logistic(flag, Y)
    expected = statistics.univariate_logistic(flag.astype(float), Y)
    pd.testing.assert_frame_equal(got, expected)


def test_levels_that_differ_by_a_blank_are_named_in_table_1():
    table = pd.DataFrame({"sex": ["m", "m ", "f", "F"] * 10})
    with pytest.warns(UserWarning, match=r"'sex' differ only by blanks or case.*'m', 'm '"):
        statistics.baseline_table(table, Y, numbers=False)


@pytest.mark.parametrize(
    ("negative", "positive", "warns"),
    [
        ("no", "yes", False),
        ("ja", "nein", True),
        ("CRT+", "CRT-", True),
        ("abnormal", "normal", True),
        ("improved", "not improved", True),
        ("mild", "nonsense", False),
        ("non-responder", "responder", False),
        ("LBBB", "None", True),
        (0, 1, False),
        ("good", "poor", False),
    ],
)
def test_a_positive_class_that_reads_as_no_is_warned_of(negative, positive, warns):
    y = [negative, positive]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert class_pair("evaluate", y) == (negative, positive)
        assert resolve_pos_label(None, y) == positive
    assert len(caught) == 2 * warns
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert class_pair("evaluate", y, positive) == (negative, positive)
        assert class_pair("evaluate", y, order=y) == (negative, positive)
        stated = pd.Categorical(y, categories=y, ordered=True)
        assert resolve_pos_label(None, stated) == positive


def test_labels_and_patients_of_another_byte_order():
    assert check_labels("y", np.array([0, 1], dtype=">i8")).dtype.isnative
    assert check_groups("Cohort", np.array([3.0, 4.0], dtype=">f8")).dtype.isnative
