import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as skm
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

import crtkit.evaluation.fit as cells
from crtkit import Cohort, FCNClassifier, Select, evaluate, metrics
from crtkit.evaluation import RepeatedStratifiedPatientSplit

COLUMNS = ["qrs_duration_ms", "lvef", "male"]


def quick(models, cohort, **kwargs):
    kwargs = {"seeds": 3, "reference_rows": False, "threads_per_fit": 1, **kwargs}
    return evaluate(models, cohort, **kwargs)


def test_figures_are_those_of_a_loop_by_hand(make_table_cohort, models):
    cohort = make_table_cohort(records=1)
    result = quick(models, cohort)
    splitter = RepeatedStratifiedPatientSplit(3, random_state=0)
    expected = []
    for train, test in splitter.split(cohort.X, cohort.y, cohort.groups):
        model = clone(models["logistic"]).fit(cohort.X.iloc[train], cohort.y[train])
        score = model.predict_proba(cohort.X.iloc[test])[:, 1]
        called = model.predict(cohort.X.iloc[test])
        truth = cohort.y[test] == "yes"
        expected.append(
            {
                "accuracy": skm.accuracy_score(cohort.y[test], called),
                "roc_auc": skm.roc_auc_score(truth, score),
                "brier": skm.brier_score_loss(truth, score),
                "npv": np.mean(cohort.y[test][called == "no"] == "no"),
            }
        )
    expected = pd.DataFrame(expected)
    seeds = result.per_seed().loc["logistic"]
    summary = result.summary(n_bootstrap=50)
    for name in expected:
        np.testing.assert_allclose(seeds[name], expected[name], rtol=1e-12)
        assert summary.loc["logistic", (name, "mean")] == pytest.approx(expected[name].mean())
        assert summary.loc["logistic", (name, "sd")] == pytest.approx(expected[name].std(ddof=1))
    assert list(seeds.columns) == list(metrics.SCORERS)


def test_predictions_say_everything(make_table_cohort, models):
    cohort = make_table_cohort()
    result = quick(models, cohort)
    table = result.predictions
    assert list(table.columns) == [
        *("set", "model", "seed", "fold", "row", "group", "y_true", "y_pred", "score", "kind")
    ]
    assert result.models == ["logistic", "LightGBM"]
    np.testing.assert_array_equal(table["group"], cohort.groups[table["row"]])
    np.testing.assert_array_equal(table["y_true"], cohort.y[table["row"]])
    assert set(table["y_pred"]) <= {"no", "yes"}
    one = table[(table["model"] == "logistic") & (table["seed"] == 1)]
    two = table[(table["model"] == "LightGBM") & (table["seed"] == 1)]
    np.testing.assert_array_equal(one["row"], two["row"])
    assert result.splits["n_test_patients"].tolist() == [12] * 3


def test_seed_k_stands_alone(make_table_cohort, models):
    cohort = make_table_cohort()
    many = quick(models, cohort, seeds=4).predictions
    one = quick(models, cohort, seeds=[2]).predictions
    pd.testing.assert_frame_equal(
        many[many["seed"] == 2].reset_index(drop=True), one.reset_index(drop=True)
    )
    other = quick(models, cohort, seeds=[2], random_state=1).predictions
    assert other["row"].tolist() != one["row"].tolist()


def test_every_random_state_is_seeded(make_table_cohort):
    cohort = make_table_cohort()
    tree = DecisionTreeClassifier(max_features=1, splitter="random")
    search = GridSearchCV(
        make_pipeline(Select(COLUMNS), tree),
        [
            {"decisiontreeclassifier__max_depth": [1, 2]},
            {"decisiontreeclassifier": [DecisionTreeClassifier(splitter="random")]},
        ],
        cv=StratifiedGroupKFold(3, shuffle=True),
    )
    model = {"tree": make_pipeline(Select(COLUMNS), tree), "search": search}
    first, second = (quick(model, cohort, seeds=4).predictions for _ in range(2))
    pd.testing.assert_frame_equal(first, second)
    assert tree.random_state is None
    assert first.groupby(["model", "seed"], observed=True)["score"].sum().nunique() > 4


