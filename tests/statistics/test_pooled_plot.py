"""What the forest plot draws is what the meta-analysis says."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from crtkit.statistics import meta_analyse, plot_pooled

TABLE = pd.DataFrame(
    {"auc": [0.70, 0.78, 0.66, np.nan], "auc_se": [0.04, 0.05, 0.06, np.nan]},
    index=["Athens", "Bergen", "Cork", "Dover"],
)


def test_marks_stand_at_the_figures():
    ax = plot_pooled(TABLE)
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["Athens", "Bergen", "Cork", "together (3)", "a new centre"]
    squares = [line for line in ax.lines if line.get_marker() == "s"]
    np.testing.assert_allclose([line.get_xdata()[0] for line in squares], TABLE["auc"][:3])
    assert np.argmax([line.get_markersize() for line in squares]) == 0  # the smallest error
    figures = meta_analyse(TABLE).loc["logit_auc"]
    diamond = ax.patches[0].get_xy()[:, 0]
    assert diamond.min() == pytest.approx(figures["value_low"])
    assert diamond.max() == pytest.approx(figures["value_high"])
    bar = next(line for line in ax.lines if line.get_linewidth() == 3)
    expected = [figures["value_pi_low"], figures["value_pi_high"]]
    np.testing.assert_allclose(bar.get_xdata(), expected)


def test_a_centres_interval_is_that_of_its_logit():
    whisker = plot_pooled(TABLE).lines[0].get_xdata()
    reach = 1.959964 * 0.04 / (0.7 * 0.3)
    np.testing.assert_allclose(whisker, expit(logit(0.7) + np.array([-reach, reach])), rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantity": "auc"}, "plot_pooled knows logit_auc"),
        ({"quantity": "log_oe"}, "fewer than two centres have oe"),
        ({"names": ["A"]}, "1 names for 4 centres"),
    ],
)
def test_what_cannot_be_drawn_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        plot_pooled(TABLE, **options)


def test_another_quantity_that_cannot_be_pooled_is_no_hindrance():
    """An AUC of 1 has no logit; the slopes beside it can be drawn."""
    table = pd.DataFrame({"auc": [1.0, 0.8], "auc_se": [0.1, 0.1],
                          "slope": [0.9, 1.1], "slope_se": [0.1, 0.2]})  # fmt: skip
    assert "slope" in plot_pooled(table, quantity="calibration_slope").get_xlabel()
    with pytest.raises(ValueError, match="its logit is"):
        plot_pooled(table)
