"""Response to CRT from ECG spectrograms (He et al. 2023): Tables 1 and 2, Figure 2, and transfer.

Goals: the paper's tables in the paper's form, by patient, its printed figures and the clinical
rules beside ours, and an answer with an interval to "does transfer from MIT-BIH help?". Not a goal:
the paper's own figures, whose patients are private.
"""

import time
from pathlib import Path

import numpy as np
import pandas as pd

import crtkit as ck
from crtkit.guidelines.reference import measure_missing
from crtkit.neural import read_card
from crtkit.signals import LEADS_12, Resampler, segment_beats
from crtkit.signals.stft import spectrogram
from crtkit.statistics import baseline_table
from crtkit.studies import he2023 as study, simple
from crtkit.studies.run.cohorts import (
    asks_response,
    leave_out_unusable,
    load_cohort,
    stated,
    with_signals,
)
from crtkit.studies.run.figures import evaluation_figures
from crtkit.studies.run.output import (
    MISSING,
    NOT_RUN,
    Output,
    finish,
    interval,
    journal_path,
    left_out,
    markdown_table,
    mean_sd,
    measured_rows,
)

FOLDS = 5
SIZE = "small"
METRICS = {"accuracy": "Accuracy", "sensitivity": "Sensitivity", "specificity": "Specificity"}
TRANSFER = {"roc_auc": "AUC", "accuracy": "Accuracy", "balanced_accuracy": "Balanced accuracy"}


def add_arguments(sub):
    """Options of this study alone.

    Parameters
    ----------
    sub : ArgumentParser
    """
    sub.add_argument(
        "--weights",
        type=Path,
        nargs="*",
        help="networks pretrained by crtkit.studies.he2023.pretrain (depth, width, picture and "
        "window come from their cards); without one no pretrained models",
    )
    sub.add_argument("--image", help="page file column of the manifest: pages are digitised")
    sub.add_argument("--depths", type=int, nargs="+", choices=study.DEPTHS, help="default: 18")
    sub.add_argument("--unit", choices=("record", "beat"), default="record")
    sub.add_argument("--leads", choices=study.LEADS, default="page", help="combination of leads")
    sub.add_argument("--epochs", type=int, help=f"default: {study.NETWORK['max_epochs']}")
    sub.add_argument("--device", default="cpu", help="of the networks: cpu, cuda or auto")


def run(options):
    """Run the study as the command line asks.

    Parameters
    ----------
    options : Namespace
        From :func:`crtkit.studies.run.add_arguments`.

    Returns
    -------
    str
        Table 2 and where the files are.
    """
    start = time.perf_counter()
    cohort, flow = leave_out_unusable(with_signals(load_cohort(options, "he2023"), options))
    cohort, _ = measure_missing(cohort)  # on whole records: of a beat no median is left
    weights, settings = pretrained(options)
    if options.epochs or options.quick:
        settings["network"] = {"max_epochs": options.epochs or 1}
    if options.device != "cpu":
        settings["network"] = {**settings.get("network", {}), "device": options.device}
    if options.quick:
        settings["size"] = (16, 16)  # a network of convolutions reads any size
    # Features of whole records first: after prepare a record is one median beat.
    prepared = prepare(simple.with_features(cohort, options.n_jobs), options.unit)
    n_leads = ck.Select("signal").fit_transform(prepared.X.iloc[:1]).shape[1]
    models = study.pipelines(
        fs=study.FS, unit="beat", leads=options.leads, n_leads=n_leads, weights=weights, **settings
    )
    missing = [c for c in ("lvef", "qrs_duration_ms", "lbbb") if c not in cohort.X]
    if missing:  # open data have no ejection fraction
        del models["Guideline"]
    if "measurements" in prepared.X:
        models |= simple.pipelines()
    seeds = options.seeds or 1
    result = ck.evaluate(
        models,
        prepared,
        cv=FOLDS,
        seeds=seeds,
        n_jobs=options.n_jobs,
        threads_per_fit=1,  # the same bits on any number of cores; --n-jobs uses more of them
        random_state=options.random_state,
        journal=journal_path(options),
    )
    output = Output(options.out, "he2023", stated(cohort))
    published = asks_response(cohort, options)
    if not missing or "outcome" in cohort.info:
        table1(output, cohort, published)
    text = table2(output, result, seeds, missing, published)
    transfer(output, result, cohort)
    evaluation_figures(output, result)
    figure2(output, cohort, prepared)
    output.text("What this run was", described(options, weights, settings, flow))
    if published:
        output.text("What to know about the printed figures", study.REMARKS)
    where = finish(
        output,
        cohort,
        options,
        start,
        study="he2023",
        flow=flow,
        seeds=seeds,
        folds=FOLDS,
        unit=options.unit,
        leads=options.leads,
        cards={str(depth): read_card(path) for depth, path in weights.items()},
        settings=result.info,
        per_fold=result.per_fold().reset_index(),
    )
    return f"\n{stated(cohort)}\n\nTable 2, mean ± SD over folds\n\n{text}\n\n{where}"


