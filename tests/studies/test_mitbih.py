"""Beats of MIT-BIH: how they are chosen, painted, and told apart by rhythm."""

from argparse import Namespace

import numpy as np
import pandas as pd

import crtkit as ck
from crtkit.studies import mitbih


def test_beats_are_capped_by_class_and_record_and_stand_for_the_rest():
    y = np.array(list("N" * 50 + "SSS" + "N" * 5))
    records = np.array(["a"] * 53 + ["b"] * 5)
    candidates = np.arange(58)
    rows = mitbih.choose(y, records, candidates, 10, np.random.default_rng(0))
    assert (y[rows] == "S").sum() == 3
    assert ((y[rows] == "N") & (records[rows] == "a")).sum() == 10
    assert ((y[rows] == "N") & (records[rows] == "b")).sum() == 5
    assert len(np.unique(rows)) == len(rows)
    weight = mitbih.stand_for(y, records, candidates, rows)
    assert weight.sum() == 58
    assert set(weight[(y[rows] == "N") & (records[rows] == "a")]) == {5.0}
    # Weights of classes follow the beats there are, not those that were chosen.
    assert mitbih.class_weights(y[rows], 0.7, weight) == mitbih.class_weights(y, 0.7)


def test_a_difference_picture_is_grey_where_a_beat_is_usual():
    rng = np.random.default_rng(0)
    beat = np.exp(-0.5 * ((np.arange(512) - 256) / 5) ** 2)
    wide = np.exp(-0.5 * ((np.arange(512) - 256) / 20) ** 2)
    gains = [1.0] * 20 + [0.2] * 20  # two subjects, one of low voltage
    cells = [gain * (beat + rng.normal(0, 1e-4, 512))[None] for gain in gains]
    cells[5], cells[25] = wide[None], 0.2 * wide[None]
    records = ["100"] * 20 + ["101"] * 20
    X = pd.DataFrame({"signal": pd.Series(cells, dtype=object), "record": records})
    for name in ("rr_before_s", "rr_after_s", "rr_ratio"):
        X[name] = 1.0
    cohort = ck.Cohort(X, np.array(list("N" * 40)), records, {"sampling_rate": 360})
    options = Namespace(window=96, size=24, seed=0)
    pictures = mitbih.Beats(cohort, options).differences(np.array([0, 5, 20, 25]))
    middle = pictures[:, :, 9:15].astype(int) - 128
    assert np.abs(middle[[0, 2]]).max() <= 3
    assert np.abs(middle[[1, 3]]).max() > 40
    # Gain has gone, but for what lies below the range: wide beats of both subjects look alike.
    assert np.corrcoef(middle[1].ravel(), middle[3].ravel())[0, 1] > 0.8


def test_halves_never_answer_for_their_own_subjects(monkeypatch):
    rng = np.random.default_rng(0)
    records = np.repeat(["100", "101", "102", "103", "104", "105"], 30)
    y = rng.choice(list("NV"), 180, p=[0.7, 0.3])
    X = pd.DataFrame({"signal": list(np.zeros((180, 1, 8))), "record": records})
    X["rr_before_s"], X["rr_after_s"] = rng.uniform(0.6, 1.2, (2, 180))
    X["rr_ratio"] = 1.0
    beats = mitbih.Beats(ck.Cohort(X, y, records, {}), Namespace(window=96, size=8, seed=0))
    seen_by_network, heads = [], []

    class Network:
        def __init__(self, rows):
            self.classes_ = np.unique(y[rows])
            seen_by_network.append(set(records[rows]))

        def predict_proba(self, pictures):
            return np.full((len(pictures), len(self.classes_)), 1 / len(self.classes_))

    monkeypatch.setattr(beats, "network", lambda rows, pictures: Network(rows))
    train = np.arange(180)
    folds, said = beats.halves(train, np.zeros((180, 8, 8, 3), dtype=np.uint8))
    assert np.allclose(np.exp(said).sum(axis=1), 1, atol=1e-3)
    for (_, left), seen in zip(folds, seen_by_network):
        assert not seen & set(records[left])
    inner = beats.head

    def head(rows, said, weight):
        heads.append(set(records[rows]))
        return inner(rows, said, weight)

    monkeypatch.setattr(beats, "head", head)
    answers = beats.exchanged(train, folds, said, np.ones(180))
    assert set(answers) <= {"N", "V"}
    for (seen, _), learned in zip(folds, heads):
        assert not learned & set(records[seen])
