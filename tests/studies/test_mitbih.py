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


def test_a_network_never_answers_for_a_subject_that_it_has_seen(monkeypatch):
    rng = np.random.default_rng(0)
    records = np.repeat(["100", "101", "102", "103", "104", "105"], 30)
    y = rng.choice(list("NV"), 180, p=[0.7, 0.3])
    X = pd.DataFrame({"signal": list(np.zeros((180, 1, 8))), "record": records})
    beats = mitbih.Beats(ck.Cohort(X, y, records, {}), Namespace(window=96, size=8, seed=0))

    class Network:
        def __init__(self, rows):
            self.classes_, self.seen = np.unique(y[rows]), set(records[rows])

        def predict_proba(self, pictures):
            # The pictures tell whose they are.
            assert not self.seen & {str(100 + value) for value in np.unique(pictures)}
            return np.full((len(pictures), len(self.classes_)), 1 / len(self.classes_))

    monkeypatch.setattr(beats, "network", lambda rows, pictures: Network(rows))
    train = np.arange(180)
    whose = np.repeat(np.arange(6), 30).astype(np.uint8)[:, None, None, None]
    networks, said = beats.apart(train, whose)
    assert [len(net.seen) for net in networks] == [4, 4, 4]
    assert np.allclose(np.exp(said).sum(axis=1), 1, atol=1e-3)


def test_partitions_hold_every_subject_once_and_differ():
    groups = np.repeat(list("abcdefghijk"), 3)
    parts = mitbih.parts_of(groups, 5, 0)
    assert np.sum(parts, axis=0).tolist() == [1] * 33
    for part in parts:
        assert not set(groups[part]) & set(groups[~part])
    others = mitbih.parts_of(groups, 5, 1)
    assert any((a != b).any() for a, b in zip(parts, others))


def test_a_head_answers_for_subjects_it_has_not_seen_and_weighs_rare_beats_up():
    rng = np.random.default_rng(0)
    y = np.array(list("N" * 950 + "V" * 50))
    X = rng.normal(size=(1000, 3)) + 2.5 * (y == "V")[:, None]
    groups = rng.integers(0, 10, 1000).astype(str)
    found = mitbih.answers_across(X, y, groups, np.ones(1000), 5, 0)
    assert (found[y == "V"] == "V").mean() > 0.8
    assert (found[y == "N"] == "N").mean() > 0.8
    # A subject whose every label is wrong spoils the answers for others, not for itself.
    other = np.where(groups == "3", "N", y)
    again = mitbih.answers_across(X, other, groups, np.ones(1000), 5, 0)
    own = mitbih.parts_of(groups, 5, 0)
    own = next(part for part in own if part[groups == "3"].all())
    np.testing.assert_array_equal(again[own], found[own])
    # A beat that stands for two weighs as two beats.
    twice = mitbih.fit_head(X, y, np.r_[np.full(500, 2.0), np.ones(500)])
    repeated = np.r_[np.arange(500), np.arange(1000)]
    same = mitbih.fit_head(X[repeated], y[repeated], np.ones(1500))
    assert np.mean(twice.predict(X) == same.predict(X)) > 0.97
