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

import dataclasses
import time
from pathlib import Path

import pandas as pd

import crtkit as ck
from benchmarks._one_patient_models import models, shown, window
from benchmarks._results import Output, journal_path
from crtkit.datasets.simulation.crt import CRT
from crtkit.studies import simple
from crtkit.studies.run.output import finish

#: Heading of a window in the picture.
HEADINGS = {
    "table": "Clinical table and rules",
    "signal": "ECG, signal",
    "page": "ECG, page",
    "map": "Gated SPECT, with LVEF and sex",
    "all": "Everything",
}
COLOURS = dict(zip(HEADINGS, ("#4d4d4d", "#0072b2", "#d55e00", "#009e73", "#aa4499")))


def add_arguments(parser):
    """Give a parser the options of this benchmark.

    Parameters
    ----------
    parser : ArgumentParser
    """
    parser.add_argument("--patients", type=int, default=285, help="simulated patients")
    parser.add_argument("--seeds", type=int, default=3, help="splits of 80:20 by patient")
    parser.add_argument("--size", choices=("small", "paper"), default="small", help="of networks")
    parser.add_argument("--device", default="cpu", help="of the networks: cpu, cuda or auto")
    parser.add_argument("--epochs", type=int, help="of every network, to see the form of a run")
    parser.add_argument("--cache", type=Path, help="folder of pages and maps (default: in --out)")
    parser.add_argument("--models", nargs="+", help="only these, by study: 'he2021: PSD + LVEF'")
    parser.add_argument("--n-jobs", type=int, help="fits at a time")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    parser.add_argument("--random-state", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("results") / "one_patient")


def ceilings(best):
    """Best reachable AUC of each window.

    Parameters
    ----------
    best : dict
        ``info["best_auc"]`` of the cohort.

    Returns
    -------
    dict of str to dict
        ``auc, se`` by window. A page shows what its signal does; models of the map read LVEF and
        sex beside it, so theirs is the ceiling of the three together.
    """
    spect = {"map": (*CRT.seen["map"], "lvef", "male")}
    return {
        "table": best["table"],
        "signal": best["signal"],
        "page": best["image"],
        "map": dataclasses.replace(CRT, seen=spect).best_auc()["map"],
        "all": best["all"],
    }


def table_of(result, best):
    """AUC of every model with its interval and its window's ceiling.

    Parameters
    ----------
    result : Evaluation
    best : dict
        Of :func:`ceilings`.

    Returns
    -------
    DataFrame
        Sorted by window, then by AUC; ``rule``: fixed before this cohort, not learned from it.
    """
    summary = result.summary()["roc_auc"]
    rules = {*result.info["reference_rows"], "he2023: Guideline"} - {"Clinical logistic model"}
    out = pd.DataFrame(
        {
            "window": [window(name) for name in summary.index],
            "rule": summary.index.isin(rules),
            "AUC": summary["mean"],
            "SD": summary["sd"],
            "low": summary["low"],
            "high": summary["high"],
        },
        index=summary.index,
    )
    out["ceiling"] = [best[w]["auc"] for w in out["window"]]
    # It ranks nobody: an AUC of one half by definition.
    out = out.drop(index="Majority class", errors="ignore")
    order = out["window"].map({name: k for k, name in enumerate(HEADINGS)})
    return (
        out.assign(order=order)
        .sort_values(["order", "AUC"], ascending=[True, False], kind="stable")
        .drop(columns="order")
    )


def picture(table, rule=None):
    """Forest plot in two columns, grouped by window, with the ceiling of each window.

    Parameters
    ----------
    table : DataFrame
        As :func:`table_of` makes it.
    rule : str, optional
        The row whose AUC is drawn as a line through all groups.

    Returns
    -------
    Figure
    """
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    # The ECG's many models fill one column, the other windows the second.
    columns = [["signal"], [key for key in HEADINGS if key != "signal"]]
    columns = [[k for k in keys if (table["window"] == k).any()] for keys in columns]
    columns = [keys for keys in columns if keys]
    lengths = [sum(1.7 + (table["window"] == k).sum() for k in keys) for keys in columns]
    figure, axes = plt.subplots(
        1,
        len(columns),
        figsize=(5.3 * len(columns), 0.185 * max(lengths) + 1.3),
        layout="constrained",
        squeeze=False,
        sharex=True,
    )
    for ax, keys in zip(axes[0], columns):
        _draw_groups(ax, table, keys, max(lengths))
        ax.axvline(0.5, color="0.6", lw=0.8, zorder=0)
        if rule is not None:
            at = table.loc[rule, "AUC"]
            ax.axvline(at, color="0.2", lw=0.9, ls="--", zorder=0)
            note = f"best rule: {shown(rule)}, {at:.2f}"
            ax.text(at, -1.5, note, ha="center", va="bottom", fontsize=7.5, color="0.2")
    low, high = table["low"].min(), max(table["high"].max(), table["ceiling"].max())
    axes[0, 0].set_xlim(max(0.2, low - 0.02), min(1.0, high + 0.02))
    figure.suptitle(
        "One heart behind the table, the ECG, its page and the SPECT: every model, same patients",
        fontsize=10.5,
        weight="bold",
    )
    grey = {"color": "0.3", "lw": 1.3, "marker": "s", "ms": 4.5}
    signs = [
        Line2D([], [], **grey, label="learned here (AUC, 95 % interval)"),
        Line2D([], [], **grey, mfc="white", label="fixed rule"),
        Line2D([], [], color="0.3", lw=4, alpha=0.35, label="the best that its window allows"),
    ]
    figure.legend(
        handles=signs, loc="lower center", bbox_to_anchor=(0.5, 0.03), ncols=3, fontsize=8.5,
        frameon=False,
    )  # fmt: skip
    # Whose patients they are is written below the legend.
    figure.get_layout_engine().set(rect=(0.0, 0.08, 1.0, 0.92), w_pad=0.08)
    return figure


