import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from crtkit.cohort.rows import Rows, spill
from crtkit.signals import LEADS_12, LeadFilter, LeadSplicer

# references: study lvsd2026, Figure 1 (written out here, not read from the module under test)
PAGE = [
    ["I", "aVR", "V1", "V4"],
    ["II", "aVL", "V2", "V5"],
    ["III", "aVF", "V3", "V6"],
    ["II", "II", "II", "II"],
]


@parametrize_with_checks([LeadSplicer(), LeadSplicer(layout="3x4", on_unknown="nan")])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_every_sample_comes_from_its_lead_and_time():
    n_samples = 5000
    lead, time = np.arange(12)[:, None], np.arange(n_samples)
    x = np.stack([lead * 10_000 + time, -(lead * 10_000 + time)]).astype(float)
    out = LeadSplicer(fs=500).fit_transform(x)
    assert out.shape == (2, 4, 5000)
    for row, names in enumerate(PAGE):
        for column, name in enumerate(names):
            shown = slice(1250 * column, 1250 * (column + 1))
            expected = LEADS_12.index(name) * 10_000 + np.arange(n_samples)[shown]
            np.testing.assert_array_equal(out[0, row, shown], expected)
    np.testing.assert_array_equal(out[1], -out[0])


def test_without_the_rhythm_strip():
    x = np.random.default_rng(0).normal(size=(2, 12, 1000)).astype(np.float32)
    out = LeadSplicer(fs=100, layout="3x4").fit_transform(x)
    assert (out.shape, out.dtype) == ((2, 3, 1000), np.float32)
    np.testing.assert_array_equal(out, LeadSplicer(fs=100).fit_transform(x)[:, :3])


def test_a_digitized_page_splices_into_numbers():
    rng = np.random.default_rng(0)
    page = np.full((1, 12, 5000), np.nan)
    for names in PAGE[:3]:
        for column, name in enumerate(names):
            shown = slice(1250 * column, 1250 * (column + 1))
            page[0, LEADS_12.index(name), shown] = rng.normal(size=1250)
    page[0, LEADS_12.index("II")] = rng.normal(size=5000)
    assert np.isfinite(LeadSplicer().fit_transform(page)).all()
    clean = LeadFilter(missing="runs").fit_transform(page)
    assert np.isfinite(LeadSplicer().fit_transform(clean)).all()

    page[0, LEADS_12.index("V5"), 4000:4100] = np.nan
    with pytest.raises(ValueError, match=r"1 record\(s\), first \[0\]"):
        LeadSplicer().fit_transform(page)
    out = LeadSplicer(on_unknown="nan").fit_transform(page)
    assert np.isnan(out).sum() == 100


def test_one_lead_passes_through():
    x = np.random.default_rng(0).normal(size=(3, 700))
    np.testing.assert_array_equal(LeadSplicer().fit_transform(x), x)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((2, 8, 5000), "12 leads in the order I, II, III.*got 8"),
        ((2, 12, 3600), "ten seconds, 5000 samples at fs=500, got 3600"),
        ((2, 12, 1000), "got 1000"),
    ],
)
def test_other_records_are_refused(shape, words):
    with pytest.raises(ValueError, match=words):
        LeadSplicer().fit(np.zeros(shape))


def test_rows_are_read_block_by_block(tmp_path):
    x = np.random.default_rng(0).normal(size=(70, 12, 100)).astype(np.float32)
    x[69, 0, 50] = np.nan  # not in the quarter of lead I that the page shows
    rows = Rows.from_cells(spill(x, tmp_path / "x.npy"))
    model = LeadSplicer(fs=10)
    np.testing.assert_array_equal(model.fit(rows).transform(rows), model.transform(x))
    x[69, 0, 5] = np.nan
    with pytest.raises(ValueError, match=r"first \[69\]"):
        model.transform(x)


def test_an_unknown_layout_is_named():
    from crtkit.signals import splice_leads

    with pytest.raises(ValueError, match=r"layout must be one of 3x4\+II, 3x4, got '6x2'"):
        splice_leads(np.zeros((12, 5000)), "6x2")
