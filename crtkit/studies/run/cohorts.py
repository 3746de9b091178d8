"""Cohort of a run: as the command line asks, without unusable signals, and in a sentence."""

import warnings
from dataclasses import replace

import numpy as np

import crtkit as ck
from crtkit._labels import classes_in_order
from crtkit.signals import quality_counts, signal_quality, usable_records
from crtkit.studies.ceiling import signal_ceilings

#: Table of a folder of pages, with the columns of a manifest.
PAGE_TABLE = "manifest.csv"


def load_cohort(options, study):
    """Cohort that the command line asks for.

    Parameters
    ----------
    options : Namespace
        ``data``, ``label``, ``group``, ``signal``, ``fs``, ``duration``, ``quick``,
        ``random_state``; optionally ``pos_label``, ``signal_unit``, ``columns``, ``on_error``,
        ``missing_leads``, ``short``, ``mixed_labels``, as :func:`crtkit.read_manifest` takes them.
    study : str
        Study whose simulated cohort stands in where no data are given.

    Returns
    -------
    Cohort
    """
    if options.data is None:
        # Sixty patients are enough for two splits that hold both classes.
        n_patients = 60 if options.quick else None
        return ck.datasets.make_cohort(
            study,
            n_patients=n_patients,
            modality=getattr(options, "modality", None),
            random_state=options.random_state,
        )
    if (options.data / "labels.csv").is_file() and not any(options.data.rglob("*.hea")):
        cache = getattr(options, "cache", None)
        return ck.datasets.load_ecg_images(options.data, label="binary", cache_dir=cache)
    table, image = options.data, getattr(options, "image", None)
    if (options.data / PAGE_TABLE).is_file():
        # A folder of pages: its table is a manifest, and the column is named as ours are.
        table, image = options.data / PAGE_TABLE, image or "image"
    elif options.data.is_dir():
        return ck.datasets.load_physionet(
            options.data,
            label=options.label or "sinus rhythm",
            duration=options.duration or 10.0,
            fs=options.fs or 500.0,
        )
    maps = getattr(options, "map", None)
    named = ("columns", "on_error", "missing_leads", "short", "mixed_labels")
    given = {name: getattr(options, name, None) for name in named}
    given["unit"] = getattr(options, "signal_unit", None)
    positive = getattr(options, "pos_label", None)
    with warnings.catch_warnings():
        if positive is not None:  # it is stated, though not to the manifest
            warnings.filterwarnings("ignore", message=".*becomes the positive class")
        cohort = ck.read_manifest(
            table,
            label=options.label or "responder",
            group=options.group,
            signal=options.signal or (None if image or maps else "signal"),
            image=image,
            map=maps,
            fs=options.fs,
            duration=options.duration,
            **{name: value for name, value in given.items() if value is not None},
        )
    return cohort if positive is None else with_positive(cohort, positive)


def with_positive(cohort, text):
    """Cohort whose labels are 1 for the outcome that is named, and 0 for the other.

    Parameters
    ----------
    cohort : Cohort
    text : str
        A label, as text.

    Returns
    -------
    Cohort
        ``info["words"]`` keeps what 0 and 1 were called.

    Raises
    ------
    ValueError
        The text is not among the labels.
    """
    classes = classes_in_order("The outcome", cohort.y, order=cohort.info.get("classes"))
    found = [
        value
        for value in classes
        if str(value) == text or (isinstance(value, float) and f"{value:.15g}" == text)
    ]
    if not found:
        raise ValueError(f"pos_label={text!r} is not among the labels {classes}")
    y = np.asarray(cohort.y == found[0]).astype(int)
    others = [str(value) for value in classes if value != found[0]]
    # The studies' pipelines and tables speak of 0 and 1, whatever a manifest calls its outcome.
    words = {"0": " or ".join(others), "1": str(found[0])}
    return replace(cohort, y=y, info={**cohort.info, "classes": [0, 1], "words": words})


def with_signals(cohort, options):
    """Cohort whose pages are digitised, where it has pages and no signals.

    Parameters
    ----------
    cohort : Cohort
    options : Namespace
        ``n_jobs``, ``out``: the signals are kept there for the next run.

    Returns
    -------
    Cohort
    """
    if "signal" in cohort.X or "image" not in cohort.X:
        return cohort
    # Not at import: runs of signals never need the digitizer.
    from crtkit.studies.digitised import digitised_cohort

    return digitised_cohort(cohort, n_jobs=options.n_jobs, cache=options.out)


def asks_response(cohort, options):
    """Whether the label is the paper's, so that its figures belong beside ours.

    Data sets say in ``info`` what their label is; of a manifest it is the column's name.
    """
    label = str(cohort.info.get("label") or options.label or "responder").lower()
    return "respon" in label and not label.startswith(("non", "not", "no "))


def leave_out_unusable(cohort):
    """Leave out signals with drift, noise or dead leads, as the study did by eye, and count them.

    Returns
    -------
    cohort : Cohort
    flow : list of (str, int)
        Steps of Figure 1; negative counts are exclusions.
    """
    flow = list((cohort.info.get("flow") or {"records": len(cohort)}).items())
    flow = [(step, n) for step, n in flow if "ID" not in step]  # a count of patients is not a step
    # The last count comes again below, once unusable signals are left out.
    flow = flow[:-1] if len(flow) > 1 and flow[-1][1] == len(cohort) else flow
    if "signal" not in cohort.X:  # pages: their quality is not judged
        return cohort, [*flow, ("analysed", len(cohort))]
    signals = ck.Select("signal").fit_transform(cohort.X)
    quality = signal_quality(signals, cohort.info["sampling_rate"])
    usable = usable_records(quality)
    if not usable.any():
        counts = quality_counts(quality)
        raise ValueError(
            f"None of {len(cohort)} records passes the signal-quality check: {counts.to_dict()}. "
            "Are the signals in millivolt, and is the sampling rate right?"
        )
    if not usable.all():
        flow.append(("drift, noise or dead leads\n(signal-quality check)", -int((~usable).sum())))
        cohort = cohort.take(usable)
    flow.append(("analysed", len(cohort)))
    if len(np.unique(cohort.y)) < 2:
        raise ValueError(f"The {len(cohort)} usable records are of one class, {cohort.y[0]!r}.")
    return cohort, flow


def stated(cohort):
    """One sentence that says what the patients are."""
    counts = f"{len(cohort)} records of {cohort.n_patients} patients"
    name = cohort.info["name"]
    if cohort.info["source"] != "simulated":
        return f"Real data, {name}: {counts}."
    best = "; ".join(
        f"{modality}: {value['auc']:.3f} ± {value['se']:.3f}"
        for modality, value in cohort.info["best_auc"].items()
    )
    read = ""
    if "signal" in cohort.info["best_auc"] and name in (ceilings := signal_ceilings()):
        value = ceilings[name]
        read = f"; what the signal can give, read with its errors: {value['auc']:.3f}"
    return f"SIMULATED patients, {name}: {counts}; best reachable AUC ({best}{read})."
