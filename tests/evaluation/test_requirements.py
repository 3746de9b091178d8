"""What models need of cohorts is known before anything is fitted."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

from crtkit import (
    Cohort,
    ECGRenderer,
    GuidelineClassifier,
    LeadSplicer,
    LeadStatistics,
    QRSMeasurements,
    Resampler,
    Select,
    evaluate as run,
)
from crtkit.resampling import HeldOutThreshold

LEADS = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]


class NeverFitted(LogisticRegression):
    """Fails where it is fitted: what is refused must be refused before."""

    def fit(self, X, y, sample_weight=None):
        raise AssertionError("fitted before the requirements were checked")


@pytest.fixture
def make_signals():
    def make(rate=500, prefix="A", leads=LEADS, n=12, **columns):
        rng = np.random.default_rng(ord(prefix))  # other patients have other signals
        X = pd.DataFrame(columns, index=range(n))
        X["signal"] = list(rng.normal(size=(n, 12, 100)).astype(np.float32))
        info = {"sampling_rate": rate, "lead_names": leads}
        return Cohort(X, np.arange(n) % 2, [f"{prefix}{i}" for i in range(n)], info)

    return make


def evaluate(model, cohort, **kwargs):
    other = make_pipeline(Select("signal"), LeadStatistics(), NeverFitted())
    models = {"fine": other, "m": model}
    return run(models, cohort, seeds=1, reference_rows=False, progress=False, **kwargs)


def measuring(fs, last=None):
    steps = [Select("signal"), QRSMeasurements(fs=fs)]
    return make_pipeline(*steps, *([last] if last is not None else []))


CLASSIFIER = LogisticRegression()
STATISTICS = make_pipeline(Select("signal"), LeadStatistics(), StandardScaler(), CLASSIFIER)
GRID = {"logisticregression__C": [1, 2]}


@pytest.mark.parametrize(
    "model",
    [
        measuring(250, CLASSIFIER),
        make_pipeline(measuring(250), CLASSIFIER),
        make_pipeline(make_union(measuring(250)), CLASSIFIER),
        GridSearchCV(measuring(250, CLASSIFIER), GRID, cv=GroupKFold(2)),
        HeldOutThreshold(GridSearchCV(measuring(250, CLASSIFIER), GRID, cv=GroupKFold(2))),
        GridSearchCV(
            measuring(500, CLASSIFIER), {"qrsmeasurements__fs": [500, 250]}, cv=GroupKFold(2)
        ),
        make_pipeline(
            Select("signal"), Resampler(fs_in=500, fs_out=100), QRSMeasurements(fs=250), CLASSIFIER
        ),
    ],
    ids=["flat", "nested", "union", "search", "threshold", "grid", "resampled"],
)
def test_a_step_for_another_rate_is_refused_however_deep(make_signals, model):
    with pytest.raises(ValueError, match=r"Model 'm': QRSMeasurements\(fs=250\) meets signals of"):
        evaluate(model, make_signals())


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"rate": 250}, "have 500 Hz, those of external cohort 'B' 250 Hz"),
        ({"leads": [*LEADS[:2], *LEADS[6:], *LEADS[2:6]]}, "external cohort 'B' I, II, V1, V2"),
    ],
)
def test_every_cohort_has_one_rate_and_one_order_of_leads(make_signals, other, message):
    with pytest.raises(ValueError, match=message):
        evaluate(STATISTICS, make_signals(), external={"B": make_signals(prefix="B", **other)})


def test_models_that_read_no_signal_do_not_mind_another_rate(make_signals):
    home = make_signals(lvef=np.linspace(20, 35, 12))
    other = make_signals(rate=250, prefix="B", lvef=np.linspace(20, 35, 12))
    model = make_pipeline(Select(["lvef"]), CLASSIFIER)
    result = run(
        {"m": model}, home, seeds=1, reference_rows=False, progress=False, external={"B": other}
    )
    assert result.sets == ["test", "B"]


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (make_pipeline(make_pipeline(Select("image")), CLASSIFIER), "no column image"),
        (GridSearchCV(make_pipeline(Select(["age"]), CLASSIFIER), GRID), "no column age"),
        (
            GridSearchCV(
                make_pipeline(Select(["lvef"]), CLASSIFIER), {"select__column": [["lvef"], ["age"]]}
            ),
            "no column age",
        ),
        (HeldOutThreshold(STATISTICS, column="part"), "no column part"),
        (HeldOutThreshold(STATISTICS, column="set", tuning="other"), "must be 'other' in some"),
        (GuidelineClassifier(rule="ESC2021-I"), "no column"),
    ],
    ids=["nested", "search", "grid", "threshold", "tuning", "rule"],
)
def test_models_whose_columns_are_absent_are_left_out_with_the_reason(make_signals, model, reason):
    cohort = make_signals(lvef=30.0, set=["train"] * 8 + ["tuning"] * 4)
    with pytest.warns(UserWarning, match="Model 'm' is left out") as caught:
        result = run(
            {"fine": STATISTICS, "m": model}, cohort, seeds=1, reference_rows=False, progress=False
        )
    assert result.models == ["fine"]
    assert reason in result.info["left_out"]["m"]
    assert any(reason in str(w.message) for w in caught)


def test_what_a_grid_replaces_is_not_required(make_signals):
    search = GridSearchCV(
        make_pipeline(Select(["age"]), CLASSIFIER), {"select__column": [["lvef"]]}, cv=GroupKFold(2)
    )
    cohort = make_signals(lvef=np.linspace(20, 35, 12))
    assert run({"m": search}, cohort, seeds=1, reference_rows=False, progress=False).models == ["m"]


def test_a_tuning_column_is_needed_at_home_only(make_signals):
    home = make_signals(n=16, set=(["train"] * 3 + ["tuning"]) * 4)
    home = Cohort(home.X, np.tile([0, 0, 1, 1], 4) ^ np.repeat([0, 1], 8), home.groups, home.info)
    model = HeldOutThreshold(STATISTICS, column="set")
    external = {"B": make_signals(prefix="B")}
    with np.errstate(all="ignore"):
        result = run(
            {"m": model},
            home,
            cv=[(np.arange(12), np.arange(12, 16))],
            seeds=1,
            reference_rows=False,
            progress=False,
            external=external,
        )
    assert result.sets == ["test", "B"]


def test_patients_of_an_external_cohort_must_be_others(make_signals):
    with pytest.raises(ValueError, match=r"12 patient identifier\(s\) of external cohort 'B'"):
        evaluate(STATISTICS, make_signals(), external={"B": make_signals()})


@pytest.mark.parametrize(
    ("factor", "unit"), [(1000, "'uV' would fit"), (0.0005, "'V' would fit"), (30, "nor V would")]
)
@pytest.mark.parametrize("where", ["home", "external"])
def test_signals_of_another_unit_are_refused(make_signals, factor, unit, where):
    home, other = make_signals(), make_signals(prefix="B")
    scaled = home if where == "home" else other
    scaled.X["signal"] = [cell * factor for cell in scaled.X["signal"]]
    who = "The cohort" if where == "home" else "External cohort 'B'"
    with pytest.raises(ValueError, match=f"{who}: The signals are .* mV .*{unit}"):
        evaluate(make_pipeline(Select("signal"), NeverFitted()), home, external={"B": other})


def test_leads_that_do_not_add_up_are_warned_of(make_signals):
    home = make_signals()
    with pytest.warns(UserWarning, match="The cohort: The limb leads do not add up in 12 of 12"):
        run({"m": STATISTICS}, home, seeds=1, reference_rows=False, progress=False)


@pytest.mark.parametrize("labels", [(1, 2), ("1", "2")])
def test_which_of_1_and_2_is_positive_is_asked_for(make_signals, labels):
    cohort = make_signals(lvef=np.linspace(20, 40, 12))
    cohort = Cohort(cohort.X, np.array(labels)[cohort.y], cohort.groups)
    model = make_pipeline(Select(["lvef"]), CLASSIFIER)
    kwargs = {"seeds": 1, "reference_rows": False, "progress": False}
    with pytest.raises(ValueError, match="either may mean yes. State which is positive"):
        run({"m": model}, cohort, **kwargs)
    assert run({"m": model}, cohort, pos_label=labels[0], **kwargs).classes[1] == labels[0]


OTHERS = [*LEADS[:6], "V3R", "V2", "V3", "V4", "V5", "V7"]


@pytest.mark.parametrize("step", [LeadSplicer(), ECGRenderer(fs=500), QRSMeasurements(fs=500)])
@pytest.mark.parametrize("where", ["home", "external"])
def test_leads_that_are_not_the_standard_ones_are_refused_by_steps_that_assume_them(
    make_signals, step, where
):
    home, other = make_signals(leads=OTHERS), make_signals(prefix="B", leads=OTHERS)
    if where == "external":
        home = make_signals()
    model = make_pipeline(Select("signal"), step, NeverFitted())
    with pytest.raises(ValueError, match="V3R, V2, V3, V4, V5, V7"):
        evaluate(model, home, external={"B": other})


def test_a_cohort_that_does_not_say_its_rate_cannot_be_compared(make_signals):
    home, other = make_signals(rate=None), make_signals(prefix="B", rate=250)
    kwargs = {"seeds": 1, "reference_rows": False, "progress": False}
    with pytest.warns(UserWarning, match="the cohort does not say its sampling rate"):
        run({"m": STATISTICS}, home, external={"B": other}, **kwargs)
