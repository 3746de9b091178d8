"""Response to CRT from autoencoder features of SPECT phase maps (He et al. 2021).

Reproduced: phase analysis, the linear autoencoder, the statistics in the form of every table and
figure, in-sample as published and out of fold beside it. Not reproducible: the patients are
private, and layer sizes, optimiser, rate and map size are unpublished; ours are parameters of the
pipelines.
"""

from importlib.resources import files

import pandas as pd
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

from crtkit.cohort import Select
from crtkit.statistics import UnivariateScreen
from crtkit.studies.sizes import chosen_size

#: Columns of the cohort, by the paper's name of the variable, in the order of Table 1.
VARIABLES = {
    "ACEI/ARB": "acei_arb",
    "Age": "age",
    "CAD": "cad",
    "CKD": "ckd",
    "QRS duration": "qrs_duration_ms",
    "EDV": "lvedv",
    "ESV": "lvesv",
    "LVEF": "lvef",
    "Gender (male)": "male",
    "Ischemia": "ischaemic",
    "NYHA": "nyha",
    "Scar burden": "scar",
    "PBW": "pbw_deg",
    "PSD": "psd_deg",
    "Smoking": "smoking",
}

#: Clinical variables of the paper's multivariable models.
CLINICAL = ("lvef", "male")

_PRINTED = files("crtkit") / "studies" / "published"
_NAMES = {"Gender": "Gender (male)"}

#: Heading of what the paper prints.
PATIENTS = "The paper's patients: 102 (45 responders, 57 not), real and private."

#: Table 1 of the paper, as printed.
PUBLISHED_TABLE1 = pd.read_csv(
    _PRINTED / "he2021_table1.csv", index_col="variable", dtype=str
).rename(index=_NAMES)

#: Univariate columns of Table 2 of the paper, as printed.
PUBLISHED_UNIVARIATE = pd.read_csv(
    _PRINTED / "he2021_table2.csv", index_col="variable", dtype=str
).rename(index=_NAMES)

_MULTIVARIABLE = {
    "AE #30": {
        "AE #30": (1.03, 1.01, 1.06, 0.006),
        "LVEF": (0.99, 0.98, 1.00, 0.358),
        "Gender (male)": (1.16, 0.94, 1.42, 0.153),
    },
    "AE #28 and #35": {
        "AE #28": (1.03, 1.00, 1.07, 0.059),
        "AE #35": (1.03, 1.00, 1.05, 0.052),
        "LVEF": (0.99, 0.98, 1.01, 0.307),
        "Gender (male)": (1.17, 0.95, 1.43, 0.129),
    },
}

_UNIVARIATE = {name: tuple(map(float, row)) for name, *row in PUBLISHED_UNIVARIATE.itertuples()}

#: Table 2 of the paper: the variables of each logistic model, the univariate ones first.
PUBLISHED = pd.DataFrame(
    [
        (model, variable, *row)
        for model, rows in {"univariate": _UNIVARIATE, **_MULTIVARIABLE}.items()
        for variable, row in rows.items()
    ],
    columns=["model", "variable", "odds_ratio", "ci_low", "ci_high", "p_value"],
).set_index(["model", "variable"])

#: Areas and likelihood ratios in the paper's text: what the features add to clinical variables.
PUBLISHED_INCREMENTAL = pd.DataFrame(
    [
        ("PSD", "AE #30", 0.63, 0.72, 8.06, 1, 0.005),
        ("PBW", "AE #30", 0.64, 0.72, 7.87, 1, 0.005),
        ("PSD", "AE #28 and #35", None, None, 9.60, 2, 0.008),
        ("PBW", "AE #28 and #35", None, None, 9.45, 2, 0.009),
    ],
    columns=["over", "added", "auc_before", "auc_after", "added_chi2", "added_df", "added_p"],
).set_index(["over", "added"])

