"""
Would more patients have helped?
================================

A learning curve tests the same patients while ever more of the others are learned from. Where it
is still rising, a better recipe is not what is missing. The patients are simulated, so that the
best AUC that any model can reach is known.
"""

# %%
# Two models and the clinical rules, on three splits: the mean AUC by the share of the patients that
# was learned from.

import matplotlib.pyplot as plt
from lightgbm import LGBMClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import crtkit as ck
from crtkit.evaluation import learning_curve, sample_size

cohort = ck.datasets.make_cohort("mori2025", n_patients=200, random_state=0)
models = {
    "Logistic on 60 statistics": make_pipeline(
        ck.Select("signal"), ck.LeadStatistics(), StandardScaler(), LogisticRegression(C=0.01)
    ),
    "LightGBM": make_pipeline(
        ck.Select("signal"),
        ck.LeadStatistics(),
        LGBMClassifier(n_estimators=40, num_leaves=7, verbosity=-1),
    ),
}
curve = learning_curve(models, cohort, shares=(0.3, 0.6, 1.0), n_splits=3, n_bootstrap=50)
curve["mean"].unstack("share").round(3)

# %%
# With the band of each, QRS duration, and the ceiling.

figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for name, colour in (
    ("Logistic on 60 statistics", "#0072B2"),
    ("LightGBM", "#D55E00"),
    ("QRS >= 150 ms", "#000000"),
):
    rows = curve.xs(name, level="model")
    ax.plot(rows["n_train_patients"], rows["mean"], "o-", color=colour, label=name)
    ax.fill_between(rows["n_train_patients"], rows["low"], rows["high"], color=colour, alpha=0.12)
best = cohort.info["best_auc"]["signal"]["auc"]
ax.axhline(best, color="0.4", linestyle="--", label="best that the signal allows")
ax.axhline(0.5, color="0.8", linewidth=0.8)
ax.set(xlabel="patients learned from", ylabel="AUC, with its 95 % interval")
ax.set_title("SIMULATED patients", fontsize=10)
ax.legend(frameon=False, fontsize=8)

# %%
# What planning would have said before a single patient was seen (Riley et al. 2020), for five
# parameters, 64 % responders, and an AUC of 0.70.

sample_size(5, prevalence=0.64, auc=0.7)
