"""make_cohort("he2021") and simulate_gated_spect: printed margins, maps that know their truth."""

import numpy as np
import pytest

from crtkit.cohort import Select
from crtkit.datasets import make_cohort, simulate_gated_spect
from crtkit.spect import phase_moments, phase_statistics

COUNTS = {
    "acei_arb": (51, 37),
    "cad": (15, 10),
    "ckd": (2, 3),
    "male": (37, 37),
    "ischaemic": (15, 9),
    "smoking": (18, 19),
    "lbbb": (34, 37),
    "af": (0, 0),
}
MOMENTS = {
    "age": ((60.8, 13.5), (62.0, 12.4)),
    "qrs_duration_ms": ((150.9, 23.7), (165.4, 16.2)),
    "lvedv": ((307.5, 90.0), (270.5, 81.8)),
    "lvesv": ((222.6, 77.7), (191.5, 71.6)),
    "lvef": ((28.8, 6.8), (29.9, 6.7)),
    "scar": ((28.6, 11.9), (24.5, 9.8)),
    "pbw_deg": ((194.1, 78.2), (197.1, 72.8)),
    "psd_deg": ((57.7, 19.0), (58.6, 18.3)),
}


@pytest.fixture(scope="module")
def cohort():
    return make_cohort("he2021", modality="counts", random_state=0)


@pytest.mark.parametrize("seed", range(3))
def test_counts_given_response_are_the_printed_ones(seed):
    cohort = make_cohort("he2021", modality="table", random_state=seed)
    assert tuple(np.bincount(cohort.y)) == (57, 45)
    found = cohort.X[list(COUNTS)].groupby(cohort.y).sum()
    assert {name: tuple(found[name]) for name in COUNTS} == COUNTS
    nyha = cohort.X["nyha"].groupby(cohort.y).value_counts()
    assert nyha[1].to_dict() == {3: 21, 2: 16, 4: 8}
    assert nyha[0].to_dict() == {3: 35, 2: 15, 4: 7}


@pytest.mark.parametrize("name", MOMENTS)
def test_means_and_sds_in_many_patients(name):
    many = make_cohort("he2021", 40_000, "table", random_state=1)
    loose = 0.08 if name == "lvesv" else 0.02
    for y in (0, 1):
        mean, sd = MOMENTS[name][y]
        values = many.X[name][many.y == y]
        assert values.mean() == pytest.approx(mean, abs=2 * loose * sd)
        assert values.std() == pytest.approx(sd, rel=2 * loose)


def test_inclusion_criteria_and_flow(cohort):
    many = make_cohort("he2021", 5000, "table", random_state=0).X
    assert many["lvef"].max() <= 35.4
    assert many["qrs_duration_ms"].min() >= 119.5
    assert set(cohort.X["true_morphology"]) == {"lbbb", "ivcd"}
    flow = cohort.info["flow"]
    assert list(flow.values()) == [104, -1, -1, 102]
    assert len(cohort) + len(cohort.info["left_out"]) == 104


def test_the_table_has_the_maps_own_figures(cohort):
    maps = np.stack(cohort.X["map"])
    assert maps.shape == (102, 12, 24)
    assert maps.dtype == np.float32
    assert (maps >= 0).all()
    assert (maps < 360).all()
    figures = phase_statistics(maps.reshape(102, -1), ("psd", "pbw"))
    np.testing.assert_allclose(cohort.X[["psd_deg", "pbw_deg"]], figures, atol=0.051)
    assert np.corrcoef(figures[:, 0], cohort.X["true_psd_deg"])[0, 1] > 0.95
    assert Select("map").fit_transform(cohort.X).shape == (102, 12, 24)
    assert Select("counts").fit_transform(cohort.X).shape == (102, 8, 12, 24)


def test_the_drawn_phase_sd_is_that_of_the_true_onsets(cohort):
    onsets = np.stack(cohort.X["true_onset_deg"]).reshape(102, -1)
    np.testing.assert_allclose(phase_moments(onsets)[1], cohort.X["true_psd_deg"], atol=0.6)


def test_lbbb_delays_the_lateral_wall(cohort):
    onsets = np.stack(cohort.X["true_onset_deg"])
    septal, lateral = onsets[:, 6:, 10:14], np.roll(onsets, 2, axis=2)[:, 6:, :4]
    gap = np.array(
        [
            phase_statistics(b.ravel(), ("mean",))[0] - phase_statistics(a.ravel(), ("mean",))[0]
            for a, b in zip(septal, lateral)
        ]
    )
    gap = (gap + 180) % 360 - 180
    lbbb = cohort.X["lbbb"].to_numpy() == 1
    assert gap[lbbb].mean() > 30
    assert gap[lbbb].mean() > gap[~lbbb].mean() + 20


def test_the_same_seed_gives_the_same_bits():
    a, b = (make_cohort("he2021", 6, random_state=3) for _ in range(2))
    assert a.fingerprint() == b.fingerprint()
    assert make_cohort("he2021", 6, random_state=4).fingerprint() != a.fingerprint()
    assert make_cohort("he2021", 6, random_state=3, n_frames=16).fingerprint() != a.fingerprint()


def test_best_auc_says_what_each_modality_can_reach(cohort):
    best = cohort.info["best_auc"]
    assert 0.7 < best["map"]["auc"] < best["table"]["auc"] < 0.95
    assert set(make_cohort("he2021", 4, "table", random_state=0).info["best_auc"]) == {"table"}


def test_counts_are_a_poisson_draw_of_what_is_expected():
    expected, _ = simulate_gated_spect(noise=0, random_state=5)
    drawn, _ = simulate_gated_spect(noise=1, random_state=5)
    assert (drawn == np.rint(drawn)).all()
    hot = expected > 20
    z = (drawn - expected)[hot] / np.sqrt(expected[hot])
    assert abs(z.mean()) < 0.05
    assert z.std() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(
    "wrong", [{"scar": 120}, {"n_frames": 2}, {"psd_deg": 200}, {"noise": 3}, {"counts": 0}]
)
def test_numbers_out_of_range(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        simulate_gated_spect(**wrong)
