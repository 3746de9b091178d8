"""Response to CRT from SPECT phase maps (He et al. 2021): Tables 1, 2, Figures 2, 3.

Goals: the paper's tables in the paper's form, its printed figures beside ours, in-sample as it did
and out of fold, from the user's maps or simulated patients. Not a goal: the paper's own figures,
whose patients are private.
"""

import tempfile
import time
import warnings

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

import crtkit as ck
from crtkit.metrics import roc_auc
from crtkit.spect import PhaseStatistics
from crtkit.statistics import (
    UnivariateScreen,
    baseline_table,
    format_p,
    incremental_value,
    multivariable_logistic,
    pearson_table,
    univariate_logistic,
)
from crtkit.studies import he2021 as study
from crtkit.studies.run import he2021_printed as printed
from crtkit.studies.run.cohorts import asks_response, load_cohort, stated
from crtkit.studies.run.figures import evaluation_figures
from crtkit.studies.run.output import (
    MISSING,
    Output,
    finish,
    interval,
    journal_path,
    left_out,
    mean_sd,
    number,
)

SEEDS = 10
SIZE = "paper"
FOLDS = 5
QUICK = {"max_iter": 100}


def add_arguments(parser):
    """Give a parser the options that only this study has."""
    parser.add_argument("--map", default="map", help="phase map column of the manifest")


def run(options):
    """Run the study as the command line asks.

    Parameters
    ----------
    options : Namespace
        From :func:`crtkit.studies.run.add_arguments`.

    Returns
    -------
    str
        The areas and where the files are.
    """
    start = time.perf_counter()
    cohort = with_figures(load_cohort(options, "he2021"))
    published = asks_response(cohort, options)
    seeds = options.seeds if options.seeds is not None else (1 if options.quick else SEEDS)
    changes = {**study.SIZES[options.size], **(QUICK if options.quick else {})}
    output = Output(options.out, "he2021", stated(cohort))
    table1(output, cohort)
    codes, fit = in_sample_codes(cohort, changes, options.random_state)
    best, pair, hits = significant(codes, cohort.y)
    X = pd.concat([cohort.X[clinical(cohort)], codes], axis=1)
    table2(output, X, cohort.y, best, pair, hits)
    figure2(output, X, best, pair)
    figure3(output, X, cohort.y, best, pair)
    # Three models read the autoencoder of a fold; with a cache it is fitted once.
    with tempfile.TemporaryDirectory() as memory:
        result = ck.evaluate(
            runnable(study.pipelines(autoencoder=changes, memory=memory), cohort),
            cohort,
            seeds=seeds,
            cv=FOLDS,
            n_jobs=options.n_jobs,
            journal=journal_path(options),
            random_state=options.random_state,
        )
    text = table3(output, result, in_sample_areas(X, cohort.y, best), seeds)
    evaluation_figures(output, result)
    output.text("The autoencoder", fit["lines"])
    if published:
        printed.write(output)
        output.text("What to know about the printed figures", study.REMARKS)
    where = finish(
        output,
        cohort,
        options,
        start,
        study="he2021",
        quick=bool(options.quick),
        seeds=seeds,
        folds=FOLDS,
        autoencoder={**study.AUTOENCODER, **changes},
        reconstruction=fit["errors"],
        features={"best": best, "pair": pair, "significant": hits},
        flow=cohort.info.get("flow"),
        per_seed=result.per_seed().reset_index(),
    )
    return f"\n{stated(cohort)}\n\n{text}\n{where}"


def with_figures(cohort):
    """Cohort whose table has PSD and PBW: the user's own, or measured on the maps."""
    wanted = {"psd_deg": "psd", "pbw_deg": "pbw"}
    missing = {column: name for column, name in wanted.items() if column not in cohort.X}
    if not missing:
        return cohort
    maps = np.asarray(ck.Select("map").fit_transform(cohort.X))
    figures = PhaseStatistics(statistics=list(missing.values())).fit_transform(maps)
    X = cohort.X.assign(**dict(zip(missing, figures.T)))
    return ck.Cohort(X, cohort.y, cohort.groups, cohort.info)


