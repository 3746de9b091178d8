"""Does a page lose against its signal? ``python -m benchmarks real_pages``

Real records of PTB-XL (complete LBBB or IVCD against normal ECGs), each of them printed as a page
of 3 x 4 leads and a rhythm strip and digitised again: the same models learn from the same patients
on the same splits, once from the signals and once from what the digitizer read, and networks that
look at the page itself stand beside them. Then LUDB's own pages, which another program drew,
against LUDB's signals and its readers' marks.

Goals
-----
The difference of AUC, page less signal, of every model with its interval, and by how much QRS
duration changes on the way through paper.

Non-goals
---------
Response to CRT, and photographs: pages are rendered, clean, at 200 dpi, which is how a good scanner
sees a printed report. Cases are all there are and controls a sample: accuracy means nothing here.
"""

import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import crtkit as ck
from benchmarks import _ludb_pages as ludb
from benchmarks._open_ecgs import load as read_ecgs, one_record_each, ptbxl_cohort
from benchmarks._results import Output, environment, journal_path, write_json
from crtkit.datasets import render_cohort
from crtkit.guidelines import measure_cohort
from crtkit.studies import lvsd2026, mori2025, simple
from crtkit.studies.digitised import digitised_cohort
from crtkit.studies.run.output import interval

FS = 500
PX_PER_MM = 200 / 25.4
CASES = ("clbbb", "ivcd")
DURATION = "QRS duration"
#: Columns of a cohort that both readings have, and what they are called for the second.
READ_TWICE = ("signal", "measurements", "statistics", "qrs_duration_ms")
DIGITISED = "digitised_"


def add_arguments(parser):
    """Give a parser the options of this benchmark."""
    parser.add_argument("--data", type=Path, help="folder of real data (default: CRTKIT_DATA)")
    parser.add_argument("--controls", type=int, default=300, help="patients with a normal ECG")
    parser.add_argument("--cases", type=int, help="patients with LBBB or IVCD (default: all)")
    parser.add_argument("--ludb", type=int, help="patients of LUDB (default: all; 0: none)")
    parser.add_argument("--seeds", type=int, default=10, help="splits of 80:20 by patient")
    parser.add_argument("--epochs", type=int, help="of every network, to see the form of a run")
    parser.add_argument("--no-networks", action="store_true", help="models that fit in seconds")
    parser.add_argument("--device", default="cpu", help="of the networks: cpu, cuda or auto")
    parser.add_argument("--cache", type=Path, help="folder of the pages (default: cache in --out)")
    parser.add_argument("--n-jobs", type=int, help="pages, and fits, at a time")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    parser.add_argument("--random-state", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("results") / "real_pages")


def load(data, n_controls, random_state, n_cases=None):
    """One record per patient: everyone with complete LBBB or IVCD, and a sample of normal ECGs.

    Parameters
    ----------
    data : Path
    n_controls : int
    random_state : int
    n_cases : int, optional

    Returns
    -------
    Cohort
        Signals at 500 Hz, label 1 for left ventricular conduction delay, and ``diagnosis``.
    """
    ecgs = read_ecgs(Path(data) / "ptbxl_500hz", FS, 1000, FS)
    table = ecgs.table
    case = (table[list(CASES)].max(axis=1) > 0).to_numpy()
    normal = (table["norm"] > 0).to_numpy() & ~case
    first = one_record_each(ecgs, case, case | normal)
    rng = np.random.default_rng(random_state)
    cases, controls = (rng.permutation(first[case[first] == kind]) for kind in (True, False))
    rows = np.sort(np.concatenate([cases[:n_cases], controls[:n_controls]]))
    diagnosis = np.where(table["clbbb"] > 0, "LBBB", np.where(case, "IVCD", "normal"))[rows]
    cohort = ptbxl_cohort(ecgs, rows, case, "LBBB or IVCD")
    info = {**cohort.info, "label_columns": ["diagnosis"]}
    return ck.Cohort(cohort.X.assign(diagnosis=diagnosis), cohort.y, cohort.groups, info)


def both_ways(cohort, folder, n_jobs=None):
    """Cohort with every record's page, and its signal and features as digitised from the page.

    Parameters
    ----------
    cohort : Cohort
        Of :func:`load`.
    folder : Path
        Of the pages.
    n_jobs : int, optional

    Returns
    -------
    cohort : Cohort
        Records whose page was read; ``image``, and every column of ``READ_TWICE`` a second time,
        its name led by ``digitised_``.
    reasons : Series
        Why the others were not.
    """
    printed = render_cohort(cohort, folder, px_per_mm=PX_PER_MM)
    signals = simple.with_features(measure_cohort(cohort))
    numbered = printed.X[["image"]].assign(row=np.arange(len(cohort)))
    pages = ck.Cohort(numbered, cohort.y, cohort.groups, dict(cohort.info))
    read = simple.with_features(digitised_cohort(pages, n_jobs=n_jobs, cache=folder.parent))
    reasons = read.info["digitised"]["reason"].dropna()
    kept = signals.take(read.X["row"].to_numpy())
    second = {f"{DIGITISED}{name}": list(read.X[name]) for name in READ_TWICE}
    X = kept.X.assign(image=list(read.X["image"]), **second)
    return ck.Cohort(X, kept.y, kept.groups, {**kept.info, "digitised": None}), reasons