#: What is wrong or missing in print, shown beside our tables.
REMARKS = (
    "Table 2's univariate column contradicts Table 1: QRS duration has p 0.157 there and 0.001 in "
    "Table 1 (whose moments give an odds ratio of about 1.034 a millisecond), LVEF and ACEI/ARB "
    "have the opposite sign, and PSD has 0.123 against 0.819.",
    "So QRS duration, whose AUC alone is about 0.69, entered no model that AE #30 was compared "
    "with; ours prints every model with QRS duration too.",
    "The text exchanges ESV and EDV: its figures for one are those of the other in the table.",
    "Screening 64 features at 0.05 gives about 3 hits by chance, and 3 were found; the autoencoder "
    "had seen every patient. Ours also fits autoencoder, screen and model inside the folds.",
    "The published multivariable intervals (1.03, 1.01 to 1.06 beside 1.24, 1.07 to 1.44 alone) "
    "fit a linear-probability model, not a logistic one; ours is logistic.",
    "Of 104 enrolled patients 103 are reported and 102 analysed: one had an LVESV of 16 mL, the "
    "first loss is not explained. The autoencoder was trained on 104 maps.",
    "Not published: layer sizes, optimiser, rate, batch and map size. Ours are printed. Codes have "
    "no order, scale or sign, so the paper's feature 30 does not exist in another fit.",
)

#: Our parameters of the autoencoder; the paper gives four linear layers, 64 features and 1,000
#: iterations.
AUTOENCODER = {
    "n_components": 64,
    "layer_sizes": (512,),
    "activation": None,
    "encoding": "plain",
    "max_iter": 1000,
    "lr": 1e-3,
}


#: Both run on two cores; ``"small"`` stops the autoencoder early.
SIZES = {"paper": {}, "small": {"max_iter": 200}}


def pipelines(*, size="paper", autoencoder=None, alpha=0.1, memory=None):
    """Unfitted pipelines of the study: autoencoder, screen and logistic model inside the fold.

    Parameters
    ----------
    size : {"paper", "small"}, default="paper"
        A key of ``SIZES``: what replaces some of ``AUTOENCODER``.
    autoencoder : dict, optional
        Replaces some of ``AUTOENCODER``, after `size`.
    alpha : float, default=0.1
        Features with p < `alpha` enter the model, as in the paper.
    memory : str, joblib.Memory or None, default=None
        Cache in which the models share the autoencoder of a fold: it sees the same maps with the
        same seed in each of them, and takes nearly all of their time.

    Returns
    -------
    dict of str to Pipeline
        Each takes the ``X`` of a cohort: its ``map`` column, and ``lvef``, ``male``, ``psd_deg``,
        ``pbw_deg``, ``qrs_duration_ms``. "one AE feature" is the feature that differs most between
        the classes of the training fold, which is how AE #30 was selected on all patients; "AE" is
        every feature that passes the screen. Logistic models are not penalised, as in the paper.

    Raises
    ------
    ValueError
        No such size.

    Examples
    --------
    >>> from crtkit.studies import he2021
    >>> list(he2021.pipelines())[:3]
    ['one AE feature + LVEF + gender', 'AE + LVEF + gender', 'PSD + LVEF + gender']
    >>> he2021.pipelines(autoencoder={"encoding": "circular"})["AE + LVEF + gender"].steps[0][0]
    'featureunion'
    """
    from crtkit.neural import AutoencoderFeatures

    chosen = chosen_size(SIZES, size)

    def with_maps(choice, *columns):
        model = AutoencoderFeatures(**{**AUTOENCODER, **chosen, **(autoencoder or {})})
        features = make_pipeline(Select("map"), model, choice, memory=memory)
        return make_pipeline(
            make_union(features, Select(list(columns))), StandardScaler(), _logistic()
        )

    def table(*columns):
        return make_pipeline(Select(list(columns)), StandardScaler(), _logistic())

    return {
        "one AE feature + LVEF + gender": with_maps(SelectKBest(k=1), *CLINICAL),
        "AE + LVEF + gender": with_maps(UnivariateScreen(alpha=alpha), *CLINICAL),
        "PSD + LVEF + gender": table("psd_deg", *CLINICAL),
        "PBW + LVEF + gender": table("pbw_deg", *CLINICAL),
        "AE + LVEF + gender + QRS duration": with_maps(
            UnivariateScreen(alpha=alpha), *CLINICAL, "qrs_duration_ms"
        ),
        "LVEF + gender + QRS duration": table(*CLINICAL, "qrs_duration_ms"),
    }


def _logistic():
    # Without a penalty; a screen that keeps many features then separates small folds, which
    # stops at max_iter.
    return LogisticRegression(C=1e6, max_iter=2000)