def test_patients_are_voted_by_mean_probability(make_table_cohort, models):
    cohort = make_table_cohort(records=4)
    result = quick(models["logistic"], cohort)
    assert result.models == ["LogisticRegression"]
    rows = result.predictions[result.predictions["seed"] == 0]
    mean = rows.groupby("group")["score"].mean()
    truth = rows.groupby("group")["y_true"].first() == "yes"
    got = result.per_seed().loc["LogisticRegression"].loc[0]
    assert got["roc_auc"] == pytest.approx(skm.roc_auc_score(truth, mean))
    assert got["accuracy"] == pytest.approx(np.mean((mean > 0.5) == truth))
    by_record = quick(models["logistic"], cohort, by="record")
    got = by_record.per_seed().loc["LogisticRegression"].loc[0]
    assert got["roc_auc"] == pytest.approx(
        skm.roc_auc_score(rows["y_true"] == "yes", rows["score"])
    )


class Calls(ClassifierMixin, BaseEstimator):
    """A rule with its own cut and, if wanted, scores that do not go with it."""

    def __init__(self, cut=150, score=None):
        self.cut = cut
        self.score = score

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return self.classes_[(X["qrs_duration_ms"] >= self.cut).to_numpy().astype(int)]


class ScoredCalls(Calls):
    def predict_proba(self, X):
        p = 1 / (1 + np.exp(-(X["qrs_duration_ms"].to_numpy() - 160) / 10))
        return np.c_[1 - p, p]


def test_models_with_their_own_cut_are_voted_by_majority(make_table_cohort):
    cohort = make_table_cohort(records=5)
    result = quick({"rule": Calls(), "scored": ScoredCalls()}, cohort)
    for name in ("rule", "scored"):
        rows = result.predictions.query("model == @name and seed == 0")
        called = (rows["y_pred"] == "yes").groupby(rows["group"]).mean() >= 0.5
        truth = rows.groupby("group")["y_true"].first() == "yes"
        assert result.per_seed().loc[(name, 0), "accuracy"] == pytest.approx(
            (called == truth).mean()
        )


def test_scores_of_models_without_probabilities(make_table_cohort):
    cohort = make_table_cohort(records=1)
    svc = make_pipeline(Select(COLUMNS), SVC())
    table = quick({"svc": svc, "rule": Calls()}, cohort)
    assert dict(table.predictions.groupby("model", observed=True)["kind"].first()) == {
        "svc": "decision",
        "rule": "label",
    }
    seeds = table.per_seed()
    assert seeds["brier"].isna().all()
    assert not seeds["roc_auc"].isna().any()
    rule = seeds.loc["rule"]
    np.testing.assert_allclose(rule["roc_auc"], rule["balanced_accuracy"])
    assert (table.summary(n_bootstrap=20)["brier", "n_valid"] == 0).all()


def test_undefined_figures_are_counted_and_never_zero(make_table_cohort):
    cohort = make_table_cohort()
    result = quick({"nobody": make_pipeline(Select(COLUMNS), DummyClassifier())}, cohort)
    summary = result.summary(n_bootstrap=20).loc["nobody"]
    assert np.isnan(summary["ppv", "mean"])
    assert summary["ppv", "n_valid"] == 0
    assert np.isnan(summary["ppv", "ci_low"])
    assert summary["sensitivity", "mean"] == 0
    assert summary["roc_auc", "mean"] == 0.5


@pytest.mark.parametrize(
    "cv",
    [3, GroupKFold(3), StratifiedGroupKFold(3, shuffle=True), RepeatedStratifiedPatientSplit(3)],
)
def test_other_splitters(make_table_cohort, models, cv):
    cohort = make_table_cohort()
    result = quick(models, cohort, seeds=2, cv=cv)
    assert len(result.per_fold().loc["logistic"]) == 6
    assert len(result.per_seed().loc["logistic"]) == 2
    fold = result.per_fold()["roc_auc"].loc["logistic"]
    assert result.per_seed()["roc_auc"].loc["logistic", 1] == pytest.approx(fold.loc[1].mean())
    tests = result.predictions.query("model == 'logistic'").groupby("seed")["row"].apply(list)
    assert (tests[0] == tests[1]) == (type(cv) is GroupKFold)
    again = quick(models, cohort, seeds=2, cv=cv)
    pd.testing.assert_frame_equal(result.predictions, again.predictions)