def runnable(models, cohort):
    """The pipelines that the cohort has columns for: QRS duration may be unknown."""
    known = "qrs_duration_ms" in cohort.X
    return {name: model for name, model in models.items() if known or "QRS" not in name}


def clinical(cohort):
    """Columns of the paper's variables that the cohort has."""
    present = [column for column in study.VARIABLES.values() if column in cohort.X]
    absent = [column for column in study.CLINICAL if column not in present]
    if absent:
        raise ValueError(f"he2021 needs the columns {list(study.CLINICAL)}; {absent} are missing.")
    return present


def table1(output, cohort):
    """Table 1: mean ± SD with Student's t, n (%) with Yates' chi-square, as the paper tests."""
    names = {column: name for name, column in study.VARIABLES.items()}
    table = cohort.X[clinical(cohort)].rename(columns=names).reset_index(drop=True)
    # Four whole numbers would be read as a quantity; the paper prints shares of classes.
    kinds = {"NYHA": "categorical"} if "NYHA" in table else {}
    labels = np.unique(cohort.y)
    titles = dict(zip(labels, ("Non-response", "Response")))
    titles = {k: f"{v} (n = {(cohort.y == k).sum()})" for k, v in titles.items()}
    ours = baseline_table(
        table,
        cohort.y,
        kinds=kinds,
        continuous="mean_sd",
        test="student",
        categorical="chi2_yates",
        # The paper prints responders first.
        order=list(labels[::-1]),
        labels=titles,
        numbers=False,
    )
    note = "Mean ± SD (Student's t) or n (%) (chi-square with Yates' correction)."
    output.table("table1", "Table 1. Baseline characteristics", ours, note)


def in_sample_codes(cohort, changes, random_state):
    """Features of an autoencoder that has seen every map, in units of their SD."""
    maps = np.asarray(ck.Select("map").fit_transform(cohort.X))
    left_out = cohort.info.get("left_out")
    extra = [] if left_out is None else list(left_out["map"])
    # It needs no outcome, so patients whose outcome is unknown teach it too.
    everything = np.concatenate([maps, np.array(extra)]) if extra else maps
    options = {**study.AUTOENCODER, **changes}
    model = ck.AutoencoderFeatures(**options, random_state=random_state).fit(everything)
    names = model.get_feature_names_out()
    codes = pd.DataFrame(model.transform(maps).astype(float), cohort.X.index, names)
    flat = everything.reshape(len(everything), -1).astype(float)
    n = min(options["n_components"], *flat.shape)
    # The floor of a linear autoencoder: no setting of it can reconstruct better than this.
    pca = PCA(n, svd_solver="full").fit(flat)
    best = float(np.square(flat - pca.inverse_transform(pca.transform(flat))).mean())
    errors = {
        "autoencoder_deg2": model.reconstruction_error_,
        "pca_deg2": best,
        "variance_deg2": float(np.square(flat - flat.mean(axis=0)).mean()),
        "n_maps": len(flat),
        "n_pixels": flat.shape[1],
    }
    widths = [flat.shape[1], *options["layer_sizes"], options["n_components"]]
    lines = [
        f"Linear layers {'-'.join(map(str, widths + widths[-2::-1]))}, {options['max_iter']} "
        f"iterations of Adam (rate {options['lr']:g}) on all {len(flat)} maps.",
        f"Mean squared reconstruction error {errors['autoencoder_deg2']:.3f} degrees squared a "
        f"pixel; PCA of as many components {best:.3f}; the maps' variance "
        f"{errors['variance_deg2']:.1f}.",
        "Phases enter as plain numbers, as in the paper, so that 359 and 1 degrees are far apart.",
    ]
    # Per SD, since a feature of an autoencoder has no unit that an odds ratio could refer to.
    return (codes - codes.mean()) / codes.std(), {"errors": errors, "lines": lines}


def significant(codes, y):
    """The feature of the smallest p-value, the next two, and all with p < 0.05."""
    # On all patients, as published; out of fold the pipelines choose within each training part.
    p = univariate_logistic(codes, y)["p_value"].sort_values()
    return p.index[0], list(p.index[1:3]), list(p.index[p < 0.05])


