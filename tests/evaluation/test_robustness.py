"""Robustness cards: planted weaknesses are named, intervals are paired, refusals are rows."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from crtkit import Cohort, JPEGLoader, Select
from crtkit._leads import LEADS_12
from crtkit.datasets import make_cohort, render_cohort
from crtkit.evaluation import plot_robustness, robustness_card
from crtkit.evaluation.robustness import disturbances as d
from crtkit.images import render_page

RNG = np.random.default_rng(0)


class LeadAmplitude(ClassifierMixin, BaseEstimator):
    """Says yes where the mean height of one lead is above 1 mV: what it depends on is known."""

    def __init__(self, lead="V1"):
        self.lead = lead

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        level = np.asarray(X)[:, LEADS_12.index(self.lead)].mean(axis=1)
        p = 1 / (1 + np.exp(-8 * (level - 1)))
        return np.column_stack([1 - p, p])

    def predict(self, X):
        return self.classes_[(self.predict_proba(X)[:, 1] > 0.5).astype(int)]


@pytest.fixture(scope="module")
def cohort():
    rng = np.random.default_rng(1)
    n = 120
    y = np.arange(n) % 2
    signals = rng.normal(0, 0.05, (n, 12, 1000)).astype(np.float32)
    signals[:, LEADS_12.index("V1")] += (1 + 0.3 * (2 * y - 1) + rng.normal(0, 0.3, n))[:, None]
    cells = np.empty(n, dtype=object)
    cells[:] = list(signals)
    groups = np.array([f"p{k // 2}" if k < 0 else f"p{k}" for k in range(n)], dtype=object)
    info = {"name": "levels", "source": "simulated", "sampling_rate": 100.0}
    return Cohort(pd.DataFrame({"signal": cells}), y, groups, info)


def test_a_planted_weakness_is_the_only_one_named(cohort):
    model = make_pipeline(Select("signal"), LeadAmplitude("V1")).fit(cohort.X, cohort.y)
    card = robustness_card(model, cohort, n_bootstrap=200)
    assert card.index[0] == "as it is"
    assert card.loc["as it is", "changed"] == 0
    gone = card.loc["lead V1 flat"]
    assert gone["auc"] == pytest.approx(0.5)
    assert gone["auc_high"] < 0
    assert gone["changed_low"] > 0.3
    for name in ("lead II flat", "lead V6 flat", "arm leads swapped"):
        assert card.loc[name, "auc_change"] == 0
        assert card.loc[name, "changed"] == 0
    # Half the voltage: ranks stay, risks fall by far, and answers with them.
    half = card.loc["gain 5 mm/mV read as 10"]
    assert half["auc_change"] == pytest.approx(0, abs=1e-12)
    assert half["intercept_low"] > 1
    assert "SIMULATED" in card.attrs["note"]


def test_the_card_is_drawn_and_marked(cohort):
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("Agg")
    model = make_pipeline(Select("signal"), LeadAmplitude("V1")).fit(cohort.X, cohort.y)
    card = robustness_card(model, cohort, n_bootstrap=50)
    ax = plot_robustness(card)
    assert [t.get_text() for t in ax.get_yticklabels()] == list(card.index[1:])
    assert "SIMULATED" in [t.get_text() for t in ax.texts]
    squares = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "s"]
    np.testing.assert_allclose(squares, card["auc_change"].iloc[1:].astype(float))
    plt.close("all")


def test_rows_do_not_depend_on_each_other(cohort):
    model = make_pipeline(Select("signal"), LeadAmplitude("V1")).fit(cohort.X, cohort.y)
    one = {"noise": d.noise(0.5)}
    both = {"mains": d.mains(50, 1.0), **one}
    a = robustness_card(model, cohort, changes=one, n_bootstrap=50).loc["noise"]
    b = robustness_card(model, cohort, changes=both, n_bootstrap=50).loc["noise"]
    pd.testing.assert_series_equal(a, b)


def test_the_interval_of_a_change_is_paired(cohort):
    model = make_pipeline(Select("signal"), LeadAmplitude("V1")).fit(cohort.X, cohort.y)
    card = robustness_card(model, cohort, changes={"n": d.noise(0.3)}, n_bootstrap=200)
    row = card.loc["n"]
    # Noise averages out: next to no change, however wide the interval of the AUC itself.
    assert row["auc_low"] < row["auc_change"] < row["auc_high"]
    assert row["auc_high"] - row["auc_low"] < 0.05


def test_what_a_model_refuses_is_a_row_with_the_reason(cohort):
    model = make_pipeline(Select("signal"), LeadAmplitude("V1")).fit(cohort.X, cohort.y)

    def broken(signals, fs, rng):
        raise RuntimeError("no such lead\nand more")

    card = robustness_card(model, cohort, changes={"x": broken}, n_bootstrap=10)
    assert card.loc["x", "note"] == "refused: no such lead"
    assert np.isnan(card.loc["x", "auc"])


def test_models_without_signals_or_pages_are_refused(cohort):
    model = make_pipeline(Select(["age"]), LogisticRegression())
    with pytest.raises(ValueError, match="signals or pages"):
        robustness_card(model, cohort)


def test_swapped_arms_keep_einthoven_and_undo_themselves():
    rng = np.random.default_rng(0)
    two = rng.normal(size=(3, 2, 50))
    from crtkit._leads import limb_weights

    limb = np.einsum("wk,nkt->nwt", limb_weights(LEADS_12[:6], ["I", "II"]), two)
    signals = np.concatenate([limb, rng.normal(size=(3, 6, 50))], axis=1)
    swapped = d.arms_swapped(signals, 100.0, rng)
    np.testing.assert_allclose(swapped[:, 0], -signals[:, 0])
    np.testing.assert_allclose(swapped[:, 0] + swapped[:, 2], swapped[:, 1])  # I + III = II
    np.testing.assert_allclose(swapped[:, 3], signals[:, 4])  # aVR is aVL
    np.testing.assert_allclose(swapped[:, 5:], signals[:, 5:])  # aVF and the chest see nothing
    np.testing.assert_allclose(d.arms_swapped(swapped, 100.0, rng), signals)
    four = d.four_channels()(signals, 100.0, rng)
    np.testing.assert_allclose(four[:, :6], signals[:, :6], atol=1e-12)
    assert not four[:, [LEADS_12.index(n) for n in ("V2", "V3", "V4", "V6")]].any()


@pytest.mark.parametrize("name", d.signal_changes())
def test_signals_keep_shape_and_type(name):
    signals = RNG.normal(size=(2, 12, 1001)).astype(np.float32)
    out = d.signal_changes()[name](signals, 500.0, np.random.default_rng(0))
    assert out.shape == signals.shape
    assert out.dtype == np.float32
    assert np.isfinite(out).all()


def test_resampling_keeps_slow_waves_and_loses_fast_ones():
    t = np.arange(5000) / 500
    slow, fast = (np.sin(2 * np.pi * f * t)[None, None] for f in (2.0, 80.0))
    change = d.resampled(99)
    assert np.abs(change(slow, 500.0, None) - slow)[..., 100:-100].max() < 0.02
    assert np.abs(change(fast, 500.0, None))[..., 100:-100].max() < 0.2


def test_a_model_of_pages_that_reads_the_header_is_found_out(tmp_path):
    rng = np.random.default_rng(2)
    n, paths = 24, []
    y = np.arange(n) % 2
    for k in range(n):
        page, _ = render_page(
            0.1 * rng.normal(size=(12, 5000)), px_per_mm=2.0,
            header="RESPONDER RESPONDER RESPONDER" if y[k] else "-",
        )  # fmt: skip
        from PIL import Image

        paths.append(str(tmp_path / f"{k}.png"))
        Image.fromarray(page).save(paths[-1])

    class Darkness(LeadAmplitude):
        def predict_proba(self, X):
            top = 255 - np.asarray(X)[:, : X.shape[1] // 8].mean(axis=(1, 2, 3))
            p = 1 / (1 + np.exp(-(top - self.cut_)))
            return np.column_stack([1 - p, p])

        def fit(self, X, y):
            self.classes_, self.cut_ = np.unique(y), 0.0
            top = 255 - np.asarray(X)[:, : X.shape[1] // 8].mean(axis=(1, 2, 3))
            self.cut_ = (top[y == 1].mean() + top[y == 0].mean()) / 2
            return self

    X = pd.DataFrame({"image": np.array(paths, dtype=object)})
    cohort = Cohort(X, y, np.arange(n), {"name": "pages", "source": "simulated"})
    model = make_pipeline(Select("image"), JPEGLoader(size=(160, 224)), Darkness()).fit(X, y)
    changes = d.page_changes()
    wanted = ["text outside the grid erased", "JPEG quality 50", "half the resolution"]
    card = robustness_card(
        model, cohort, changes={name: changes[name] for name in wanted}, n_bootstrap=50
    )
    assert card.loc["as it is", "auc"] == 1
    assert card.loc["text outside the grid erased", "auc"] < 0.8
    assert card.loc["JPEG quality 50", "auc"] > 0.95
    assert card["note"].eq("").all()


@pytest.mark.parametrize("name", d.page_changes())
def test_pages_stay_pages(name):
    page = np.full((120, 180, 3), 255, dtype=np.uint8)
    page[40:60, 30:150] = (200, 30, 40)
    out = d.page_changes()[name](page, np.random.default_rng(0))
    assert out.dtype == np.uint8
    assert out.ndim == 3
    assert out.shape[2] == 3
    if "resolution" not in name:
        assert out.shape == page.shape


def test_pages_are_printed_again_on_other_paper(tmp_path):
    cohort = make_cohort("mori2025", n_patients=8, random_state=0)
    pages = render_cohort(cohort, tmp_path, px_per_mm=2)

    class Ink(LeadAmplitude):
        """Share of ink: what a higher gain prints more of."""

        def predict_proba(self, X):
            dark = (np.asarray(X).mean(axis=3) < 100).mean(axis=(1, 2))
            p = np.clip(20 * dark, 0.01, 0.99)
            return np.column_stack([1 - p, p])

    model = make_pipeline(Select("image"), JPEGLoader(size=None), Ink()).fit(pages.X, pages.y)
    card = robustness_card(model, pages, n_bootstrap=20)
    assert set(d.reprints()) <= set(card.index)
    assert card.loc["gain 20 mm/mV", "note"] == ""
    # More ink, higher risks: the intercept that would mend them falls.
    shift = card["intercept_change"]
    assert shift["gain 20 mm/mV"] < shift["gain 5 mm/mV"]
    without = Cohort(pages.X.drop(columns="signal"), pages.y, pages.groups, pages.info)
    assert not set(d.reprints()) & set(robustness_card(model, without, n_bootstrap=5).index)
