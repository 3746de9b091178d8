"""Figures 1, 3 and 4 of lvsd2026, and the tests behind Figure 3."""

import warnings

import numpy as np
import pandas as pd

import crtkit as ck
from crtkit.statistics import friedman_test, rm_anova, wilcoxon_holm
from crtkit.studies import lvsd2026 as study
from crtkit.studies.run.figures import flow_diagram
from crtkit.studies.run.lvsd2026_tables import VARIANTS
from crtkit.studies.run.output import MISSING, refitted

#: Stands with every p-value of this form, in tables and within the picture.
CAVEAT = "Eight metrics of the same predictions are not independent: these p-values are too small."


def figure1(output, cohort):
    """Figure 1: pairs of each set."""
    counts = cohort.X["set"].value_counts()
    own = [int(counts.get(name, 0)) for name in ("train", "tuning", *study.SETS)]
    figure = flow_diagram({"Here (pairs)": branches(len(cohort), own)})
    output.figure("figure1", "Figure 1. Sets", figure)


def branches(total, sizes):
    """Steps of the flow: sets are parts, drawn to the right as exclusions are."""
    titles = ("training", "tuning", *study.SETS.values())
    parts = [(title, -n) for title, n in zip(titles, sizes)]
    return [("pairs", total), *parts, ("in five sets", sum(sizes))]


def tests(output, scores, references):
    """Tests between our models in the paper's form: ANOVA, Friedman and Figure 3."""
    names = scores.index.get_level_values("model").unique()
    left_out = [n for n in names if n in references or n.endswith(VARIANTS)]
    mine = study.blocks(scores.drop(index=left_out, level="model"))
    mine = mine.dropna()  # a metric that one model leaves undefined compares nobody
    shown, note = tested({"this run": mine})
    output.table("tests", "Repeated-measures ANOVA and Friedman", shown, note)
    title = "Figure 3. Wilcoxon, Holm's correction"
    figure3(output, "figure3", title, mine, "Models of this run")
    return shown


def tested(tables):
    """Repeated-measures ANOVA and Friedman of tables of blocks, in print, and a note."""
    rows = {}
    for name, table in tables.items():
        anova, friedman = rm_anova(table).iloc[0], friedman_test(table).iloc[0]
        rows[name] = {
            "blocks": len(table),
            "models": table.shape[1],
            "F": f"{anova['statistic']:.2f}",
            "p": _p(anova["p_value"]),
            "p, Greenhouse-Geisser": _p(anova["p_corrected"]),
            "Friedman p": _p(friedman["p_value"]),
            "smallest p of a pair (Holm)": _p(wilcoxon_holm(table)["p_holm_smallest"].max()),
        }
    note = (
        f"A block is one metric on one set. {CAVEAT} The last column is the corrected p of a pair "
        "where one model wins every block. Blocks in which a model has no value (PPV of a model "
        "that predicts no positive) are left out."
    )
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("scores"), note


def figure3(output, name, title, blocks, heading, patients=None):
    """Wilcoxon tests of every pair of models: the table, and the matrix of p-values."""
    pairs = wilcoxon_holm(blocks).reset_index()
    figure = _matrix(pairs, list(blocks.columns), heading)
    columns = ["a", "b", "median_difference", "p_value", "p_holm", "p_holm_smallest", "n"]
    pairs = pairs[columns].set_index("a")
    for column in columns[3:6]:
        pairs[column] = pairs[column].map(_p)
    output.table(name, title, pairs, CAVEAT, patients=patients)
    output.figure(name, title, figure, patients=patients)


def _p(value):
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _matrix(pairs, names, title):
    """Figure 3: corrected p-values of every pair."""
    import matplotlib.pyplot as plt

    matrix = pd.DataFrame(np.nan, names, names)
    for row in pairs.itertuples():
        matrix.loc[row.a, row.b] = matrix.loc[row.b, row.a] = row.p_holm
    size = 2.8 + 0.62 * len(names)
    figure, ax = plt.subplots(figsize=(size + 0.8, size))
    image = ax.imshow(matrix, cmap="viridis", vmin=0, vmax=1)
    for i in range(len(names)):
        for j in range(len(names)):
            p = matrix.iloc[i, j]
            if np.isfinite(p):
                text = "<.001" if p < 0.001 else f"{p:.3f}".lstrip("0")
                color = "white" if p < 0.6 else "black"
                ax.text(j, i, text, ha="center", va="center", fontsize=7, color=color)
    ax.set_xticks(range(len(names)), names, rotation=45, ha="right", fontsize=8)
    ax.set_yticks(range(len(names)), names, fontsize=8)
    ax.set_title(f"{title}\n{CAVEAT}", fontsize=8, wrap=True)
    figure.colorbar(image, ax=ax, fraction=0.04, label="p, Holm")
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    return figure


def explain(output, result, cohort, split, quick=False, device="cpu"):
    """Figure 4 and the shares of leads and waves, for SS-FF or the network from scratch."""
    import matplotlib.pyplot as plt

    tuned = (model for model in result.models if model.endswith("(SS-FF)"))
    name = next(tuned, "ECG-FM (scratch)")
    test = cohort.take(split[1])
    # The network that is explained is the one in Table 2: refit checks its predictions.
    model, again = refitted(result, name, result.info["seeds"][0], device)
    network = model.estimator_[-1]
    positive = np.flatnonzero(test.y == model.classes_[1])[: 4 if quick else 16]
    chosen = test.take(positive)
    results, errors = {}, {}
    options = {"n_draws": 2 if quick else 4, "n_steps": 8 if quick else 32, "random_state": 0}
    for method, baseline in (("deeplift", "zero"), ("integrated_gradients", "records")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # what they say is printed below
            result = ck.explain.attribute(
                model, chosen.X, method=method, baseline=baseline, **options
            )
        results[method] = result
        errors[method] = {
            "baseline": baseline,
            "median completeness error": f"{np.median(result.relative_error):.1%}",
            "note": result.note or MISSING,
        }
    table = pd.DataFrame.from_dict(errors, orient="index").rename_axis("method")
    output.table("attribution", f"Attribution of {name}", table, again.strip())
    best = int(np.argmax(model.predict_proba(chosen.X)[:, 1]))
    figure, axes = plt.subplots(2, 1, figsize=(11, 11.5))
    for ax, (method, result) in zip(axes, results.items()):
        title = f"{name}, {method.replace('_', ' ')}, completeness error "
        title += f"{result.relative_error[best]:.0%}"
        ck.explain.plot_attribution(
            result.inputs[best], result.maps[best], network.fs, layout="3x4+II", ax=ax, title=title
        )
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    output.figure("figure4", "Figure 4. Attribution on the page", figure)
    maps, inputs = results["integrated_gradients"].maps, results["integrated_gradients"].inputs
    leads = ck.explain.signal_lead_share(maps, "3x4+II", groups=chosen.groups)
    waves = ck.explain.wave_share(maps, inputs, network.fs, lead=-1, groups=chosen.groups)
    note = f"Integrated gradients on {len(chosen)} pairs with LVSD; intervals by patient."
    output.table("lead_share", "Share of each lead", leads, note)
    output.table("wave_share", "Share of each wave", waves, note)
    return {"model": name, **errors}
