"""
Pictures and the report of an evaluation
========================================

Each picture of a result is a method that draws on an axes of yours, or on one at the width of a
journal's column. All of them, with the tables and a methods paragraph, make the report. The
patients are simulated, and every picture says so where nobody can crop it unseen.
"""

# %%
# Two models of clinical columns, the reference rows, another hospital, and subgroups.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import crtkit as ck

cohort = ck.datasets.make_cohort("mori2025", n_patients=120, random_state=0)
other = ck.datasets.make_cohort("mori2025", n_patients=60, random_state=5)
other = ck.Cohort(other.X, other.y, np.char.add("N-", other.groups.astype(str)), other.info)
columns = ["qrs_duration_ms", "lbbb", "male", "ischaemic", "lvef", "age"]
models = {
    "Logistic": make_pipeline(ck.Select(columns), StandardScaler(), LogisticRegression()),
    "Random forest": make_pipeline(ck.Select(columns), RandomForestClassifier(50)),
}
result = ck.evaluate(
    models,
    cohort,
    seeds=3,
    external={"North": other},
    subgroups={"male": "male", "ischaemic": "ischaemic"},
    progress=False,
)

# %%
# The flow of records into the analysis.

# sphinx_gallery_thumbnail_number = 2

result.plot_flow()

# %%
# AUC of every model with the interval that counts patients and fits; clinical rules are hollow, and
# the dashed line is the best of them.

result.plot_forest()

# %%
# The ROC curve of one model beside the best rule, with its pointwise band.

result.plot_roc(models="Logistic", rule=True)

# %%
# Calibration with a histogram of the risks, and net benefit at the thresholds at which somebody
# would decide, side by side on axes of our own.

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.5), layout="constrained")
result.plot_calibration(left, models="Logistic")
result.plot_decision(right, models=["Logistic", "Random forest"], thresholds=(0.2, 0.7))

# %%
# How much surer the answers are where those who are least certain are sent on instead.

result.plot_risk_coverage(models=["Logistic", "Random forest"])

# %%
# One model over the centres.

result.plot_forest(of="sets", model="Logistic")

# %%
# And over the subgroups. Two intervals that overlap say nothing of a difference; ``interactions``
# gives the interval of the difference.

result.plot_forest(of="subgroups", model="Logistic")

# %%

table = result.interactions(n_bootstrap=100)
table[table["model"] == "Logistic"].round(3)

# %%
# How much of a lower AUC elsewhere is case mix, and what recalibration in the large would mend.

table = result.external_validation("North", n_bootstrap=100).T
table[["Logistic", "Random forest", "Clinical logistic model"]].round(3)

# %%
# Everything on one page, with its numbers as JSON beside it; for co-authors ``to_docx``, and
# ``save_figures`` for the journal.

folder = Path(tempfile.mkdtemp())
result.to_html(folder / "report.html", n_bootstrap=100)
result.save_figures(folder / "figures", n_bootstrap=100)
print(sorted(path.name for path in folder.iterdir()))
print("\n\n".join(result.to_dict(n_bootstrap=50)["methods"]))