def table2(output, X, y, best, pair, hits):
    """Table 2: univariate, the paper's two multivariable models, and each with QRS duration."""
    names = {column: name for name, column in study.VARIABLES.items()}
    base = list(study.CLINICAL)
    with_qrs = [*base, "qrs_duration_ms"] if "qrs_duration_ms" in X else None
    rows = [best, *pair, *(c for c in X if c in names)]
    analyses = {"Univariate": univariate_logistic(X[rows], y)}
    models = {"one feature": [best], "two features": pair}
    for title, features in models.items():
        for columns, suffix in ((base, ""), (with_qrs, " + QRS")):
            if columns is None:
                continue
            model = X[[*features, *columns]]
            analyses[f"Multivariable, {title}{suffix}"] = quietly(multivariable_logistic, model, y)
    table = pd.DataFrame(index=pd.Index([names.get(r, r) for r in rows], name="variable"))
    for title, fit in analyses.items():
        table[title] = [_cell(fit, r) for r in rows]
    n_features = sum(c.startswith("AE") for c in X)
    rarer = int(np.unique(y, return_counts=True)[1].min())
    note = (
        "OR [95 % CI], p; features per SD. In-sample, as published: the autoencoder saw every "
        f"patient and {len(hits)} of {n_features} features have p < 0.05 (about "
        f"{0.05 * n_features:.1f} are expected by chance). {best} (smallest p) stands where AE #30 "
        f"stood, {pair[0]} and {pair[1]} (the next two) where #28 and #35. {rarer} patients of the "
        "rarer class are few for three to five variables."
    )
    output.table("table2", "Table 2. Logistic regression", table, note)


