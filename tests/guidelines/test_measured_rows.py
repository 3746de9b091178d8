"""Rules on a signal alone: measured where the table has no column, and said to be."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline

from crtkit import Cohort, GuidelineClassifier, QRSMeasurements, Select, evaluate
from crtkit.cohort.rows import spill
from crtkit.datasets import load_physionet, make_cohort, simulate_ecg
from crtkit.guidelines import measure_cohort, reference_rows
from crtkit.signals import LEADS_12

ECG_ROWS = [
    *("Majority class", "QRS >= 150 ms", "LBBB", "QRS area >= 98 uVs"),
    *("Guideline class I, ECG part", "Clinical logistic model"),
]
MEASURED = ["qrs_duration_ms", "lbbb", "qrs_area_uVs"]


@pytest.fixture(scope="module")
def mori():
    return make_cohort("mori2025", 24, random_state=1)


def signals_only(cohort, *columns):
    return Cohort(cohort.X[["signal", *columns]], cohort.y, cohort.groups, cohort.info)


@pytest.fixture(scope="module")
def alone(mori):
    return signals_only(mori)


@pytest.fixture(scope="module")
def measured(alone):
    return measure_cohort(alone)


def test_measured_columns_are_those_of_the_transformer(alone, measured):
    assert list(measured.X) == ["signal", *MEASURED]
    model = QRSMeasurements(fs=500, measurements=MEASURED)
    table = model.fit_transform(np.stack(list(alone.X["signal"])))
    np.testing.assert_array_equal(measured.X[MEASURED], table)
    assert list(measured.info["measured"]) == MEASURED
    assert "measured" not in alone.info
    assert list(alone.X) == ["signal"]
    assert measure_cohort(measured) is measured


@pytest.mark.parametrize("study", ["mori2025", "he2023"])
def test_measured_rules_are_about_as_good_as_those_of_the_table(study):
    cohort = make_cohort(study, 71, random_state=3)
    both = measure_cohort(signals_only(cohort))
    # Simulated IVCD has rS in V1 and broad lateral R waves, as LBBB has: some of it is called so.
    for name, apart in (("qrs_duration_ms", 0.02), ("lbbb", 0.08)):
        there = both.X[name].notna().to_numpy()
        assert there.mean() > 0.95
        of_table = roc_auc_score(cohort.y[there], cohort.X.loc[there, name])
        of_signal = roc_auc_score(cohort.y[there], both.X.loc[there, name])
        assert of_signal == pytest.approx(of_table, abs=apart)


def test_rows_on_a_signal_alone_measure_first(alone, measured):
    rows, left_out = reference_rows(alone)
    assert list(rows) == ECG_ROWS
    assert left_out["Guideline class I"] == "the cohort has no column lvef, af, nyha"
    read, _ = reference_rows(measured)
    for name in ECG_ROWS[1:]:
        assert list(rows[name].named_steps)[0] == "columntransformer"
        by_hand = clone(read[name]).fit(measured.X, measured.y)
        fitted = pickle.loads(pickle.dumps(clone(rows[name]).fit(alone.X, alone.y)))
        np.testing.assert_array_equal(fitted.predict(alone.X), by_hand.predict(measured.X))


def test_the_ecg_part_of_a_guideline_drops_what_no_ecg_tells(alone, measured):
    table = measured.X
    rows, _ = reference_rows(measured)
    part = rows["Guideline class I, ECG part"].fit(table, measured.y)
    expected = (table["lbbb"] == 1) & (table["qrs_duration_ms"] >= 150)
    np.testing.assert_array_equal(part.predict(table) == 1, expected)
    # Nobody's sex is known: the alternative for women is not there. With sexes it is.
    hrs = reference_rows(measured, guideline="HRS2023-I")[0]["Guideline class I, ECG part"]
    np.testing.assert_array_equal(hrs.fit(table, measured.y).predict(table) == 1, expected)
    women = Cohort(table.assign(male=0), measured.y, measured.groups, measured.info)
    hrs = reference_rows(women, guideline="HRS2023-I")[0]["Guideline class I, ECG part"]
    wide = (table["lbbb"] == 1) & (table["qrs_duration_ms"] >= 120)
    assert (wide & ~expected).any()
    np.testing.assert_array_equal(hrs.fit(women.X, measured.y).predict(women.X) == 1, wide)


def test_a_column_of_the_table_wins(mori, alone):
    table = mori.X[["signal", "qrs_duration_ms"]].copy()
    table["qrs_duration_ms"] += 40.0
    table.iloc[3, 1] = np.nan
    cohort = Cohort(table, mori.y, mori.groups, mori.info)
    full = measure_cohort(cohort)
    pd.testing.assert_series_equal(full.X["qrs_duration_ms"], table["qrs_duration_ms"])
    assert set(full.info["measured"]) == {"lbbb", "qrs_area_uVs"}
    rows, _ = reference_rows(cohort)
    assert isinstance(rows["QRS >= 150 ms"], GuidelineClassifier)
    scores = rows["QRS >= 150 ms"].fit(table, mori.y).decision_function(table)
    np.testing.assert_allclose(np.delete(scores, 3), np.delete(table["qrs_duration_ms"], 3) - 150)
    replaced = measure_cohort(cohort, replace=True)
    assert abs(replaced.X["qrs_duration_ms"] - mori.X["qrs_duration_ms"]).median() < 8
    # A column that the user names is never measured in its stead.
    _, left_out = reference_rows(alone, columns={"lbbb": "bbb"})
    assert left_out["LBBB"].startswith("the cohort has no column bbb")


def test_evaluate_measures_once_and_says_so(mori, alone, measured, tmp_path):
    model = make_pipeline(
        Select("signal"), QRSMeasurements(measurements=["heart_rate_bpm"]), LogisticRegression()
    )
    result = evaluate({"rate": model}, alone, seeds=2, threads_per_fit=1, progress=False)
    assert result.info["reference_rows"] == ECG_ROWS
    assert result.info["measured"] == {
        "QRS >= 150 ms": ["qrs_duration_ms"],
        "LBBB": ["lbbb"],
        "QRS area >= 98 uVs": ["qrs_area_uVs"],
        "Guideline class I, ECG part": ["lbbb", "qrs_duration_ms"],
        "Clinical logistic model": ["qrs_duration_ms", "lbbb"],
    }
    scores = result.predictions.set_index("model").loc["QRS area >= 98 uVs"]
    area = measured.X["qrs_area_uVs"].to_numpy()[scores["row"]]
    np.testing.assert_allclose(scores["score"], area - 98, atol=1e-9)
    pytest.importorskip("jinja2")
    result.to_html(tmp_path / "report.html", n_bootstrap=20)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Measured from the ECG: QRS &gt;= 150 ms (qrs_duration_ms); LBBB (lbbb)" in text
    # With a table, only the area is measured.
    result = evaluate({"rate": model}, mori, seeds=1, threads_per_fit=1, progress=False)
    assert result.info["measured"] == {"QRS area >= 98 uVs": ["qrs_area_uVs"]}
    assert "Guideline class I, ECG part" not in result.info["reference_rows"]


def test_evaluate_measures_other_hospitals_alike(mori, alone):
    model = DummyClassifier(strategy="stratified", random_state=0)
    other = make_cohort("mori2025", 24, random_state=9)
    # Its table has the columns, but on another scale than what was measured in the cohort.
    X = other.X.assign(qrs_duration_ms=other.X["qrs_duration_ms"] + 100)
    groups = np.arange(len(other)) + 10_000
    far = Cohort(X, other.y, groups, other.info)
    result = evaluate(
        {"coin": model}, alone, seeds=1, external={"B": far}, threads_per_fit=1, progress=False
    )
    scores = result.predictions[result.predictions["set"] == "B"].set_index("model")
    margin = scores.loc["QRS >= 150 ms", "score"].to_numpy() + 150 - other.X["qrs_duration_ms"]
    assert abs(np.median(margin)) < 8
    mute = Cohort(X, other.y, groups, {**other.info, "sampling_rate": None})
    result = evaluate(
        {"coin": model}, alone, seeds=1, external={"B": mute}, threads_per_fit=1, progress=False
    )
    assert result.info["reference_rows"] == ["Majority class"]
    assert "does not say its sampling_rate" in result.info["left_out"]["LBBB"]


def test_other_hospitals_are_measured_like_a_cohort_measured_before(measured):
    model = DummyClassifier(strategy="stratified", random_state=0)
    other = make_cohort("mori2025", 24, random_state=9)
    groups = np.arange(len(other)) + 10_000
    table = other.X.assign(qrs_duration_ms=other.X["qrs_duration_ms"] + 100)
    truth = other.X["qrs_duration_ms"]
    for X in (table, other.X[["signal"]]):
        far = Cohort(X, other.y, groups, other.info)
        for hospital in (far, measure_cohort(far, replace=True)):
            result = evaluate(
                {"coin": model},
                measured,
                seeds=1,
                external={"B": hospital},
                threads_per_fit=1,
                progress=False,
            )
            assert result.info["reference_rows"] == ECG_ROWS
            scores = result.predictions[result.predictions["set"] == "B"].set_index("model")
            margin = scores.loc["QRS >= 150 ms", "score"].to_numpy() + 150 - truth
            assert abs(np.median(margin)) < 8


def test_measured_rows_do_not_depend_on_the_other_records(alone, measured):
    # Leak-free: a record's score is the same whoever is beside it.
    half = measure_cohort(alone.take(np.arange(0, 24, 2)))
    np.testing.assert_array_equal(half.X[MEASURED], measured.X[MEASURED].iloc[::2])


def test_rows_of_a_file_and_workers(alone, measured, tmp_path):
    cells = spill(list(alone.X["signal"]), tmp_path / "signals.npy")
    lazy = Cohort(pd.DataFrame({"signal": cells}), alone.y, alone.groups, alone.info)
    found = measure_cohort(lazy, n_jobs=2)
    np.testing.assert_array_equal(found.X[MEASURED], measured.X[MEASURED])


def test_what_cannot_be_measured_is_counted_and_left_out(alone):
    cells = [cell.copy() for cell in alone.X["signal"]]
    for cell in cells[:16]:
        cell[6] = np.nan  # V1
    for cell in cells[:5]:
        cell[:] = 0.0
    cohort = Cohort(pd.DataFrame({"signal": cells}), alone.y, alone.groups, alone.info)
    found = measure_cohort(cohort).info["measured"]
    assert found["qrs_duration_ms"] == {
        "n_missing": 5,
        "reason": "no QRS complex stands out of the signal",
    }
    assert found["qrs_area_uVs"]["n_missing"] == 16
    rows, left_out = reference_rows(cohort)
    assert left_out["QRS area >= 98 uVs"] == (
        "qrs_area_uVs could not be measured in 16 of 24 records (a lead that it needs is missing)"
    )
    fitted = rows["QRS >= 150 ms"].fit(cohort.X, cohort.y)
    assert (fitted.predict(cohort.X)[:5] == 0).all()
    assert (fitted.decision_function(cohort.X)[:5] < 0).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sampling_rate": None}, "does not say its sampling_rate"),
        ({"sampling_rate": 50}, "100 Hz are needed"),
        ({"lead_names": ["I", "II"]}, "names 2 leads, its signals have 12"),
        ({"sampling_rate": 4000}, "signals of 1.2 s are too short"),
    ],
)
def test_cohorts_that_cannot_be_measured(alone, change, words):
    cohort = Cohort(alone.X, alone.y, alone.groups, {**alone.info, **change})
    with pytest.raises(ValueError, match=words):
        measure_cohort(cohort)
    rows, left_out = reference_rows(cohort)
    assert list(rows) == ["Majority class"]
    assert words in left_out["QRS area >= 98 uVs"]
    assert words in left_out["Clinical logistic model"]


def test_signals_that_are_none(alone):
    paths = pd.DataFrame({"signal": [f"{i}.xml" for i in range(24)]})
    one_lead = pd.DataFrame({"signal": [np.zeros(5000, "f4")] * 24})
    for X in (paths, one_lead):
        cohort = Cohort(X, alone.y, alone.groups, alone.info)
        with pytest.raises(ValueError, match="signals of several leads are needed"):
            measure_cohort(cohort)
    with pytest.raises(ValueError, match="does not know the measurements"):
        measure_cohort(alone, ["qrs_width"])


def test_a_rule_follows_the_measurements_in_a_pipeline():
    kinds = ["lbbb", "narrow"] * 3
    X = np.stack(
        [
            simulate_ecg(k, 160 if k == "lbbb" else 90, random_state=i)[0]
            for i, k in enumerate(kinds)
        ]
    )
    y = np.array([1, 0] * 3)
    rule = GuidelineClassifier(rule="he2023", columns={"lvef": None})
    # By name, although the measurements come as an array of all of them.
    model = make_pipeline(QRSMeasurements(fs=500), rule).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), y)
    assert model[-1].columns_ == ["qrs_duration_ms", "lbbb"]
    table = make_pipeline(QRSMeasurements(fs=500).set_output(transform="pandas"), rule).fit(X, y)
    np.testing.assert_array_equal(table.decision_function(X), model.decision_function(X))
    with pytest.raises(ValueError, match=r"X has no \['lvef'\]"):
        make_pipeline(QRSMeasurements(fs=500), GuidelineClassifier(rule="he2023")).fit(X, y)
    logistic = make_pipeline(
        QRSMeasurements(fs=500, measurements=["qrs_duration_ms", "lbbb"]),
        SimpleImputer(),
        LogisticRegression(),
    )
    np.testing.assert_array_equal(cross_val_predict(logistic, X, y, cv=3), y)


def test_measured_columns_survive_a_real_cohort(data_dir):
    pytest.importorskip("wfdb")
    folder = data_dir / "ecg12_physionet2021"
    if not folder.is_dir():
        pytest.skip("needs the folder ecg12_physionet2021 in CRTKIT_DATA")
    cohort = load_physionet(folder, label="conduction disturbance", duration=10.0, fs=500.0)
    rows, left_out = reference_rows(measure_cohort(cohort))
    assert {"QRS >= 150 ms", "QRS area >= 98 uVs"} <= {*rows}
    full = measure_cohort(cohort)
    assert full.info["measured"]["qrs_duration_ms"]["n_missing"] == 0
    assert tuple(cohort.info["lead_names"]) == LEADS_12
    fitted = rows["QRS >= 150 ms"].fit(full.X, full.y)
    assert roc_auc_score(full.y, fitted.decision_function(full.X)) > 0.65


def test_what_was_measured_before_is_stated_too(alone, measured):
    # A study may cut its records to beats, of which no median beat is left, and measures before.
    beats = measured.X.assign(signal=[cell[:, :500] for cell in measured.X["signal"]])
    cohort = Cohort(beats, measured.y, measured.groups, measured.info)
    coin = DummyClassifier(strategy="stratified", random_state=0)
    result = evaluate({"coin": coin}, cohort, seeds=1, threads_per_fit=1, progress=False)
    assert result.info["reference_rows"] == ECG_ROWS
    assert result.info["measured"]["LBBB"] == ["lbbb"]


def test_a_measuring_row_is_a_model_like_any_other(alone):
    # Groups are routed through its steps, and its answers are those of the row that evaluate makes.
    row = reference_rows(alone)[0]["QRS area >= 98 uVs"]
    result = evaluate({"mine": row}, alone, seeds=1, threads_per_fit=1, progress=False)
    scores = result.predictions.set_index("model")["score"]
    np.testing.assert_array_equal(scores["mine"], scores["QRS area >= 98 uVs"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x * 1000, "mV from peak to peak .*'uV' would fit"),
        (lambda x: x / 1000, "mV from peak to peak .*'V' would fit"),
        (lambda x: x / 0.00488, "from peak to peak .*neither mV, uV nor V would fit"),
        (lambda x: np.moveaxis(x, 1, 2), "leads seem to lie on the last axis"),
        (lambda x: x[:, [0, 1, *range(6, 12), 2, 3, 4, 5]], "I, II, V1-V6, III, aVR, aVL, aVF"),
    ],
    ids=["microvolts", "volts", "counts", "exchanged axes", "another order"],
)
@pytest.mark.parametrize("lead_names", [None, LEADS_12])
def test_a_cohort_made_by_hand_is_measured_in_millivolt_only(mori, change, message, lead_names):
    """An area of 146,000 uVs met the criterion of 98 without a word."""
    cells = list(change(np.stack(list(mori.X["signal"][:4]))))
    info = {"sampling_rate": 500, "lead_names": lead_names}
    cohort = Cohort(pd.DataFrame({"signal": cells}), [0, 1, 0, 1], range(4), info)
    with pytest.raises(ValueError, match=message):
        measure_cohort(cohort)
    if "lie on" not in message:
        model = make_pipeline(Select(["age"]), DummyClassifier())
        cohort = Cohort(cohort.X.assign(age=60.0), cohort.y, cohort.groups, info)
        left_out = evaluate({"m": model}, cohort, seeds=1, cv=2, progress=False).info["left_out"]
        assert "mV" in left_out["QRS area >= 98 uVs"] or "order" in left_out["QRS area >= 98 uVs"]


def test_a_cohort_is_measured_once(monkeypatch):
    from crtkit.datasets import simulate_ecg
    from crtkit.guidelines import measure_cohort

    cells = [simulate_ecg("lbbb", ms, random_state=3)[0] for ms in (140, 160, 180)]
    cohort = Cohort(pd.DataFrame({"signal": cells}), [0, 1, 0], [1, 2, 3], {"sampling_rate": 500})
    calls = []
    measure = QRSMeasurements.measure
    monkeypatch.setattr(
        QRSMeasurements, "measure", lambda self, X: calls.append(len(X)) or measure(self, X)
    )
    first = measure_cohort(cohort)
    again = measure_cohort(Cohort(cohort.X.copy(), cohort.y, cohort.groups, cohort.info))
    pd.testing.assert_frame_equal(first.X.drop(columns="signal"), again.X.drop(columns="signal"))
    assert calls == [3]
    louder = Cohort(
        pd.DataFrame({"signal": [2 * c for c in cells]}), [0, 1, 0], [1, 2, 3], cohort.info
    )
    measure_cohort(louder)
    measure_cohort(cohort, ("qt_ms",))
    assert calls == [3, 3, 3]