def test_splits_given_as_a_list(make_table_cohort, models):
    cohort = make_table_cohort()
    pairs = list(GroupKFold(4).split(cohort.X, cohort.y, cohort.groups))
    twice = quick(models, cohort, seeds=2, cv=iter(pairs))  # a generator serves every seed
    assert len(twice.splits) == 8
    assert twice.info["cv"] == "4 given splits"
    result = quick(models, cohort, seeds=1, cv=pairs)
    assert result.splits["n_test"].tolist() == [len(test) for _, test in pairs]
    # One seed: the spread is that of its folds.
    summary = result.summary(n_bootstrap=20)
    folds = result.per_fold()["accuracy"].xs("logistic")
    assert summary.loc["logistic", ("accuracy", "sd")] == pytest.approx(folds.std())


class GroupsWanted(ClassifierMixin, BaseEstimator):
    """Fails unless the groups of exactly these records come."""

    __metadata_request__fit = {"groups": True}

    def fit(self, X, y, groups=None):
        assert groups is not None
        assert len(groups) == len(y)
        self.classes_ = np.unique(y)
        self.seen_ = len(set(groups))
        return self

    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_groups_reach_inner_searches_and_steps(make_table_cohort, n_jobs):
    cohort = make_table_cohort()
    inner = GridSearchCV(
        make_pipeline(Select(COLUMNS), KNeighborsClassifier()),
        {"kneighborsclassifier__n_neighbors": [1, 3]},
        cv=GroupKFold(3),
        error_score="raise",
    )
    named = {"step": make_pipeline(Select(COLUMNS), GroupsWanted()), "search": inner}
    result = quick(named, cohort, seeds=1, n_jobs=n_jobs)
    assert len(result.per_seed()) == 2


def test_no_metadata_routing_is_left_behind(make_table_cohort, models):
    import sklearn

    quick(models, make_table_cohort(), seeds=1)
    assert not sklearn.get_config()["enable_metadata_routing"]
    assert "LR" not in dir(models["logistic"])
    assert not hasattr(models["logistic"], "n_features_in_")


@pytest.mark.filterwarnings("ignore:The groups parameter is ignored")
def test_patients_on_both_sides_are_refused(make_table_cohort, models):
    with pytest.raises(ValueError, match="patient.s. are on both sides, for example"):
        quick(models, make_table_cohort(records=3), cv=KFold(4, shuffle=True))


def test_noise_labels_are_learned_by_record_and_not_by_patient():
    rng = np.random.default_rng(0)
    n_patients, n_records = 40, 20
    patient = np.repeat(np.arange(n_patients), n_records)
    own = rng.normal(size=(n_patients, 5))
    X = pd.DataFrame(own[patient] + rng.normal(0, 0.05, (len(patient), 5))).add_prefix("f")
    y = np.resize([0, 1], n_patients)[patient]
    model = {"1-NN": make_pipeline(Select(list(X.columns)), KNeighborsClassifier(1))}

    def mean_auc(groups):
        cohort = Cohort(X, y, groups)
        result = quick(model, cohort, seeds=20, by="record", scoring="roc_auc")
        return result.summary(n_bootstrap=1).loc["1-NN", ("roc_auc", "mean")]

    assert mean_auc(patient) == pytest.approx(0.5, abs=0.05)
    # What everyone does who forgets the patients: every record is its own.
    assert mean_auc(np.arange(len(patient))) > 0.9


def test_external_cohorts_and_subgroups(make_table_cohort, models):
    cohort = make_table_cohort()
    other = make_table_cohort(n_patients=30, seed=9)
    other = Cohort(other.X, other.y, np.array([f"b-{g}" for g in other.groups]))
    result = quick(
        models,
        cohort,
        external={"B": other},
        subgroups={"male": "male", "wide": lambda X: X["qrs_duration_ms"] >= 150},
    )
    assert result.sets == ["test", "B"]
    external = result.predictions.query("set == 'B' and model == 'logistic' and seed == 2")
    assert external["row"].tolist() == list(range(len(other)))
    assert len(result.per_seed("B")) == 6
    summary = result.summary("B", n_bootstrap=30)
    assert summary["roc_auc", "nb_low"].isna().all()
    assert (summary["roc_auc", "ci_low"] < summary["roc_auc", "mean"]).all()
    parts = result.parts(subgroup="male=1")
    men = set(cohort.groups[cohort.X["male"] == 1])
    assert all(set(part.group) <= men for part in parts)
    assert {len(p.y_true) for p in result.parts("B", "wide")} != {other.n_patients}
    assert len(result.summary(subgroup="male=0", n_bootstrap=10)) == 2
    with pytest.raises(ValueError, match="no subgroup 'female'"):
        result.per_seed(subgroup="female")
    with pytest.raises(ValueError, match="no set 'C'"):
        result.per_seed("C")


