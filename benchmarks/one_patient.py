"""All models of all four studies on the same patients: ``python -m benchmarks one_patient``

No paper could do this. One simulated heart drives the clinical table, the ECG, its page and the
gated SPECT of each patient; every model of every study, the clinical rules and a model of
everything answer the same question, response to CRT, on the same splits.

Goals
-----
Which window shows how much of response, beside the best that any model could reach through it, and
whether any model beats the rules, with intervals.

Non-goals
---------
The AUC of any model on patients: the cohort is simulated, and its answers are true of the
simulation. The ceilings of ECG and map take every latent as read without error.
"""

import time
from pathlib import Path

import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

import crtkit as ck
from benchmarks._results import Output, journal_path
from crtkit.studies import simple
from crtkit.studies.run.output import finish

#: Study -> window that its models look through.
WINDOWS = {"mori2025": "page", "he2023": "signal", "lvsd2026": "signal", "he2021": "map"}
#: Heading of a window in the picture, and the key of its ceiling.
HEADINGS = {
    "table": "Clinical table and rules",
    "signal": "ECG, signal",
    "page": "ECG, page",
    "map": "SPECT phase map (with table)",
    "all": "Everything",
}
CEILING = {"table": "table", "signal": "signal", "page": "image", "map": "all", "all": "all"}
EVERYTHING = "Logistic on everything"
#: What the model of everything takes of the table.
TABLE = ("age", "male", "ischaemic", "lvef", "lvesv", "lbbb", "paced", "qrs_duration_ms")


def add_arguments(parser):
    """Give a parser the options of this benchmark.

    Parameters
    ----------
    parser : ArgumentParser
    """
    parser.add_argument("--patients", type=int, default=285, help="simulated patients")
    parser.add_argument("--seeds", type=int, default=3, help="splits of 80:20 by patient")
    parser.add_argument("--models", nargs="+", help="only these, by study: 'he2021: PSD + LVEF'")
    parser.add_argument("--n-jobs", type=int, help="fits at a time")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    parser.add_argument("--random-state", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("results") / "one_patient")


def models():
    """Every model of the four studies, the two simple ones and one of everything.

    Returns
    -------
    dict of str to estimator
        Unfitted, at two-core size; the name begins with the study's.

    Examples
    --------
    >>> from benchmarks.one_patient import models
    >>> [name for name in models() if name.startswith("mori2025")]
    ['mori2025: ResNet-18 from scratch', 'mori2025: SSL + ResNet-18', 'mori2025: LightGBM']
    """
    out = dict(simple.pipelines())
    out.update(
        {f"mori2025: {k}": v for k, v in ck.studies.mori2025.pipelines(size="small").items()}
    )
    he2023 = ck.studies.he2023.pipelines(depths=(18,))
    out.update({f"he2023: {k}": v for k, v in he2023.items() if k != "Guideline"})
    out.update({f"he2021: {k}": v for k, v in ck.studies.he2021.pipelines().items()})
    # lvsd2026 chooses a threshold on its own tuning set, which these patients do not have.
    lvsd2026 = ck.studies.lvsd2026.pipelines(size="small")
    out.update({f"lvsd2026: {k}": v.estimator for k, v in lvsd2026.items()})
    out[EVERYTHING] = make_pipeline(
        make_union(
            ck.Select([*TABLE, "psd_deg", "pbw_deg"]),
            ck.Select("measurements"),
            make_pipeline(ck.Select("map"), ck.PhaseStatistics()),
        ),
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(C=0.1, max_iter=1000),
    )
    return out


def window(name):
    """Through which window a model looks.

    Examples
    --------
    >>> from benchmarks.one_patient import window
    >>> window("mori2025: LightGBM"), window("he2021: PSD + LVEF + gender"), window("LBBB")
    ('signal', 'map', 'table')
    """
    if name == EVERYTHING:
        return "all"
    if name in simple.ROWS or name == "mori2025: LightGBM" or name.startswith("QRS area"):
        return "signal"
    if name.startswith(("PSD", "PBW")):
        return "map"
    return WINDOWS.get(name.split(":")[0], "table")


def table_of(result, best):
    """AUC of every model with its interval, its window's ceiling and how far below it stays.

    Parameters
    ----------
    result : Evaluation
    best : dict
        ``info["best_auc"]``.

    Returns
    -------
    DataFrame
        Sorted by window, then by AUC.
    """
    summary = result.summary()["roc_auc"]
    out = pd.DataFrame(
        {
            "window": [window(name) for name in summary.index],
            "rule": summary.index.isin(result.info["reference_rows"]),
            "AUC": summary["mean"],
            "SD": summary["sd"],
            "low": summary["low"],
            "high": summary["high"],
        },
        index=summary.index,
    )
    out["ceiling"] = [best[CEILING[w]]["auc"] for w in out["window"]]
    order = {name: k for k, name in enumerate(HEADINGS)}
    key = out["window"].map(order)
    return (
        out.assign(order=key)
        .sort_values(["order", "AUC"], ascending=[True, False])
        .drop(columns="order")
    )