def models(networks=True, device="cpu", epochs=None, cache=None):
    """Every model twice, from the signal and from the digitised page, and those of the page.

    Parameters
    ----------
    networks : bool
    device : str
    epochs : int, optional
    cache : Path, optional
        Of decoded pages.

    Returns
    -------
    dict of str to estimator
        Names end in ", signal" and ", digitised", or in ", page".

    Examples
    --------
    >>> from benchmarks.real_pages import models
    >>> list(models(networks=False))[:2]
    ['QRS duration, signal', 'QRS duration, digitised']
    """
    short = {} if epochs is None else {"max_epochs": epochs}
    out = {}
    for ending, prefix in (("signal", ""), ("digitised", DIGITISED)):
        duration = [SimpleImputer(), StandardScaler(), LogisticRegression()]
        out[f"{DURATION}, {ending}"] = make_pipeline(
            ck.Select([f"{prefix}qrs_duration_ms"]), *duration
        )
        for name, model in simple.pipelines().items():
            out[f"{name}, {ending}"] = _reading(model, prefix)
        out[f"LightGBM, {ending}"] = _reading(mori2025.pipelines()["LightGBM"], prefix)
        chosen = lvsd2026.pipelines(device=device, baseline=short, ecgfm=short)
        for name in ("FCN", "InceptionTime", lvsd2026.CHEAP) if networks else ():
            if name in chosen:
                out[f"{name}, {ending}"] = _reading(chosen[name].estimator, prefix)
    if networks:
        pages = mori2025.pipelines(
            size="small", resnet={"device": device, **short}, simclr=short, cache_dir=cache
        )
        out |= {f"{name}, page": m for name, m in pages.items() if name != "LightGBM"}
    # Signal and digitised side by side, as they are compared.
    order = {name: k for k, name in enumerate(dict.fromkeys(n.rpartition(", ")[0] for n in out))}
    return dict(sorted(out.items(), key=lambda item: order[item[0].rpartition(", ")[0]]))


def _reading(model, prefix):
    """The pipeline with another column at its front."""
    first, select = model.steps[0]
    return model.set_params(**{first: ck.Select(f"{prefix}{select.column}")})


def losses(result):
    """AUC of every model from signals and from digitised pages, and the difference.

    Parameters
    ----------
    result : Evaluation

    Returns
    -------
    DataFrame
        One row a model: ``signal, digitised, difference, low, high`` (page less signal, interval
        that counts patients and fits).
    """
    rows = {}
    for name in (m.removesuffix(", signal") for m in result.models if m.endswith(", signal")):
        row = result.compare(f"{name}, digitised", f"{name}, signal").loc["roc_auc"]
        rows[name] = {
            "signal": row["mean_b"],
            "digitised": row["mean_a"],
            **row[["difference", "low", "high"]].to_dict(),
        }
    return pd.DataFrame(rows).T.rename_axis("model")


def agreement(cohort, kinds=("LBBB", "IVCD", "normal")):
    """QRS duration from the page less that from the signal, in ms, by diagnosis.

    Parameters
    ----------
    cohort : Cohort
        Of :func:`both_ways`.
    kinds : tuple of str
        Values of ``diagnosis``, a row each.

    Returns
    -------
    DataFrame
        ``records, measured`` (both ways), ``bias, sd`` and ``within 10 ms`` (share).
    """
    change = cohort.X[f"{DIGITISED}qrs_duration_ms"] - cohort.X["qrs_duration_ms"]
    groups = {"all": np.ones(len(change), dtype=bool)}
    groups |= {d: (cohort.X["diagnosis"] == d).to_numpy() for d in kinds}
    rows = {}
    for name, chosen in groups.items():
        d = change[chosen].dropna()
        rows[name] = {
            "records": int(chosen.sum()),
            "measured": len(d),
            "bias": d.mean(),
            "sd": d.std(),
            "within 10 ms": (d.abs() <= 10).mean(),
        }
    return pd.DataFrame(rows).T.rename_axis("diagnosis")


def answers(table, change, result, refused):
    """What the run says, a sentence each.

    Returns
    -------
    list of str
    """
    rule = table.loc[DURATION]
    learned = table.drop(index=DURATION)
    worse = [name for name in learned.index if learned.loc[name, "high"] < 0]
    said = f"worse from the page: {', '.join(worse)}" if worse else "none is shown to be worse"
    lines = [
        f"QRS duration tells LBBB or IVCD from normal ECGs with an AUC of {rule['signal']:.3f} "
        f"from the signal and {rule['digitised']:.3f} from its digitised page "
        f"({rule['difference']:+.3f}, {interval(rule['low'], rule['high'], '+')}); the page's is "
        f"{change.loc['all', 'bias']:+.1f} ± {change.loc['all', 'sd']:.1f} ms off.",
        f"Of {len(learned)} models that learn from both, {said}; the mean difference is "
        f"{learned['difference'].mean():+.3f}.",
    ]
    summary = result.summary()["roc_auc"]
    pages = [name for name in summary.index if name.endswith(", page")]
    if pages:
        best = summary.loc[pages, "mean"].idxmax()
        row = summary.loc[best]
        lines.append(
            f"A network that looks at the page itself, {best.removesuffix(', page')}, has "
            f"{row['mean']:.3f} ({row['low']:.3f} to {row['high']:.3f})."
        )
    lines.append(f"{refused} pages were not read, and their patients left out of all rows.")
    return lines


