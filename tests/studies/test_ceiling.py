"""What the signal can give: errors of readings, and the method against the exact ceiling."""

import numpy as np
import pandas as pd
import pytest

from crtkit.datasets.simulation import lvsd2026, response
from crtkit.studies import ceiling


def test_known_latents_give_the_exact_ceiling_again():
    """The learned posterior loses next to nothing where nothing is read with an error."""
    model = response.MODELS["mori2025"]
    rng = np.random.default_rng(0)
    drawn = model.draw((20_000, 20_000), rng, exact=False)
    known = ceiling.latents(drawn, "mori2025")
    values = pd.get_dummies(known, columns=["morphology"]).to_numpy(float)
    auc, se = ceiling.posterior_auc(values, drawn["response"].to_numpy(), rng)
    exact = model.best_auc()["signal"]["auc"]
    assert auc == pytest.approx(exact, abs=0.012 + 2 * se)
    assert auc < exact + 3 * se


def test_each_draw_takes_the_errors_of_its_own_kind():
    truth = pd.DataFrame(
        {"morphology": ["lbbb"] * 50 + ["narrow"] * 50, "voltage": np.arange(100.0)}
    )
    read = pd.DataFrame(
        {"voltage": truth["voltage"] * 0.5 + 3, "morphology=lbbb": [0.9] * 50 + [0.1] * 50}
    )
    population = pd.DataFrame(
        {"morphology": ["narrow", "lbbb", "narrow"], "voltage": [10.0, 20.0, 30.0]}
    )
    values = ceiling.with_errors(truth, read, population, np.random.default_rng(0))
    np.testing.assert_allclose(values[:, 0], [8.0, 13.0, 18.0])  # read without error
    np.testing.assert_allclose(values[:, 1], [0.1, 0.9, 0.1])


def test_a_latent_that_cannot_be_read_lowers_the_ceiling():
    known = lvsd2026.best_auc(n=8000)["signal"]["auc"]
    read = lvsd2026.best_auc(n=8000, reliability={"scar": 0.1, "voltage": 0.6})["signal"]["auc"]
    nothing = lvsd2026.best_auc(n=8000, reliability=dict.fromkeys(lvsd2026.ECG_LATENTS, 0.0))
    assert nothing["signal"]["auc"] < 0.65 < read < known


def test_the_shipped_ceilings_lie_below_those_of_known_latents():
    for study, value in ceiling.signal_ceilings().items():
        assert 0.5 < value["auc"] < value["auc_known"] + 2 * value["se"], study
        assert all(0 <= r2 <= 1 for r2 in value["r2"].values())
        assert value["r2"]["qrs_duration_ms"] > value["r2"]["scar"]