def pretrained(options):
    """Weights by depth, and the settings of networks that go with them.

    Returns
    -------
    weights : dict of int to Path
    settings : dict
        ``depths, width, size, stft`` for :func:`crtkit.studies.he2023.pipelines`.

    Raises
    ------
    ValueError
        Weights without a card, or whose cards differ in width, picture or window.
    """
    paths = options.weights or []
    cards = {path: read_card(path) for path in paths}
    bare = [p.name for p, card in cards.items() if not {"depth", "width", "size"} <= set(card)]
    if bare:
        raise ValueError(f"{bare} have no card that describes their network: pretrain them again.")
    keys = ("width", "size", "stft")
    # One front for all depths: a network only reads pictures of the kind it was trained on.
    if len({tuple(str(card[key]) for key in keys) for card in cards.values()}) > 1:
        raise ValueError("The cards of --weights differ in width, size or stft: run them apart.")
    # Benchmarks that bring their own weights call the pixels of a picture size: cards decide there.
    named = getattr(options, "size", None)
    size = study.SIZES[named if named in study.SIZES else "small"]
    bare = {"width": size["width"], "size": size["tile"][0], "stft": study.STFT}
    card = next(iter(cards.values()), bare)
    weights = {card["depth"]: path for path, card in cards.items()}
    depths = options.depths or sorted(weights) or size["depths"]
    settings = {"width": card["width"], "size": (card["size"],) * 2, "stft": card["stft"]}
    return weights, {"depths": tuple(depths), **settings}


def prepare(cohort, unit):
    """Cut records to beats once, for all models: nothing is learned from them.

    Parameters
    ----------
    cohort : Cohort
    unit : {"record", "beat"}
        The median beat of each record, or every beat.

    Returns
    -------
    Cohort
        Beats at 360 Hz, of 512 samples.
    """
    signals = ck.Select("signal").fit_transform(cohort.X)
    rate = cohort.info["sampling_rate"]
    if rate != study.FS:
        signals = Resampler(fs_in=rate, fs_out=study.FS).fit_transform(signals)
    info = {**cohort.info, "sampling_rate": study.FS}
    if unit == "record":
        signals = study.representative_beats(signals)
    cells = pd.Series(list(np.asarray(signals)), index=cohort.X.index, dtype=object)
    prepared = ck.Cohort(cohort.X.assign(signal=cells), cohort.y, cohort.groups, info)
    return prepared if unit == "record" else segment_beats(prepared, beats="detected")