def test_shared_external_patients_are_refused(make_table_cohort, models):
    cohort = make_table_cohort()
    with pytest.raises(ValueError, match="60 patient identifier.s. of external cohort 'B'"):
        quick(models, cohort, seeds=1, external={"B": cohort})


def test_reference_rows_stand_in_every_table(make_table_cohort, models):
    cohort = make_table_cohort()
    result = quick(models, cohort, reference_rows=True)
    assert result.models[:2] == ["logistic", "LightGBM"]
    assert len(result.models) > 3
    assert result.info["left_out"]


def test_reference_rows_need_their_columns_in_every_hospital(make_table_cohort, models):
    cohort = make_table_cohort()
    other = make_table_cohort(n_patients=20, seed=3)
    groups = np.array([f"x{g}" for g in other.groups])
    models = {"rule": Calls()}
    names = evaluate(models, cohort, seeds=1).models
    without = Cohort(other.X.drop(columns="lvef"), other.y, groups)
    result = evaluate(models, cohort, seeds=1, external={"B": without})
    gone = set(names) - set(result.models)
    assert gone == {"Clinical logistic model"}
    assert "external cohort 'B'" in result.info["left_out"]["Clinical logistic model"]


def test_models_stand_against_the_best_reference(make_table_cohort, models):
    cohort = make_table_cohort(n_patients=150, effect=60.0)
    coin = make_pipeline(Select(["male"]), LogisticRegression())
    result = quick({"good": models["logistic"], "coin": coin}, cohort, reference_rows=True)
    table = result.against_references()
    means = result.per_seed()["roc_auc"].groupby(level="model").mean()
    best = means[result.info["reference_rows"]].idxmax()
    assert (table["reference"] == best).all()
    assert table.loc["coin", "difference"] == pytest.approx(means["coin"] - means[best])
    assert not table.loc["coin", "beats"]
    assert quick(models, cohort, seeds=1).against_references().empty


def test_jobs_do_not_change_bits(make_table_cohort, models, monkeypatch):
    monkeypatch.setattr(cells, "SPILL_ABOVE", 0)
    cohort = make_table_cohort()
    signals = np.random.default_rng(0).normal(size=(len(cohort), 2, 50)).astype(np.float32)
    X = cohort.X.assign(signal=pd.Series(list(signals), dtype=object))
    cohort = Cohort(X, cohort.y, cohort.groups)
    models = {**models, "array": make_pipeline(Select("signal"), Flat(), LogisticRegression())}
    one, two = (quick(models, cohort, n_jobs=n).predictions for n in (1, 2))
    pd.testing.assert_frame_equal(one, two, check_exact=True)


@pytest.mark.slow
def test_networks_have_the_same_bits_on_one_core_two_workers_and_a_cluster():
    distributed = pytest.importorskip("distributed")
    rng = np.random.default_rng(0)
    signals = pd.Series(list(rng.normal(size=(40, 2, 200)).astype(np.float32)), dtype=object)
    cohort = Cohort(pd.DataFrame({"signal": signals}), np.arange(40) % 2, np.arange(40))
    network = FCNClassifier(n_filters=(8, 8, 8), max_epochs=2, lr=1e-3)
    model = make_pipeline(Select("signal"), network)
    found = [quick(model, cohort, seeds=2, n_jobs=n).predictions for n in (1, 2)]
    with (
        distributed.Client(n_workers=2, threads_per_worker=1, dashboard_address=None),
        joblib.parallel_config(backend="dask"),
    ):
        found.append(quick(model, cohort, seeds=2).predictions)
    for other in found[1:]:
        pd.testing.assert_frame_equal(found[0], other, check_exact=True)


