"""
QRS duration, LBBB and QRS area from the signal
===============================================

The rules that every model must beat, measured on the ECG itself: the median beat, the vector loop,
and how far the measured QRS duration is from the true one. The patients are simulated.
"""

# %%
# One record: the beats are averaged, and onset and offset are found over all leads.

import matplotlib.pyplot as plt

import crtkit as ck
from crtkit.signals import median_beat, plot_median_beat, plot_vector_loop

cohort = ck.datasets.make_cohort("mori2025", n_patients=60, random_state=0)
is_lbbb = cohort.X["true_morphology"] == "lbbb"
beat = median_beat(cohort.X.loc[is_lbbb, "signal"].iloc[0], fs=500)
plot_median_beat(beat, simulated=True)

# %%
# The same beat as a vectorcardiogram. The arrow is the QRS area.

plot_vector_loop(beat, simulated=True)

# %%
# The whole cohort. The table has a QRS duration already, so ``replace=True`` asks for it to be
# measured too.

measured = ck.guidelines.measure_cohort(cohort, replace=True)
measured.X[["qrs_duration_ms", "lbbb", "qrs_area_uVs"]].describe().round(1)

# %%
# Measured against true QRS duration, as Bland and Altman draw it.

found, truth = measured.X["qrs_duration_ms"], cohort.X["true_qrs_duration_ms"]
apart = found - truth
figure, axes = plt.subplots()
axes.plot((found + truth) / 2, apart, ".")
for level in (apart.mean(), *(apart.mean() + 1.96 * apart.std() * side for side in (-1, 1))):
    axes.axhline(level, color="0.4", linestyle="--", linewidth=1)
axes.set(xlabel="mean of measured and true QRS duration (ms)", ylabel="measured less true (ms)")
axes.set_title("SIMULATED patients")

# %%
# The rules as rows of a table: on the signals alone, nothing else is known of the patients.

bare = ck.Cohort(cohort.X[["signal"]], cohort.y, cohort.groups, cohort.info)
model = ck.studies.mori2025.pipelines()["LightGBM"]
result = ck.evaluate({"LightGBM": model}, bare, seeds=3, progress=False)
result.summary()["roc_auc"].round(3)

# %%
# Which of them were measured, and on what:

for row, columns in result.info["measured"].items():
    print(f"{row}: {', '.join(columns)}")