def table1(output, cohort, published):
    """Table 1: baseline characteristics; if `published`, the printed ones in a table apart."""
    names = [name for name in study.TABLE1_ROWS if name in cohort.X]
    first = ~pd.Series(cohort.groups).duplicated().to_numpy()
    y = cohort.y[first]
    name = "response" if published else cohort.info.get("label", "the positive class")
    titles = ("Non-response" if published else f"not {name}", name[:1].upper() + name[1:])
    labels = {
        label: f"{title} (n = {(y == label).sum()})"
        for label, title in zip(np.unique(y).tolist(), titles)
    }
    ours = baseline_table(
        cohort.X.loc[first, names].reset_index(drop=True),
        y,
        continuous="mean_sd",
        categorical="t",
        labels=labels,
        numbers=False,
    )
    note = "Mean ± SD or n (%). Student's t, also for counts, as the paper's p-values are."
    output.table("table1", "Table 1. Baseline characteristics", ours, note)
    if published:
        printed = study.PUBLISHED_TABLE1.drop(columns="kind").fillna(MISSING)
        title = "Table 1 as published. Baseline characteristics"
        output.table("table1_published", title, printed, patients=study.PATIENTS)


def table2(output, result, seeds, missing, published):
    """Table 2: reference rows below; if `published`, the printed figures in a table apart."""
    folds = result.per_fold()
    summary = result.summary()["roc_auc"]
    printed = study.PUBLISHED
    rows = {}
    for model in dict.fromkeys([*printed.index, *result.models] if published else result.models):
        row = {title: _mean_sd(folds, model, metric) for metric, title in METRICS.items()}
        row["AUC"] = _mean_sd(folds, model, "roc_auc")
        row["AUC, 95 % interval by patient"] = (
            interval(*summary.loc[model, ["ci_low", "ci_high"]])
            if model in summary.index
            else MISSING
        )
        rows[model] = row
    notes = [
        f"Mean ± SD over {FOLDS} folds by patient" + (f", {seeds} times." if seeds > 1 else "."),
        *([f"Guideline left out: the cohort has no {', '.join(missing)}."] if missing else []),
        *left_out(result),
        *measured_rows(result),
    ]
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")
    output.table("table2", "Table 2. Performance", table, " ".join(notes))
    if published:
        columns = {
            title: [_published(row, metric) for _, row in printed.iterrows()]
            for metric, title in METRICS.items()
        }
        theirs = pd.DataFrame(columns, index=printed.index)
        title, note = "Table 2 as published. Performance", "Mean ± SD over five folds."
        output.table("table2_published", title, theirs, note, patients=study.PATIENTS)
    return markdown_table(table[[*METRICS.values(), "AUC"]])


def transfer(output, result, cohort):
    """Does transfer help? Each pretrained model against its general twin, on the same patients."""
    rows = []
    for twin in [m for m in result.models if f"{m}, pretrained" in result.models]:
        table = result.compare(f"{twin}, pretrained", twin)
        for metric, title in TRANSFER.items():
            row = table.loc[metric]
            low, high = row["ci_low"], row["ci_high"]
            answer = verdict(low, high)
            rows.append(
                {
                    "model": twin,
                    "metric": title,
                    "pretrained": f"{row['mean_a']:.3f}",
                    "general": f"{row['mean_b']:.3f}",
                    "difference": f"{row['difference']:+.3f}",
                    "95 % interval": interval(low, high, sign="+"),
                    "transfer": answer,
                }
            )
    if not rows:
        return
    note = (
        "Intervals draw patients again, the same for both models; fits are held fixed, so that "
        f"luck of training is not in them. {len(rows)} intervals, not corrected for their number."
    )
    if cohort.info["source"] == "simulated":
        note += " True of the simulation by construction: no answer about patients."
    table = pd.DataFrame(rows).set_index("model")
    output.table("transfer", "Does transfer from MIT-BIH help?", table, note)


def verdict(low, high):
    """What an interval of "pretrained less general" says of transfer."""
    # Three answers: an interval across zero shows neither help nor harm.
    return "helps" if low > 0 else "harms" if high < 0 else "not shown"


