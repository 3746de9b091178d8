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

import numpy as np
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
# Four hospitals of different size, each with its own answer. In the West QRS duration is read by
# hand, with errors, and three in ten records are called LBBB or not by another rule.

sizes = {"North": 150, "East": 90, "South": 240, "West": 110}
rng = np.random.default_rng(0)
answers = []
for seed, (name, n) in enumerate(sizes.items(), start=1):
    there = ck.datasets.make_cohort("mori2025", n_patients=n, modality="table", random_state=seed)
    if name == "West":
        table = there.X.copy()
        table["qrs_duration_ms"] += rng.normal(0, 20, n)
        table["lbbb"] = np.where(rng.random(n) < 0.3, 1 - table["lbbb"], table["lbbb"])
        there = ck.Cohort(table, there.y, there.groups, there.info)
    answers.append(evaluate_bundle(bundle, there, n_bootstrap=200))
answers[0]["counts"]

# %%
# Pooled by random effects: the diamond is the mean hospital, the bar below it the next one, of
# which nobody knows whether it is like the West.

plot_pooled(answers, names=list(sizes)).set_title("SIMULATED hospitals")

# %%
# Calibration travels worse than rank.

ax = plot_pooled(answers, names=list(sizes), quantity="calibration_slope")
ax.set_title("SIMULATED hospitals")

# %%
# The figures of both: the mean hospital with its interval, and the interval of the next one.

columns = ["value", "value_low", "value_high", "value_pi_low", "value_pi_high"]
meta_analyse(answers)[columns].round(3)
