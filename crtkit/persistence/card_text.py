"""The model card: what a colleague reads before using a bundle."""

from __future__ import annotations

from typing import Any

DISCLAIMER = (
    "Research software, **not a medical device**. It must not decide, alone or in part, whether a "
    "patient gets a device, and must not be used for patients unlike those named below."
)


def write_card(manifest: dict[str, Any]) -> str:
    """Markdown from a manifest.

    Parameters
    ----------
    manifest : dict
        As :func:`crtkit.save` makes it.

    Returns
    -------
    str
    """
    parts = [
        f"# {manifest['name']}",
        f"{DISCLAIMER}",
        _table(_model_rows(manifest)),
        "## Intended use",
        manifest.get("intended_use")
        or "Not stated by who saved it: take it as for reproducing a study, and for nothing else.",
        "## Input",
        _input(manifest),
        # Every heading stands in every card: what was not said is shown as not said.
        "## Training cohort",
        _training(manifest.get("training")),
        "## Evaluation",
        _evaluation(manifest.get("evaluation")),
        "## Licence",
        manifest.get("licence") or "Not stated.",
    ]
    if manifest.get("notes"):
        parts += ["## Notes", manifest["notes"]]
    return "\n\n".join(parts) + "\n"


def _model_rows(manifest: dict[str, Any]) -> list[tuple[str, Any]]:
    label = manifest["label"]
    versions = ", ".join(f"{name} {text}" for name, text in manifest["versions"].items())
    threshold = label["threshold"]
    words = (manifest.get("training") or {}).get("words") or {}

    def word(value: Any) -> str:
        return f"{value} ({words[str(value)]})" if str(value) in words else str(value)

    return [
        ("model", " > ".join(manifest["steps"])),
        ("classes", ", ".join(map(word, label["classes"])) if label["classes"] else "–"),
        ("positive class", "–" if label["positive"] is None else word(label["positive"])),
        ("threshold", "–" if threshold is None else f"{threshold:.4g}"),
        ("conformal sets", _sets(manifest.get("conformal"))),
        ("saved", manifest["created"]),
        ("with", versions),
    ]


def _sets(conformal: dict[str, Any] | None) -> str:
    if conformal is None:
        return "–"
    return (
        f"{1 - conformal['alpha']:.0%} of each class, from {conformal['patients']} patients apart "
        "from those of the fit"
    )


def _input(manifest: dict[str, Any]) -> str:
    contract, training = manifest["contract"], manifest.get("training") or {}
    rows: list[tuple[str, Any]] = [("columns", ", ".join(contract["columns"]) or "an array")]
    rates = contract["fs"] or ([training["fs"]] if training.get("fs") else [])
    if rates:
        rows.append(("sampling rate", ", ".join(f"{rate:g} Hz" for rate in rates)))
    if training.get("lead_names"):
        rows.append(("leads", ", ".join(training["lead_names"])))
    if contract["unit"]:
        rows.append(("unit", contract["unit"]))
    if contract["shape"]:
        rows.append(("shape of a record", " x ".join(map(str, contract["shape"]))))
    return _table(rows)


def _training(training: dict[str, Any] | None) -> str:
    if not training:
        return "Not stated: the cohort was not passed to `save`."
    source = {"simulated": "SIMULATED patients", "real": "real patients"}
    rows = [
        ("cohort", f"{training['name']} ({source.get(training['source'], 'source not stated')})"),
        ("records, patients", f"{training['n_records']}, {training['n_patients']}"),
        ("classes", ", ".join(f"{key}: {n}" for key, n in training["classes"].items())),
    ]
    text = _table(rows)
    return "\n\n".join(filter(None, [text, _table_one(training)]))


def _table_one(training: dict[str, Any]) -> str:
    """Who the patients were: all, each class where it may be told, and the range."""
    by_class, words = training.get("by_class") or {}, training.get("words") or {}
    classes = sorted(training["classes"])
    rows = []
    for name, column in training["columns"].items():
        # What only a simulation knows of its patients is in the manifest alone.
        if column["kind"] not in ("number", "flag", "levels") or name.startswith("true_"):
            continue
        own = by_class.get(name) or {}
        cells = [_cell(column), *(_cell(own[key]) if key in own else "–" for key in classes)]
        number = column["kind"] == "number"
        cells.append(f"{column['low']:g} to {column['high']:g}" if number else "–")
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    if not rows:
        return ""
    head = ["variable", "all", *(words.get(key, key) for key in classes)]
    head.append("lowest to highest hundredth")
    rule = "| " + " | ".join(["---"] * len(head)) + " |"
    return "\n".join(["| " + " | ".join(head) + " |", rule, *rows])


def _cell(column: dict[str, Any]) -> str:
    """Mean ± SD, or shares."""
    if column["kind"] == "number":
        return f"{column['mean']:g} ± {column['sd']:g}"
    if column["kind"] == "flag":
        share = column["share_of_larger"]
        return "fewer than may be told" if share is None else f"{share:.0%}"
    return ", ".join(f"{level}: {count}" for level, count in column["levels"].items()) or "–"


def _evaluation(evaluation: dict[str, Any] | None) -> str:
    if not evaluation:
        return "Not stated: without an evaluation by patient, nothing is known of its errors."
    lines = []
    for model, figures in evaluation["figures"].items():
        lines.append(f"**{model}**, scored by {evaluation['by']}:")
        rows = [(key, "–" if value is None else _number(value)) for key, value in figures.items()]
        lines.append(_table(rows))
    return "\n\n".join(lines)


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _table(rows: list[tuple[str, Any]]) -> str:
    return "| | |\n| --- | --- |\n" + "\n".join(f"| {key} | {value} |" for key, value in rows)
