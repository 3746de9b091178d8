"""
Table 1, and how a fitted model takes other input
=================================================

Table 1 as papers print it, in the form that a journal takes; then a robustness card: what becomes
of a model's answers when the ECG comes from another device. The patients are simulated.
"""

# %%
# Kinds are guessed as a clinician would: NYHA 2, 3, 4 is a category. SMD is the standardised mean
# difference.

import tempfile
from pathlib import Path

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import crtkit as ck
from crtkit.evaluation import plot_robustness, robustness_card
from crtkit.statistics import baseline_table, write_table

cohort = ck.datasets.make_cohort("mori2025", n_patients=160, random_state=0)
names = ["age", "male", "ischaemic", "lbbb", "nyha", "lvef", "qrs_duration_ms"]
table = baseline_table(
    cohort.X[names].reset_index(drop=True),
    cohort.y,
    labels={0: "no response", 1: "response"},
    levels="rows",
    smd=True,
)
table[["overall", "no response", "response", "p", "SMD", "missing"]]

# %%
# One call writes it as Markdown, Word, LaTeX, HTML or CSV: the suffix says which.

folder = Path(tempfile.mkdtemp())
for suffix in (".md", ".docx", ".tex"):
    write_table(table, folder / f"table1{suffix}", title="Table 1. SIMULATED patients")
print((folder / "table1.md").read_text())

# %%
# A model of sixty statistics of the signal, fitted on half of the patients. ``changed`` is the
# share of the others who get another answer.

half = cohort.groups.argsort() < 80
train, test = cohort.take(half), cohort.take(~half)
model = make_pipeline(
    ck.Select("signal"), ck.LeadStatistics(), StandardScaler(), LogisticRegression(max_iter=2000)
)
card = robustness_card(model.fit(train.X, train.y), test, n_bootstrap=200)
card[["auc", "auc_change", "auc_low", "auc_high", "changed"]].round(3)

# %%
# The change of AUC, paired and by patient. A whisker that leaves zero is a warning; one that holds
# it is no licence.

plot_robustness(card)
