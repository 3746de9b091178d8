import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from crtkit.cohort.rows import Rows, spill
from crtkit.signals import GapFiller, LeadFilter, LeadStatistics, lead_statistics, missing_leads


@parametrize_with_checks([GapFiller(), LeadStatistics(missing="omit")])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.fixture
def page():
    """Two records that show each lead for a quarter of the time, as printed pages do."""
    signals = np.random.default_rng(0).normal(size=(2, 12, 1000)).astype(np.float32)
    shown = np.full_like(signals, np.nan)
    for quarter in range(4):
        leads, times = (
            slice(3 * quarter, 3 * quarter + 3),
            slice(250 * quarter, 250 * quarter + 250),
        )
        shown[:, leads, times] = signals[:, leads, times]
    return shown


def test_only_gaps_are_filled(page, tmp_path):
    for value in (0.0, -1.5):
        out = GapFiller(value=value).fit_transform(page)
        assert out.dtype == np.float32
        np.testing.assert_array_equal(out[~np.isnan(page)], page[~np.isnan(page)])
        assert (out[np.isnan(page)] == value).all()
    rows = Rows.from_cells(spill(list(page), tmp_path / "x.npy"))
    np.testing.assert_array_equal(
        GapFiller().fit(rows).transform(rows), GapFiller().fit_transform(page)
    )
    with pytest.raises(ValueError, match="infinity"):
        GapFiller().fit(np.where(np.isnan(page), np.inf, page))


def test_a_network_reads_pages(page):
    from crtkit import FCNClassifier

    X = np.concatenate([page, page + 1])
    model = make_pipeline(
        LeadFilter(fs=100, mains=None, missing="runs"),
        GapFiller(),
        FCNClassifier(n_filters=(4, 4, 4), max_epochs=1, random_state=0),
    )
    assert model.fit(X, [0, 0, 1, 1]).predict_proba(X).shape == (4, 2)


def test_statistics_of_what_was_printed(page):
    with pytest.raises(ValueError, match="NaN"):
        lead_statistics(page)
    got = lead_statistics(page, missing="omit").reshape(2, 12, 5)
    for lead in range(12):
        quarter = lead // 3
        shown = page[:, lead, 250 * quarter : 250 * quarter + 250]
        want = lead_statistics(shown[:, None]).reshape(2, 5)
        np.testing.assert_allclose(got[:, lead], want, rtol=1e-5, atol=1e-6)
    page[1, 4] = np.nan
    assert np.isnan(lead_statistics(page, missing="omit").reshape(2, 12, 5)[1, 4]).all()
    whole = np.random.default_rng(1).normal(size=(3, 12, 400))
    np.testing.assert_array_equal(
        LeadStatistics(missing="omit").fit_transform(whole), LeadStatistics().fit_transform(whole)
    )
    with pytest.raises(ValueError, match="missing='raise' or 'omit', got 'skip'"):
        LeadStatistics(missing="skip").fit(whole)


def test_zeros_and_constants_are_missing_leads():
    signals = np.random.default_rng(0).normal(size=(2, 12, 100))
    signals[0, 3] = 0
    signals[0, 4] = -3.2
    signals[1, 5] = np.nan
    signals[1, 6, 10:] = np.nan
    signals[1, 7, 1:] = np.nan  # one sample is not a recording
    got = missing_leads(signals)
    assert np.argwhere(got).tolist() == [[0, 3], [0, 4], [1, 5], [1, 7]]
    assert missing_leads(signals[1].astype(np.float32)).tolist() == got[1].tolist()
    assert missing_leads(np.zeros((3, 5), dtype=int)).all()


def test_leads_on_the_last_axis_are_refused():
    from crtkit import Resampler, STFTTransformer

    turned = np.random.default_rng(0).normal(size=(4, 1000, 12))
    for model in (LeadStatistics(), LeadFilter(fs=100, mains=None), Resampler(), STFTTransformer()):
        with pytest.raises(ValueError, match="leads seem to lie on the last axis"):
            model.fit(turned)
        model.fit(np.moveaxis(turned, -1, 1))