def figure2(output, cohort, prepared):
    """Figure 2: spectrograms per lead of the first patient of either class, with their scale."""
    import matplotlib.pyplot as plt

    # The first of each class, not a chosen one.
    chosen = [int(np.flatnonzero(prepared.y == label)[0]) for label in np.unique(prepared.y)]
    beats = np.asarray(ck.Select("signal").fit_transform(prepared.X.iloc[chosen]))
    n_leads = beats.shape[1]
    names = LEADS_12 if n_leads == 12 else [f"lead {k}" for k in range(n_leads)]
    settings = {k: study.STFT[k] for k in ("window", "window_length", "max_frequency")}
    # A finer hop than the models', for the eye only.
    images = spectrogram(beats, study.FS, hop_length=4, **settings)
    low, high = study.PICTURE["db_range"]
    across = min(6, n_leads)
    down = -(-n_leads // across)
    figure, axes = plt.subplots(
        down * len(chosen), across, figsize=(2.0 * across + 1, 1.75 * down * len(chosen) + 0.8),
        sharex=True, sharey=True, squeeze=False, layout="constrained",
    )  # fmt: skip
    name = cohort.info.get("label", "positive")
    titles = [f"not {name}", str(name)]
    for patient, title, rows in zip(images, titles, np.split(axes, len(chosen))):
        rows[0, 0].annotate(
            title, (0, 1.28), xycoords="axes fraction", fontsize=11, fontweight="bold"
        )
        for lead, ax in zip(range(n_leads), rows.ravel()):
            shown = ax.imshow(
                patient[lead],
                origin="lower",
                aspect="auto",
                extent=(0, beats.shape[-1] / study.FS, 0, study.STFT["max_frequency"]),
                vmin=low,
                vmax=high,
                cmap=study.PICTURE["colour_map"],
            )
            ax.set_title(names[lead], fontsize=9, pad=2)
            ax.tick_params(labelsize=7)
        for ax in rows.ravel()[n_leads:]:
            ax.set_axis_off()
    figure.supxlabel("Time (s)", fontsize=9, y=0.045)
    figure.supylabel("Frequency (Hz)", fontsize=9)
    figure.colorbar(shown, ax=axes, label="Amplitude (dB re 1 mV)", shrink=0.6)
    figure.get_layout_engine().set(rect=(0, 0.07, 1, 0.92))
    output.figure("figure2", "Figure 2. Spectrograms per lead", figure)


def described(options, weights, settings, flow):
    """What was run, and what was not, in lines."""
    network = {**study.NETWORK, **settings.get("network", {})}
    lines = [
        "Flow: " + "; ".join(f"{step} {n}" for step, n in flow).replace("\n", " ") + ".",
        f"Unit: {'the median beat of each record' if options.unit == 'record' else 'every beat'}; "
        f"twelve leads combined as {options.leads!r}.",
        f"ResNets of depth {', '.join(map(str, settings['depths']))}, width {settings['width']}, "
        f"{settings['size'][0]} px a lead, "
        f"{network['max_epochs']} epochs, window "
        f"{settings['stft']['window_length']} samples. "
        f"Not run: depth {[d for d in study.DEPTHS if d not in settings['depths']]}.",
    ]
    for path in weights.values():
        card = read_card(path)
        figures = card["scores"]
        lines.append(
            f"Pretrained weights ResNet-{card['depth']}: {card['data']}, {card['set_up']}, "
            f"{len(card['training_records'])} records, seed {card['seed']}; on held-out subjects "
            f"accuracy {figures['accuracy']:.3f}, macro sensitivity "
            f"{figures['macro sensitivity']:.3f}."
        )
    return lines if weights else [*lines, "No pretrained weights: the pretrained rows are absent."]


def _published(row, metric):
    if pd.isna(row[f"{metric}_sd"]):
        return f"{row[metric]:g}"
    return f"{row[metric]:.3f} ± {row[f'{metric}_sd']:.3f}"


def _mean_sd(folds, model, metric):
    if model not in folds.index.get_level_values("model"):
        return NOT_RUN
    return mean_sd(folds.xs(model, level="model")[metric], unit="folds")
