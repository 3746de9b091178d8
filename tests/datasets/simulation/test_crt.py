"""The cohort in which one heart drives the table, the ECG, its page and the SPECT."""

import numpy as np
import pandas as pd
import pytest

from crtkit import Select
from crtkit.datasets import make_cohort, simulate_gated_spect
from crtkit.datasets.simulation.crt import CRT
from crtkit.datasets.simulation.spect import SCAR_ANGLES


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return make_cohort(
        "crt", n_patients=12, random_state=3, cache_dir=tmp_path_factory.mktemp("crt")
    )


def test_every_modality_of_the_same_patients(cohort):
    assert Select("signal").fit_transform(cohort.X).shape == (12, 12, 5000)
    assert Select("map").fit_transform(cohort.X).shape == (12, 12, 24)
    assert cohort.X["image"].str.endswith(".jpg").all()
    assert set(cohort.info["best_auc"]) == {"table", "signal", "image", "map", "all"}
    assert len(set(cohort.groups)) == 12
    hidden = set(cohort.info["truth"])
    assert {"true_scar", "true_scar_wall", "true_psd_deg", "true_morphology"} <= hidden
    assert not hidden & set(cohort.info["covariates"])
    assert set(cohort.info["covariates"]) <= set(cohort.X)


def test_a_modality_by_itself_is_the_same_patients_and_bits(cohort):
    for modality in ("signal", "map"):
        alone = make_cohort("crt", n_patients=12, modality=modality, random_state=3)
        pd.testing.assert_series_equal(alone.X["lvef"], cohort.X["lvef"])
        np.testing.assert_array_equal(
            Select(modality).fit_transform(alone.X), Select(modality).fit_transform(cohort.X)
        )
        assert set(alone.info["best_auc"]) == {"table", modality}


def test_margins_are_the_printed_ones():
    table = make_cohort("crt", modality="table", random_state=0)
    lbbb = table.X["lbbb"].groupby(table.y).sum()
    assert (len(table), int(table.y.sum()), lbbb.to_list()) == (285, 182, [19, 86])
    large = CRT.draw((4000, 4000), np.random.default_rng(0))
    by = large.groupby("response")
    # he2021's Table 1; standard error of a mean of 4,000: below 0.3
    np.testing.assert_allclose(by["scar"].mean(), [28.6, 24.5], atol=1.0)
    np.testing.assert_allclose(by["psd_deg"].mean(), [57.7, 58.6], atol=1.5)
    np.testing.assert_allclose(by["lvef"].median(), [27.0, 25.0], atol=0.7)


def test_more_is_known_of_all_than_of_any():
    best = CRT.best_auc(n=4000)
    error = 3 * max(value["se"] for value in best.values())
    for name in ("table", "signal", "map"):
        assert best["all"]["auc"] > best[name]["auc"] - error
        assert best[name]["auc"] > 0.55


def test_the_scar_lies_in_the_named_wall():
    """Every wall occurs, and the scar of the SPECT lies where its name says."""
    cohort = make_cohort("crt", n_patients=60, modality="map", random_state=1)
    walls = cohort.X["true_scar_wall"]
    assert set(walls) == set(SCAR_ANGLES)
    for wall, angle in SCAR_ANGLES.items():
        truth = simulate_gated_spect(scar=20, scar_wall=wall, random_state=0)[1]
        sectors = np.deg2rad((np.arange(24) + 0.5) * 15.0)
        scar = truth["scar"].mean(axis=0)
        centre = np.rad2deg(np.angle((scar * np.exp(1j * sectors)).sum())) % 360.0
        assert abs((centre - angle + 180.0) % 360.0 - 180.0) < 20.0


def test_the_ecg_and_the_map_draw_one_wall():
    from crtkit.datasets.simulation.crt import draw_crt, scar_walls
    from crtkit.datasets.simulation.ecg import render, stream

    latents, _ = draw_crt(8, stream(5, 0))
    walls = scar_walls(latents, 5)
    quiet = {"af": False, "voltage": 0.0, "repolarisation": 0.0, "ischaemic": True}
    quiet |= {"morphology": "narrow", "qrs_duration_ms": 100.0, "heart_rate_bpm": 70.0}
    quiet |= {"pr_ms": 160.0}
    for patient, wall in zip(latents["patient"], walls):
        area = {}
        for scar in (0.0, 60.0):
            signal, truth = render(
                {**quiet, "scar": scar},
                fs=500.0,
                n_samples=2500,
                noise=0.0,
                mains_hz=50.0,
                waves=("QRS",),
                anatomy_rng=stream(5, 1, int(patient), 0),
                rng=np.random.default_rng(0),
            )
            beat = slice(*(round(500 * truth[k][0]) for k in ("qrs_onsets_s", "qrs_offsets_s")))
            early = signal[:, beat][:, :20]
            area[scar] = early / np.abs(early).max()
        gone = area[60.0].mean(axis=1) - area[0.0].mean(axis=1)
        # leads I, aVF and V2 look at the lateral, inferior and (from the front) anterior wall
        lost = {"lateral": gone[0], "inferior": gone[5], "anterior": gone[7]}
        assert lost[wall] < 0, (wall, lost)


def test_bad_words_are_refused():
    with pytest.raises(ValueError, match="scar_wall in"):
        simulate_gated_spect(scar_wall="septal")
    with pytest.raises(ValueError, match="expects modality"):
        make_cohort("crt", modality="counts")