class Flat(BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return np.asarray(X).reshape(len(X), -1)


class Fails(Calls):
    def fit(self, X, y):
        raise ZeroDivisionError("no reason")


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_failing_fit_says_which(make_table_cohort, n_jobs):
    message = "Model 'bad' failed at seed 0, fold 0: ZeroDivisionError: no reason"
    with pytest.raises(RuntimeError, match=message):
        quick({"bad": Fails()}, make_table_cohort(), seeds=1, n_jobs=n_jobs)


class NotANumber(ScoredCalls):
    def predict_proba(self, X):
        return np.full((len(X), 2), np.nan)


def test_nan_scores_are_refused(make_table_cohort):
    with pytest.raises(RuntimeError, match="scores are NaN"):
        quick({"nan": NotANumber()}, make_table_cohort(records=1))


class Filter(Flat):
    def __init__(self, fs=500):
        self.fs = fs


def test_sampling_rate_is_compared_with_the_cohort(make_table_cohort):
    cohort = make_table_cohort(sampling_rate=1000)
    model = make_pipeline(Select(COLUMNS), Filter(fs=500), LogisticRegression())
    with pytest.raises(ValueError, match=r"Filter\(fs=500\) meets signals of 1000 Hz"):
        quick({"m": model}, cohort)
    quick({"m": model.set_params(filter__fs=1000)}, cohort, seeds=1)


def test_a_cohort_says_that_it_is_simulated(make_table_cohort, models):
    result = quick(models, make_table_cohort())
    for text in (result.note, repr(result), result._repr_html_()):
        assert "simulated" in text
        assert "0.830" in text
    modalities = make_table_cohort(best_auc={"table": {"auc": 0.72, "se": 0.003}, "signal": 0.7})
    assert "AUC 0.720 ± 0.003 (table), 0.700 (signal)" in quick(models, modalities, seeds=1).note
    for table in (result.summary(n_bootstrap=5), result.per_seed(), result.per_fold()):
        assert "best reachable AUC 0.830" in table.attrs["note"]
    assert (result.summary(n_bootstrap=5)["cohort", "source"] == "simulated").all()
    assert result.info["versions"]["numpy"] == np.__version__
    assert result.info["threads_per_fit"] == 1


def test_progress_is_shown_on_a_terminal_only(make_table_cohort, models, capsys, monkeypatch):
    cohort = make_table_cohort()
    quick(models, cohort, seeds=1)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    quick(models, cohort, seeds=1, progress=False)
    assert capsys.readouterr().err == ""
    quick(models, cohort, seeds=1)
    assert "2/2" in capsys.readouterr().err


def test_own_metrics(make_table_cohort, models):
    cohort = make_table_cohort(records=1)
    scoring = {"roc_auc": metrics.SCORERS["roc_auc"], "loss": skm.log_loss}
    result = quick(models, cohort, scoring=scoring)
    rows = result.predictions.query("model == 'logistic' and seed == 0")
    expected = skm.log_loss(rows["y_true"] == "yes", rows["score"])
    assert result.per_seed().loc[("logistic", 0), "loss"] == pytest.approx(expected)
    summary = result.summary(n_bootstrap=20).loc["logistic", "loss"]
    assert summary["ci_low"] < summary["mean"] < summary["ci_high"]


def test_lists_and_single_models_are_named(make_table_cohort):
    cohort = make_table_cohort()
    pair = [make_pipeline(Select(COLUMNS), LogisticRegression(C=c)) for c in (1, 2)]
    assert quick(pair, cohort, seeds=1).models == ["LogisticRegression", "LogisticRegression-2"]
    assert quick(Calls(), cohort, seeds=1).models == ["Calls"]


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"random_state": None}, "random_state as an integer >= 0, got None"),
        ({"random_state": np.random.RandomState(0)}, "random_state as an integer >= 0"),
        ({"seeds": 0}, "seeds must be"),
        ({"seeds": [1, 1]}, "occurs twice"),
        ({"seeds": [-1]}, "seeds must be"),
        ({"by": "hospital"}, "by must be"),
        ({"scoring": "auc"}, "Unknown metric 'auc'"),
        ({"scoring": {"x": skm.make_scorer(skm.f1_score)}}, "estimator is gone"),
        ({"threads_per_fit": 0}, "threads_per_fit"),
        ({"subgroups": {"age": "age"}}, "no column 'age'"),
        ({"subgroups": {"lvef": "lvef"}}, "Give a function"),
        ({"subgroups": {"m": np.array([1, 0])}}, "must be a mask"),
        ({"test_size": 2.0}, r"size in \(0, 1\)"),
    ],
)
def test_bad_parameters_are_named(make_table_cohort, models, kwargs, message):
    with pytest.raises(ValueError, match=message):
        quick(models, make_table_cohort(), **kwargs)


