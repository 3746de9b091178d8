"""Tables of a report: figures as JSON values, and beside them the cells that are printed."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crtkit._io import as_json
from crtkit.evaluation.plots.forest import metric_title

#: The paper's order: what is read first. Everything else is folded away.
MAIN = ("accuracy", "ppv", "npv", "roc_auc")
ALSO = ("sensitivity", "specificity", "balanced_accuracy", "f1", "average_precision", "brier")
_PERCENT = ("accuracy", "balanced_accuracy", "sensitivity", "specificity", "ppv", "npv")

Table = dict[str, Any]
#: A printed cell: the figure, and below it in small type its interval.
Cell = tuple[str, str]


def plain_table(
    title: str, text: str, table: pd.DataFrame, *, section: str, folded: bool = True, index=True
) -> Table:
    """A table whose printed cells are its values."""
    if index:
        table = table.reset_index()
    rows = [[as_json(value) for value in row] for row in table.itertuples(index=False)]
    columns = [str(c) for c in table.columns]
    return {
        "title": title,
        "text": text,
        "section": section,
        "folded": folded,
        "columns": columns,
        "rows": rows,
        "head": columns,
        "shown": [[(printed(value), "") for value in row] for row in rows],
    }


def headline_table(
    title: str, text: str, summary: pd.DataFrame, names: Any, *, section: str, references: Any,
    folded: bool = False,
) -> Table:  # fmt: skip
    """Mean ± SD, the interval in small type below; reference rows come last, under their name."""
    names = [name for name in names if name in summary.columns.get_level_values(0)]
    keys = ("mean", "sd", "low", "high")
    columns = ["model", *(f"{name} {key}" for name in names for key in keys)]
    head = ["Model", *(metric_title(n) + (", %" if n in _PERCENT else "") for n in names)]
    rows, shown, kinds = [], [], []
    order = [m for m in summary.index if m not in references]
    for model in [*order, *(m for m in summary.index if m in references)]:
        figures = [[as_json(summary.loc[model, (name, key)]) for key in keys] for name in names]
        rows.append([model, *(value for four in figures for value in four)])
        shown.append([(str(model), ""), *(_cell(n, *four) for n, four in zip(names, figures))])
        kinds.append("rule" if model in references and order else "model")
    return {
        "title": title, "text": text, "section": section, "folded": folded, "columns": columns,
        "rows": rows, "head": head, "shown": shown, "kinds": kinds,
    }  # fmt: skip


def _cell(name: str, mean: Any, sd: Any, low: Any, high: Any) -> Cell:
    factor, digits = (100, 1) if name in _PERCENT else (1, 3)

    def text(value: Any) -> str:
        return "–" if value is None else f"{value * factor:.{digits}f}"

    if mean is None:
        return "–", "undefined"
    interval = "no interval" if low is None or high is None else f"{text(low)} to {text(high)}"
    return f"{text(mean)} ± {text(sd)}", interval


def interval_table(
    title: str, text: str, table: pd.DataFrame, figures: dict[str, str], *, section: str,
    folded: bool = False, words: dict[str, str] | None = None, heading: str = "Model",
) -> Table:  # fmt: skip
    """A table of figures with limits ``_low, _high`` (or ``low, high``), one printed cell each.

    Parameters
    ----------
    figures : dict of str to str
        Column -> heading, in the order printed.
    words : dict of str to str, optional
        Columns without limits and their headings, printed as they are, before the figures.
    """
    flat = table.reset_index()
    first = flat.columns[0]
    words = words or {}
    head = [heading, *words.values(), *figures.values()]
    shown = []
    for _, row in flat.iterrows():
        cells = [(str(row[first]), "")]
        cells += [(printed(as_json(row[w])), "") for w in words]
        for name in figures:
            low, high = _limits(row, name)
            interval = "" if low is None or high is None else f"{printed(low)} to {printed(high)}"
            cells.append((printed(as_json(row[name])), interval))
        shown.append(cells)
    rows = [[as_json(value) for value in row] for row in flat.itertuples(index=False)]
    return {
        "title": title, "text": text, "section": section, "folded": folded,
        "columns": [str(c) for c in flat.columns], "rows": rows, "head": head, "shown": shown,
    }  # fmt: skip


def _limits(row: pd.Series, name: str) -> tuple[Any, Any]:
    for ends in ((f"{name}_low", f"{name}_high"), ("low", "high")):
        if all(end in row for end in ends) and (ends[0] != "low" or name == "difference"):
            return as_json(row[ends[0]]), as_json(row[ends[1]])
    return None, None


def baseline(title: str, table: pd.DataFrame, *, section: str, text: str = "") -> Table:
    """Table 1 as :func:`crtkit.statistics.write_table` prints it, its numbers in the JSON."""
    from crtkit.statistics.table_files import printed as printed_form, table_note

    head, shown = printed_form(table)
    out = plain_table(title, text or table_note(table), table, section=section, folded=False)
    out["head"] = head
    out["shown"] = [[(cell, "") for cell in row] for row in shown]
    return out


def printed(value: Any) -> str:
    """A value as it is printed."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer() and abs(value) >= 10:
        return f"{value:.0f}"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
