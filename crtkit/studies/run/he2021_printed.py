"""Tables 1 and 2, Figure 3 and the areas of he2021 as published, in print form."""

import pandas as pd

from crtkit.studies import he2021 as study
from crtkit.studies.run.output import MISSING

COLUMNS = {
    "univariate": "Univariate",
    "AE #30": "Multivariable, AE #30",
    "AE #28 and #35": "Multivariable, AE #28 and #35",
}


def write(output):
    """Write what the paper prints, under its own patients.

    Parameters
    ----------
    output : Output
    """
    title = "Table 1 as published. Baseline characteristics"
    output.table("table1_published", title, table1(), patients=study.PATIENTS)
    note = (
        "OR [95 % CI], p; in-sample. The multivariable columns fit a linear-probability model, not "
        "a logistic one."
    )
    title = "Table 2 as published. Logistic regression"
    output.table("table2_published", title, table2(), note, patients=study.PATIENTS)
    title = "Figure 3 as published. What features add over clinical variables and PSD or PBW"
    note = "Likelihood ratio with degrees of freedom and p; areas under the ROC curve, in-sample."
    output.table("figure3_published", title, figure3(), note, patients=study.PATIENTS)


def table2():
    """Odds ratios of each printed model, one row per variable."""
    models = study.PUBLISHED.index.get_level_values("model")
    columns = {}
    for model, title in COLUMNS.items():
        rows = study.PUBLISHED[models == model].droplevel("model")
        columns[title] = pd.Series(
            [
                f"{row.odds_ratio:.2f} [{row.ci_low:.2f}–{row.ci_high:.2f}], {row.p_value:.3f}"
                for row in rows.itertuples()
            ],
            index=rows.index,
        )
    order = study.PUBLISHED.index.get_level_values("variable").unique()
    return pd.DataFrame(columns).reindex(order).fillna(MISSING)


def figure3():
    """Printed likelihood ratios and areas."""
    return (
        study.PUBLISHED_INCREMENTAL.rename(
            columns={"added_chi2": "chi-square added", "added_df": "df", "added_p": "p"}
        )
        .reset_index()
        .set_index("over")
    )


def table1():
    """The paper's Table 1 with the levels of a variable in one cell."""
    table = study.PUBLISHED_TABLE1.fillna("")
    levels = table.index.str.contains(": ")
    for name, level in (row.split(": ") for row in table.index[levels]):
        for group in ("responder", "nonresponder"):
            cell = table.loc[name, group]
            text = f"{level} {table.loc[f'{name}: {level}', group]}"
            table.loc[name, group] = f"{cell}, {text}" if cell else text
    return table[~levels].drop(columns="kind").replace("", MISSING)