def quietly(function, *arguments):
    """Result of a statistic; few events per parameter are stated below the tables, once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return function(*arguments)


def _cell(fit, row):
    if row not in fit.index:
        return MISSING
    return f"{fit.loc[row, 'or_ci']}, {fit.loc[row, 'p']}"


def figure2(output, X, best, pair):
    """Figure 2: Pearson correlation of PSD, PBW and the features."""
    import matplotlib.pyplot as plt

    columns = ["psd_deg", "pbw_deg", best, *pair]
    table = X[columns].rename(columns={"psd_deg": "PSD", "pbw_deg": "PBW"})
    pairs = pearson_table(table, table)
    r = pairs["r"].unstack().loc[table.columns, table.columns]
    figure, ax = plt.subplots(figsize=(5.4, 4.8))
    image = ax.imshow(r, vmin=-1, vmax=1, cmap="RdBu_r")
    ax.set_xticks(range(len(r)), r.columns)
    ax.set_yticks(range(len(r)), r.index)
    for i, row in enumerate(r.to_numpy()):
        for j, value in enumerate(row):
            color = "white" if abs(value) > 0.6 else "black"
            ax.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=9, color=color)
    figure.colorbar(image, ax=ax, shrink=0.85, label="Pearson r")
    title = "Figure 2. Correlation of PSD, PBW and autoencoder features"
    ax.set_title(title, fontsize=10)
    figure.tight_layout(rect=(0, 0.04, 1, 1))
    output.figure("figure2", title, figure)
    upper = pairs.reset_index()
    order = {name: i for i, name in enumerate(table.columns)}
    # Each pair once, without the diagonal.
    upper = upper[upper["a"].map(order) < upper["b"].map(order)]
    upper["p"] = [format_p(p) for p in upper["p_value"]]
    shown = upper.set_index("a")[["b", "r", "ci_low", "ci_high", "p", "n"]]
    output.table("figure2", "Behind Figure 2. Pearson correlation", shown)


def figure3(output, X, y, best, pair):
    """Figure 3: chi-square of sequential models, without and with QRS duration."""
    import matplotlib.pyplot as plt

    base = list(study.CLINICAL)
    bases = {"LVEF + gender": base}
    if "qrs_duration_ms" in X:
        bases["LVEF + gender + QRS"] = [*base, "qrs_duration_ms"]
    rows, panels = [], []
    for title, first in bases.items():
        for name, column in (("PSD", "psd_deg"), ("PBW", "pbw_deg")):
            for features, label in (([best], best), (pair, " + ".join(pair))):
                steps = quietly(incremental_value, X, y, first, [[column], features])
                steps = steps.assign(step=[title, f"+ {name}", f"+ {label}"])
                rows.append(steps)
                panels.append((title, name, label, steps))
    figure, axes = plt.subplots(len(bases), 4, figsize=(13, 3.3 * len(bases)), squeeze=False)
    # One scale for all panels, or bars could not be compared.
    top = max(steps["chi2"].max() for *_, steps in panels)
    for ax, (title, _, _, steps) in zip(axes.ravel(), panels):
        bars = ax.bar(range(3), steps["chi2"], color=["#9aa5b1", "#4a6fa5", "#d98e04"])
        for i, (bar, p, auc) in enumerate(zip(bars, steps["p"], steps["auc"])):
            text = f"AUC {auc:.2f}" + (f"\np {p}" if i else "")
            at = (bar.get_x() + bar.get_width() / 2, bar.get_height())
            ax.annotate(text, at, (0, 3), textcoords="offset points", ha="center", fontsize=7)
        ax.set_ylim(0, 1.25 * top)
        ax.set_xticks(range(3), [title.replace(" + ", "\n+ "), *steps["step"][1:]], fontsize=7)
        ax.set_ylabel("chi-square", fontsize=8)
    title = "Figure 3. Incremental value (in-sample)"
    figure.suptitle(title, fontsize=11)
    figure.tight_layout(rect=(0, 0.04, 1, 0.97))
    output.figure("figure3", title, figure)
    columns = ["chi2", "df", "added_chi2", "added_df", "p", "auc", "auc_low", "auc_high"]
    table = pd.concat(rows)[columns].rename(columns={"p": "added_p"})
    # The base model opens four panels.
    table = table[~table.index.duplicated()]
    output.table("figure3", "Behind Figure 3. Sequential models", table, "In-sample.")


def in_sample_areas(X, y, best):
    """Area of each pipeline's model on the patients it was chosen and fitted on."""
    base = list(study.CLINICAL)
    with_qrs = [*base, "qrs_duration_ms"]
    codes = [c for c in X if c.startswith("AE")]
    screened = list(UnivariateScreen(alpha=0.1).fit(X[codes], y).get_feature_names_out())
    models = {
        "one AE feature + LVEF + gender": [best, *base],
        "AE + LVEF + gender": [*screened, *base],
        "PSD + LVEF + gender": ["psd_deg", *base],
        "PBW + LVEF + gender": ["pbw_deg", *base],
        "AE + LVEF + gender + QRS duration": [*screened, *with_qrs],
        "LVEF + gender + QRS duration": with_qrs,
    }
    # Without its first step, which selects columns: here the columns are the comparison.
    last = study.pipelines()["PSD + LVEF + gender"][1:]
    return {
        name: roc_auc(y, last.fit(X[columns], y).decision_function(X[columns]))
        for name, columns in models.items()
        if set(columns) <= set(X)
    }


def table3(output, result, aucs, seeds):
    """Areas: in-sample as published beside out of fold."""
    summary = result.summary()["roc_auc"]
    rows = {}
    per_seed = result.per_seed()["roc_auc"]
    for model in result.models:
        mine = per_seed.loc[model].dropna()
        ends = summary.loc[model, ["low", "high"]] if model in summary.index else [np.nan] * 2
        rows[model] = {
            "AUC in-sample": number(aucs.get(model)),
            "AUC out of fold": mean_sd(mine) if len(mine) > 1 else number(mine.mean()),
            "95 % interval": interval(*ends),
        }
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")
    note = " ".join(
        [
            f"Out of fold: {FOLDS} folds by patient, {seeds} seed(s), mean ± SD over seeds; "
            "autoencoder, choice of features and logistic model are fitted inside each training "
            "fold. In-sample: all three on the patients they are judged on. One AE feature is the "
            "most significant one, AE all with p < 0.1. The area of a rule with one threshold is "
            "that of its quantity. Intervals count patients and fits.",
            *left_out(result),
        ]
    )
    return output.table(
        "table3", "Areas under the ROC curve, in-sample and out of fold", table, note
    )