def test_bad_cohorts_and_models_are_named(make_table_cohort, models):
    cohort = make_table_cohort(records=3)
    with pytest.raises(TypeError, match="expects a Cohort, got tuple"):
        evaluate(models, tuple(cohort))
    with pytest.raises(ValueError, match="two classes in y, got 3"):
        quick(models, Cohort(cohort.X, np.resize([0, 1, 2], len(cohort)), cohort.groups))
    y = cohort.y.copy()
    row = next(i for i in range(1, len(y)) if cohort.groups[i] == cohort.groups[i - 1])
    y[row] = "yes" if y[row] == "no" else "no"
    mixed = Cohort(cohort.X, y, cohort.groups)
    with pytest.raises(ValueError, match=f"1 patient.* carry two labels.*{cohort.groups[row]}"):
        quick(models, mixed)
    assert len(quick(models, mixed, by="record", seeds=1).per_seed()) == 2
    with pytest.raises(ValueError, match="at least one model"):
        quick({}, cohort)
    with pytest.raises(TypeError, match="unfitted classifier"):
        quick({"a": LogisticRegression}, cohort)
    other = Cohort(cohort.X, np.full(len(cohort), "maybe", object), cohort.groups)
    with pytest.raises(ValueError, match="has labels"):
        quick(models, cohort, external={"B": other})


def test_a_model_that_the_cohort_cannot_feed_is_left_out_and_named():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 20)
    X = pd.DataFrame({"qrs_duration_ms": 140 + 20 * y + rng.normal(0, 15, 40)})
    cohort = Cohort(X, y, groups=np.arange(40))
    models = {
        "pages": make_pipeline(Select("image"), LogisticRegression()),
        "table": make_pipeline(Select(["qrs_duration_ms"]), LogisticRegression()),
    }
    with pytest.warns(UserWarning, match="Model 'pages' is left out: the cohort has no column"):
        result = evaluate(models, cohort, seeds=2, reference_rows=False, progress=False)
    assert result.models == ["table"]
    assert result.info["left_out"] == {"pages": "the cohort has no column image"}
    with pytest.raises(ValueError, match="No model can read the data"):
        evaluate({"pages": models["pages"]}, cohort, seeds=2, progress=False)


@pytest.mark.slow
def test_noise_labels_give_half_whatever_searches_and_screens():
    """20 records a patient that look alike, and labels without meaning: 50 cohorts."""
    from sklearn.model_selection import GridSearchCV, GroupKFold

    from crtkit.resampling import HeldOutThreshold
    from crtkit.statistics import UnivariateScreen

    columns = list("abcdefgh")
    chain = make_pipeline(Select(columns), LogisticRegression())
    screened = make_pipeline(Select(columns), UnivariateScreen(alpha=0.3), LogisticRegression())
    grid = {"logisticregression__C": [0.01, 1.0, 100.0]}
    models = {
        "search": GridSearchCV(chain, grid, cv=GroupKFold(3), scoring="roc_auc"),
        "screen": screened,
        "threshold": HeldOutThreshold(chain, size=0.25),
    }
    areas = []
    for k in range(50):
        rng = np.random.default_rng(k)
        patient = np.repeat(np.arange(80), 20)
        own = rng.normal(size=(80, 8))[patient]
        X = pd.DataFrame(own + 0.1 * rng.normal(size=own.shape), columns=columns)
        cohort = Cohort(X, rng.permutation(np.arange(80) % 2)[patient], patient)
        result = evaluate(
            models, cohort, seeds=2, reference_rows=False, scoring="roc_auc",
            threads_per_fit=1, random_state=k,
        )  # fmt: skip
        areas.append(result.per_seed()["roc_auc"].groupby("model", observed=True).mean())
    mean = pd.DataFrame(areas).mean()
    assert mean.between(0.46, 0.54).all(), mean
    assert abs(mean.mean() - 0.5) < 0.03, mean
