"""
Every model and the rules it must beat, by patient
===================================================

A cohort, the study's pipelines, ten seeds: the main job in five lines. The patients are simulated,
with margins that follow the paper's Table 1.
"""

# %%
# A cohort is a table of records, labels and patients. This one is small, so that the page builds
# quickly.

import crtkit as ck

cohort = ck.datasets.make_cohort("mori2025", n_patients=80, random_state=0)
cohort

# %%
# The study's models, on the same ten splits by patient as the reference rows. Its networks read
# pages, which are absent from this cohort: they are left out, by name.

result = ck.evaluate(ck.studies.mori2025.pipelines(), cohort, seeds=10, progress=False)
result.summary()["roc_auc"].round(3)

# %%
# Does the model beat left bundle branch block alone? The comparison is paired; ``low`` and ``high``
# count patients and fits, and hold zero where nothing is shown.

result.compare("LightGBM", "LBBB").loc["roc_auc", ["difference", "low", "high", "p"]].round(3)

# %%
# The same as a picture: hollow marks are rules, the dashed line is the best of them.

result.plot_forest()

# %%
# And the ROC curve beside the best rule, with the band over patients.

result.plot_roc(models="LightGBM", rule=True)
