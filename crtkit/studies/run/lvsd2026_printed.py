"""Tables and figures of lvsd2026 as published, in print form, and what its own tests give."""

import pandas as pd

from crtkit.studies import lvsd2026 as study
from crtkit.studies.run.figures import flow_diagram
from crtkit.studies.run.lvsd2026_figures import branches, figure3, tested
from crtkit.studies.run.lvsd2026_tables import METRICS
from crtkit.studies.run.output import MISSING, number

#: Pairs of the training, tuning, internal and external sets.
PAIRS = (1200, 300, 194, 115, 222)


def write(output):
    """Write what the paper prints, under its own patients.

    Parameters
    ----------
    output : Output
    """
    figure = flow_diagram({"Published (pairs)": branches(2031, PAIRS)})
    output.figure("figure1_published", "Figure 1 as published. Sets", figure, study.PATIENTS)
    printed = study.PUBLISHED_TABLE1.drop(columns="kind").fillna(MISSING)
    output.table("table1_published", "Table 1 as published. Sets", printed, patients=study.PATIENTS)
    note = (
        "Corrected: specificity and NPV of the printed row are exchanged; the counts "
        "47/21/23/103, 39/7/26/43 and 62/18/29/113 (TP/FN/FP/TN) fit every other printed figure "
        "of the row."
    )
    title = "Table 2 as published. Performance"
    output.table("table2_published", title, table2(), note, patients=study.PATIENTS)
    note = "The text also prints F1 0.598 for SS-AF and 0.703 for SS-FF."
    title = "Table 3 as published. From scratch and fine-tuned, averages"
    output.table("table3_published", title, table3(), note, patients=study.PATIENTS)
    blocks = {
        "Table 2 as printed": study.blocks(study.PUBLISHED),
        "Table 2, SS-FF corrected": study.blocks(study.repaired()),
    }
    shown, note = tested(blocks)
    title = "Repeated-measures ANOVA and Friedman, from the printed Table 2"
    note = f"Printed: F = 16.67. {note}"
    output.table("tests_published", title, shown, note, patients=study.PATIENTS)
    title = "Figure 3, published (corrected). Wilcoxon, Holm's correction"
    table = blocks["Table 2, SS-FF corrected"]
    heading = "From the printed Table 2, SS-FF corrected"
    figure3(output, "figure3_published", title, table, heading, patients=study.PATIENTS)


def table2():
    """Every printed metric and set, the exchanged row as printed and corrected."""
    rows = []
    for model in study.PUBLISHED.index.get_level_values("model").unique():
        rows += _rows(study.PUBLISHED, model, "printed")
        if model == study.EXCHANGED:
            rows += _rows(study.repaired(), model, "corrected")
    return pd.DataFrame(rows).set_index("model")


def _rows(scores, model, reading):
    return [
        {
            "model": model,
            "set": on,
            "reading": reading,
            **{title: number(row[metric]) for metric, title in METRICS.items()},
        }
        for on, row in scores.loc[model].iterrows()
    ]


def table3():
    """Averages of three models."""
    columns = ["accuracy", "roc_auc"]
    printed = study.PUBLISHED.xs("average", level="set")[columns]
    printed = pd.concat([printed, study.PUBLISHED_AVERAGES[columns]])
    table = printed.loc[["InceptionTime", "ECG-FM (scratch)", study.EXCHANGED]]
    return table.rename(columns=METRICS).map(number).rename_axis("model")