def picture(table, rule="QRS >="):
    """Forest plot: one row per model, grouped by window, with the ceiling of each window.

    Parameters
    ----------
    table : DataFrame
        As :func:`table_of` makes it.
    rule : str
        Start of the row whose AUC is drawn as a line through all groups.

    Returns
    -------
    Figure
    """
    import matplotlib.pyplot as plt

    colours = dict(zip(HEADINGS, ("#4d4d4d", "#0072b2", "#d55e00", "#009e73", "#aa4499")))
    height = 0.24 * (len(table) + 1.6 * table["window"].nunique()) + 1.1
    figure, ax = plt.subplots(figsize=(7.2, height), layout="constrained")
    y, ticks, names = 0.0, [], []
    for key, heading in HEADINGS.items():
        rows = table[table["window"] == key]
        if rows.empty:
            continue
        ax.text(0.305, y, heading, weight="bold", fontsize=8, va="center", color=colours[key])
        top, y = y + 0.5, y + 1.0
        for name, row in rows.iterrows():
            ax.plot([row["low"], row["high"]], [y, y], color=colours[key], lw=1.2)
            inside = "white" if row["rule"] else colours[key]
            ax.plot(row["AUC"], y, "s", color=colours[key], mfc=inside, ms=4.5)
            ticks.append(y)
            names.append(name)
            y += 1.0
        ceiling = rows["ceiling"].iloc[0]
        ax.plot([ceiling, ceiling], [top, y - 0.5], color=colours[key], lw=2.5, alpha=0.45)
        y += 0.6
    ax.axvline(0.5, color="0.6", lw=0.8)
    known = [name for name in table.index if name.startswith(rule)]
    if known:
        ax.axvline(table.loc[known[0], "AUC"], color="0.2", lw=0.9, ls="--")
        ax.text(table.loc[known[0], "AUC"], -0.9, known[0], ha="center", fontsize=7, color="0.2")
    ax.set(ylim=(y - 0.4, -1.4), xlim=(0.3, 0.95))
    ax.set_xlabel(
        "AUC with 95 % interval; hollow: rules; thick bars: the best that can be reached",
        fontsize=8,
    )
    # Whose patients they are is written below the axis.
    figure.get_layout_engine().set(rect=(0.0, 0.03, 1.0, 0.97))
    ax.set_yticks(ticks, names, fontsize=7.5)
    ax.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    return figure


def verdict(table, result):
    """One sentence: does anything beat the rules, and how far below the ceiling is the best?

    Returns
    -------
    str
    """
    learned = table[~table["rule"]]
    best = learned["AUC"].idxmax()
    against = result.against_references()
    beats = [name for name in against.index if against.loc[name, "beats"] is True]
    row = table.loc[best]
    said = f"{', '.join(beats)} beat the best rule" if beats else "none beats the best rule"
    return (
        f"Of {len(learned)} models, {said}. Best: {best}, AUC {row['AUC']:.3f} "
        f"({row['low']:.3f} to {row['high']:.3f}) of {row['ceiling']:.3f} that its window allows."
    )


def run(options):
    """Evaluate every model on the same simulated patients, and write table, picture and report.

    Parameters
    ----------
    options : Namespace
        From :func:`add_arguments`.

    Returns
    -------
    str
        The answer in a sentence, and where the results are.
    """
    started = time.perf_counter()
    options.out.mkdir(parents=True, exist_ok=True)
    cohort = ck.datasets.make_cohort(
        "crt",
        n_patients=options.patients,
        random_state=options.random_state,
        cache_dir=options.out / "cohort",
    )
    cohort = simple.with_features(cohort)
    chosen = models()
    if options.models:
        unknown = sorted(set(options.models) - set(chosen))
        if unknown:
            raise ValueError(f"--models expects some of {list(chosen)}; got {unknown}.")
        chosen = {name: chosen[name] for name in options.models}
    result = ck.evaluate(
        chosen,
        cohort,
        seeds=options.seeds,
        n_jobs=options.n_jobs,
        journal=journal_path(options),
        random_state=options.random_state,
    )
    best = cohort.info["best_auc"]
    table = table_of(result, best)
    said = verdict(table, result)
    stated = (
        f"SIMULATED: {len(cohort)} patients, {options.seeds} splits of 80:20 by patient; networks "
        "at two-core size."
    )
    output = Output(options.out, "One virtual patient, every model", stated)
    shown = table.drop(columns="rule").assign(window=table["window"].map(HEADINGS)).round(3)
    output.table("table", "All models on the same patients", shown, said)
    output.figure("forest", "AUC by window, with the best that each allows", picture(table))
    finish(output, cohort, options, started, best_auc=best, answer=said)
    return f"{said}\nwritten to {options.out}"
