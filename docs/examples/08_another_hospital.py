"""
A model at another hospital, and several answers pooled
=======================================================

A fitted model leaves as one file; other hospitals send back counts and curves, never a row. What
the next hospital may expect is wider than what the pooled interval says. The patients are
simulated.
"""

# %%
# Fit at one centre, save.

import tempfile
from pathlib import Path

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import crtkit as ck
from crtkit.persistence import evaluate_bundle
from crtkit.statistics import meta_analyse, plot_pooled

here = ck.datasets.make_cohort("mori2025", n_patients=200, modality="table", random_state=0)
columns = ["qrs_duration_ms", "lbbb", "male", "ischaemic", "lvef"]
model = make_pipeline(ck.Select(columns), StandardScaler(), LogisticRegression())
bundle = Path(tempfile.mkdtemp()) / "logistic.crtkit"
manifest = ck.save(
    model.fit(here.X, here.y), bundle, cohort=here, name="Logistic", licence="CC BY 4.0"
)

# %%
# Four hospitals of different size, each with its own answer.

sizes = {"North": 150, "East": 90, "South": 240, "West": 110}
answers = [
    evaluate_bundle(
        bundle,
        ck.datasets.make_cohort("mori2025", n_patients=n, modality="table", random_state=k),
        n_bootstrap=200,
    )
    for k, n in enumerate(sizes.values(), start=1)
]
answers[0]["counts"]

# %%
# Pooled by random effects: the diamond is the mean hospital, the bar below it the next one.

plot_pooled(answers, names=list(sizes))

# %%
# Calibration travels worse than rank.

plot_pooled(answers, names=list(sizes), quantity="calibration_slope")

# %%

meta_analyse(answers).round(3)
