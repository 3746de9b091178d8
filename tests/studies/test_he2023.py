"""Pipelines of he2023: what they are made of, and that they answer for records of twelve leads."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone

import crtkit as ck
from crtkit.neural import read_card, read_weights, save_weights
from crtkit.signals import aggregate_by_group, segment_beats
from crtkit.statistics import audit_scores
from crtkit.studies import he2023

SMALL = {"depths": (18,), "width": 8, "size": (16, 16), "network": {"max_epochs": 1}}


@pytest.fixture(scope="module")
def cohort():
    return ck.datasets.make_cohort("he2023", n_patients=12, random_state=0)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    X = np.random.default_rng(0).integers(0, 255, (8, 16, 16, 3), dtype=np.uint8)
    net = ck.ResNetClassifier(width=8, max_epochs=1, random_state=0).fit(X, list("NSVFNSVF"))
    return save_weights(net, tmp_path_factory.mktemp("weights") / "resnet18.safetensors")


def beats_at(spacing_s, fs=360, seconds=10, width=0.012):
    t = np.arange(seconds * fs) / fs
    return np.exp(-0.5 * ((t % spacing_s - spacing_s / 2) / width) ** 2)


def test_median_beat_is_the_beat_of_a_periodic_record():
    x = beats_at(0.8)
    beat = he2023.representative_beats(np.stack([x, 2 * x])[None])[0]
    around = slice(256 - 30, 256 + 30)
    expected = np.exp(-0.5 * (np.arange(-30, 30) / 360 / 0.012) ** 2)
    assert np.corrcoef(beat[0, around], expected)[0, 1] > 0.99
    np.testing.assert_allclose(beat[1], 2 * beat[0], atol=1e-5)
    # 1.2 intervals of 0.8 s are 346 samples: zeros around.
    assert np.flatnonzero(beat[0]).min() >= 256 - 174
    assert np.flatnonzero(beat[0]).max() <= 256 + 174


def test_records_without_a_beat_are_named():
    signals = np.stack([beats_at(0.8)] * 40)[:, None]
    signals[35] = 0
    with pytest.raises(ValueError, match=r"no whole beat in record\(s\) \[35\]"):
        he2023.representative_beats(signals)


def test_two_dimensional_input_is_one_lead():
    signals = np.stack([beats_at(0.8), beats_at(1.0)])
    np.testing.assert_array_equal(
        he2023.representative_beats(signals), he2023.representative_beats(signals[:, None])
    )


def test_models_come_in_the_order_of_the_paper(weights):
    names = list(he2023.pipelines(weights={18: weights, 50: None}))
    general = [name for name in he2023.PUBLISHED.index if "pretrained" not in name]
    assert [name for name in names if name in general] == general
    assert "ResNet-18, pretrained" in names
    assert "ResNet-50, pretrained" not in names
    assert {f"{m}, pretrained" for m in ("SVM", "Random Forest", "Logistic regression")} <= {*names}


def test_pretrained_features_are_those_of_the_weights_file(cohort, weights):
    models = he2023.pipelines(weights=weights, **SMALL)
    network = clone(models["SVM, pretrained"]).fit(cohort.X, cohort.y)[-3]
    assert network.weights_loaded_["file"] == weights.name
    stored = read_weights(weights)
    ours = network.module_.state_dict()
    assert all(ours[k].equal(v) for k, v in stored.items() if not k.startswith("fc."))


@pytest.mark.filterwarnings("ignore:The SVM of leads='mean' is calibrated by record")
@pytest.mark.parametrize("leads", he2023.LEADS)
def test_every_model_answers_for_every_record(cohort, weights, leads):
    models = he2023.pipelines(weights=weights, leads=leads, **SMALL)
    wanted = list(models) if leads == "page" else ["SVM", "ResNet-18, pretrained"]
    if leads == "stack":
        wanted += ["Logistic regression, pretrained"]
    for name in wanted:
        answers = clone(models[name]).fit(cohort.X, cohort.y).predict(cohort.X)
        assert answers.shape == (12,), name
        assert set(answers.tolist()) <= {0, 1}


@pytest.mark.parametrize("depth", [50, 101])
def test_deep_networks_run_from_scratch_and_pretrained(cohort, tmp_path, depth):
    X = np.random.default_rng(0).integers(0, 255, (8, 16, 16, 3), dtype=np.uint8)
    net = ck.ResNetClassifier(depth=depth, width=8, max_epochs=1, random_state=0)
    path = save_weights(net.fit(X, list("NSVFNSVF")), tmp_path / f"resnet{depth}.safetensors")
    small = {**SMALL, "depths": (depth,), "size": (8, 8)}
    models = he2023.pipelines(weights={depth: path}, **small)
    some = cohort.take(np.arange(6))
    for name in (f"ResNet-{depth}", f"ResNet-{depth}, pretrained"):
        fitted = clone(models[name]).fit(some.X, some.y)
        assert fitted[-1].depth == depth
        assert fitted.predict(some.X).shape == (6,)
    assert fitted[-1].weights_loaded_["n_loaded"] > 5 * depth


def test_guideline_is_the_rule_of_the_paper(cohort):
    rule = he2023.pipelines()["Guideline"].fit(cohort.X, cohort.y)
    X = cohort.X
    expected = (X["lvef"] <= 35) & (X["qrs_duration_ms"] >= 150) & (X["lbbb"] == 1)
    np.testing.assert_array_equal(rule.predict(X), expected.astype(int))


def test_beats_are_voted_to_patients(cohort):
    beats = segment_beats(cohort, n_samples=711)
    assert len(beats) > 5 * len(cohort)
    models = he2023.pipelines(unit="beat", **SMALL)
    result = ck.evaluate(
        {"LR": models["Logistic regression"]},
        beats,
        seeds=1,
        cv=3,
        reference_rows=False,
        threads_per_fit=1,
    )
    assert result.info["n_patients"] == 12
    tested = result.predictions.groupby("group").size()
    assert (tested == pd.Series(beats.groups).value_counts()[tested.index]).all()


def test_a_model_a_lead_is_calibrated_by_patient(cohort, weights):
    beats = segment_beats(cohort, n_samples=711)
    beats = beats.take(np.flatnonzero(beats.X.groupby("record_row").cumcount() < 4))
    models = he2023.pipelines(unit="beat", leads="mean", weights=weights, **SMALL)
    seen = []

    class Folds(type(models["SVM"][-1].estimators[0][1][-1].cv)):
        def split(self, X, y=None, groups=None):
            seen.append(groups)
            return super().split(X, y, groups)

    for _, voter in models["SVM"][-1].estimators:
        voter[-1].set_params(cv=Folds(3))
    chosen = {name: models[name] for name in ("SVM", "SVM, pretrained")}
    result = ck.evaluate(
        chosen, beats, seeds=1, cv=2, reference_rows=False, threads_per_fit=1, progress=False
    )
    assert result.info["n_patients"] == 12
    # A dozen leads, two folds: each calibration was told the patients of its training part. Before
    # the first fit evaluate tries every inner splitter on the whole cohort.
    seen = [groups for groups in seen if len(groups) < len(beats)]
    assert len(seen) == 24
    assert all((np.unique(groups, return_counts=True)[1] == 4).all() for groups in seen)
    assert result.predictions["score"].between(0, 1).all()


def test_calibration_without_patients_is_warned_of(cohort):
    model = he2023.pipelines(leads="mean", n_leads=1)["SVM"]
    one = cohort.X.assign(signal=[np.asarray(cell)[:1] for cell in cells_of(cohort)])
    with pytest.warns(UserWarning, match="calibrated by record: fit received no groups"):
        model.fit(one, cohort.y)


def cells_of(cohort):
    return np.asarray(ck.Select("signal").fit_transform(cohort.X))


def test_sampling_rates_are_followed(cohort):
    models = {"LR": he2023.pipelines(fs=250)["Logistic regression"]}
    with pytest.raises(ValueError, match="fs_in=250"):
        ck.evaluate(models, cohort, seeds=1)


def test_the_best_published_row_fits_no_matrix():
    best = he2023.PUBLISHED.loc["ResNet-50, pretrained"]
    figures = best[["accuracy", "sensitivity", "specificity"]]
    low, high = sorted(figures[["sensitivity", "specificity"]])
    assert not low <= figures["accuracy"] <= high
    assert not audit_scores(46, 25, decimals=3, **figures.to_dict()).consistent


def test_unknown_choices_are_refused():
    with pytest.raises(ValueError, match="leads must be one of"):
        he2023.pipelines(leads="all")
    with pytest.raises(ValueError, match="unit must be"):
        he2023.pipelines(unit="second")


def test_aggregated_scores_are_the_means_of_each_patient():
    rng = np.random.default_rng(0)
    groups = rng.choice(list("abcde"), 60)
    scores = rng.random(60)
    table = aggregate_by_group(scores, groups, y_true=groups == "a")
    for patient, row in table.iterrows():
        assert row["score"] == pytest.approx(scores[groups == patient].mean())
        assert row["n_records"] == (groups == patient).sum()
        assert row["y_true"] == (patient == "a")
    votes = aggregate_by_group(np.column_stack([1 - scores, scores]), groups, method="vote")
    share = aggregate_by_group(scores, groups, method="vote")
    np.testing.assert_allclose(votes["score_1"], share["score"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scores": [0.1, np.nan], "groups": [1, 2]}, "without a score"),
        ({"scores": [0.1, 0.2], "groups": [1, 1], "y_true": [0, 1]}, "two labels"),
        ({"scores": [0.1, 0.2], "groups": [1, 1], "method": "max"}, "knows the methods"),
        ({"scores": [0.1, 0.2], "groups": [1]}, "got 1 patients for 2 records"),
        ({"scores": np.zeros((2, 2, 2)), "groups": [1, 2]}, "n_classes"),
    ],
)
def test_aggregation_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        aggregate_by_group(**arguments)


def test_cards_come_back_and_bad_ones_are_refused(tmp_path, weights):
    card = {"data": "MIT-BIH", "scores": {"accuracy": 0.5}, "seed": 0}
    network = torch.nn.Linear(2, 1)
    path = save_weights(network, tmp_path / "net.safetensors", card=card)
    assert read_card(path) == card
    assert read_weights(path)["weight"].equal(network.weight)
    assert read_card(weights) == {}
    with pytest.raises(ValueError, match="Only .safetensors"):
        save_weights(network, tmp_path / "net.pt", card=card)
    with pytest.raises(FileNotFoundError, match="no weights file"):
        read_card(tmp_path / "absent.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ValueError, match="no card that can be read"):
        read_card(tmp_path / "bad.safetensors")