def own_pages(data, n_jobs=None, n=None):
    """LUDB's pages against its signals and its readers' marks.

    Parameters
    ----------
    data : Path
        Folder of real data.
    n_jobs : int, optional
    n : int, optional
        Patients; all by default.

    Returns
    -------
    tables : dict of str to DataFrame
        ``ludb_qrs_duration`` (page less signal), ``ludb_readers``.
    facts : dict
        AUC of QRS duration, and the reasons why pages were not read.
    lines : list of str
    """
    cohort, images = ludb.load(data / "ludb", n)
    cohort, reasons = ludb.read_both(cohort, images, n_jobs)
    change, readers = agreement(cohort, ludb.KINDS), ludb.against_readers(cohort)
    found = ludb.by_duration(cohort)
    facts = {**found, "not_read": sorted(reasons.astype(str)), "sha256": cohort.fingerprint()}
    tables = {"ludb_qrs_duration": change, "ludb_readers": readers}
    return tables, facts, ludb.answer(found, change, readers)


def run(options):
    """Print, digitise and evaluate, and write tables and the answers.

    Parameters
    ----------
    options : Namespace
        From :func:`add_arguments`.

    Returns
    -------
    str
        The answers.
    """
    start = time.perf_counter()
    data = options.data or Path(os.environ.get("CRTKIT_DATA", "."))
    options.out.mkdir(parents=True, exist_ok=True)
    cohort = load(data, options.controls, options.random_state, options.cases)
    cache = options.cache or options.out / "cache"
    cohort, reasons = both_ways(cohort, cache / "pages", options.n_jobs)
    networks = not options.no_networks
    result = ck.evaluate(
        models(networks, options.device, options.epochs, cache / "decoded"),
        cohort,
        seeds=options.seeds,
        n_jobs=options.n_jobs,
        threads_per_fit=1,
        reference_rows=False,
        scoring=["roc_auc", "average_precision", "brier"],
        random_state=options.random_state,
        journal=journal_path(options),
    )
    counts = cohort.X["diagnosis"].value_counts()
    stated = (
        f"Real data, {cohort.info['name']}: one record of each of {len(cohort)} patients "
        f"({counts['LBBB']} LBBB, {counts['IVCD']} IVCD, {counts['normal']} normal); pages "
        f"rendered at 200 dpi, {options.seeds} splits of 80:20 by patient"
        + ("." if options.epochs is None else f", {options.epochs} epochs only.")
    )
    output = Output(options.out, "Does a page lose against its signal?", stated)
    table, change = losses(result), agreement(cohort)
    lines = answers(table, change, result, len(reasons))
    tables, facts = {"qrs_duration": change}, None
    if options.ludb != 0 and (data / "ludb").is_dir():
        more, facts, said = own_pages(data, options.n_jobs, options.ludb)
        tables, lines = tables | more, lines + said
    write(output, table, tables, result, lines)
    write_json(
        options.out / "results.json",
        {
            "benchmark": "real_pages",
            "stated": stated,
            "answer": lines,
            "losses": table,
            **tables,
            "ludb": facts,
            "not_read": sorted(reasons.astype(str)),
            "auc": result.summary()["roc_auc"],
            "data_sha256": cohort.fingerprint(),
            "environment": environment(options.device),
            "seconds": round(time.perf_counter() - start, 1),
        },
    )
    return "\n".join([stated, "", *lines])


#: Title of each table of milliseconds.
TITLES = {
    "qrs_duration": "QRS duration, page less signal (ms)",
    "ludb_qrs_duration": "LUDB's own pages: QRS duration, page less signal (ms)",
    "ludb_readers": "LUDB: QRS duration less the readers' marks (ms)",
}


def write(output, table, durations, result, lines):
    """Tables and the answers, as they are printed.

    Parameters
    ----------
    output : Output
    table : DataFrame
        Of :func:`losses`.
    durations : dict of str to DataFrame
        Tables of ``TITLES``.
    result : Evaluation
    lines : list of str
    """
    printed = table.round(3)
    printed["difference"] = [f"{d:+.3f}" for d in table["difference"]]
    limits = zip(table["low"], table["high"])
    printed = printed.drop(columns=["low", "high"])
    printed["95 % interval"] = [interval(low, high, "+") for low, high in limits]
    note = "AUC; page less signal; the interval counts patients and fits."
    output.table("losses", "Each model from the signal and from its page", printed, note)
    for name, rows in durations.items():
        output.table(name, TITLES[name], rows.round(2).astype({"records": int, "measured": int}))
    output.table("table", "Every model", result.summary()["roc_auc"].round(3))
    output.text("The answer", lines)
    output.report()