def _draw_groups(ax, table, keys, length):
    """Rows of some windows, one below the other, on an axes of `length` rows."""
    y, ticks, names = 0.0, [], []
    for key in keys:
        rows = table[table["window"] == key]
        colour = COLOURS[key]
        ceiling = rows["ceiling"].iloc[0]
        ax.text(
            -0.01, y, HEADINGS[key], weight="bold", fontsize=9, va="center", ha="right",
            color=colour, transform=ax.get_yaxis_transform(),
        )  # fmt: skip
        ax.text(
            ceiling, y, f"{ceiling:.2f}", ha="center", va="center", fontsize=8, color=colour,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
        )  # fmt: skip
        top, y = y + 0.5, y + 1.0
        for name, row in rows.iterrows():
            ax.plot([row["low"], row["high"]], [y, y], color=colour, lw=1.3)
            inside = "white" if row["rule"] else colour
            ax.plot(row["AUC"], y, "s", color=colour, mfc=inside, ms=4.5)
            ticks.append(y)
            names.append(shown(name))
            y += 1.0
        ax.plot([ceiling, ceiling], [top, y - 0.5], color=colour, lw=4, alpha=0.35, zorder=0)
        y += 0.7
    ax.set_ylim(length - 0.9, -1.2)
    ax.set_yticks(ticks, names, fontsize=8)
    ax.tick_params(axis="y", length=0)
    ax.tick_params(axis="x", labelsize=8)
    ax.set_xlabel("AUC for response to CRT", fontsize=8)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)


def answers(table, against, best):
    """What the run says, in a sentence each: against the rules, and window by window.

    Parameters
    ----------
    table : DataFrame
        Of :func:`table_of`.
    against : DataFrame
        ``result.against_references()``.
    best : dict
        Of :func:`ceilings`.

    Returns
    -------
    list of str
    """
    learned = table[~table["rule"]]
    name = learned["AUC"].idxmax()
    row = learned.loc[name]
    beats = [shown(m) for m in against.index[against["beats"].eq(True)] if m in learned.index]
    lines = [
        f"SIMULATED patients. Of {len(learned)} models that learn, "
        f"{len(beats) or 'none'} {'beat' if len(beats) > 1 else 'beats'} the best rule"
        f"{' (' + '; '.join(beats) + ')' if beats else ''}. The best, {shown(name)}, has an AUC of "
        f"{row['AUC']:.3f} ({row['low']:.3f} to {row['high']:.3f}); all windows together allow "
        f"{best['all']['auc']:.3f}."
    ]
    for key, heading in HEADINGS.items():
        rows = learned[learned["window"] == key]
        if len(rows) and key != "all":
            top = rows["AUC"].idxmax()
            lines.append(
                f"{heading}: the best of {len(rows)}, {shown(top)}, has {rows.loc[top, 'AUC']:.3f} "
                f"({rows.loc[top, 'low']:.3f} to {rows.loc[top, 'high']:.3f}) of "
                f"{best[key]['auc']:.3f} that can be reached."
            )
    return lines


def run(options):
    """Evaluate every model on the same simulated patients, and write table, picture and report.

    Parameters
    ----------
    options : Namespace
        From :func:`add_arguments`.

    Returns
    -------
    str
        The answers, and where the results are.

    Raises
    ------
    ValueError
        ``--models`` names one that is not there.
    """
    started = time.perf_counter()
    options.out.mkdir(parents=True, exist_ok=True)
    cache = options.cache or options.out / "cache"
    cohort = ck.datasets.make_cohort(
        "crt",
        n_patients=options.patients,
        random_state=options.random_state,
        cache_dir=cache / "cohort",
    )
    cohort = simple.with_features(cohort)
    chosen = models(options.size, options.device, cache, options.epochs)
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
    return report(result, cohort, options, started)


def report(result, cohort, options, started):
    """Write table, picture, report and ``results.json``; the answers come back as text."""
    best = ceilings(cohort.info["best_auc"])
    table = table_of(result, best)
    against = result.against_references()
    lines = answers(table, against, best)
    short = "" if options.epochs is None else f", {options.epochs} epochs only"
    stated = (
        f"SIMULATED: {len(cohort)} patients, {options.seeds} splits of 80:20 by patient; networks "
        f'of size "{options.size}"{short}.'
    )
    output = Output(options.out, "One virtual patient, every model", stated)
    readable = table.drop(columns="rule").assign(window=table["window"].map(HEADINGS)).round(3)
    readable.insert(0, "name", [shown(name) for name in table.index])
    note = "\n\n".join(lines)
    output.table("table", "All models on the same patients", readable, note)
    rules = [name for name in against["reference"].dropna() if name in table.index]
    rule = rules[0] if rules else None
    output.figure("forest", "AUC by window, with the best that each allows", picture(table, rule))
    finish(
        output,
        cohort,
        options,
        started,
        benchmark="one_patient",
        size=options.size,
        seeds=options.seeds,
        best_auc=best,
        best_rule=rule,
        answer=lines,
        settings=result.info,
    )
    return "\n".join([*lines, f"written to {options.out}"])
