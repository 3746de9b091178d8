"""An evaluation as plain values, and those values as one HTML file."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from textwrap import fill
from typing import Any

import pandas as pd

from crtkit._io import as_json, import_optional, write_text

__all__ = ["report_dict", "write_html"]

_SENSITIVITIES = (0.8, 0.9)

_TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{{ title }}</title>
<style>
body { font: 15px/1.5 sans-serif; color: #222; max-width: 70em; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; margin: 0.5em 0 1.5em; font-size: 0.85em; }
th, td { padding: 0.2em 0.7em; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child { text-align: left; }
.note { color: #666; font-size: 0.85em; }
.simulated { background: #fff3cd; border: 1px solid #e0c060; padding: 0.5em 1em; }
.wide { overflow-x: auto; }
img { max-width: 100%; }
</style>
</head>
<body>
<h1>{{ title }}</h1>
<p class="{{ 'simulated' if simulated else 'note' }}">{{ note }}</p>
{% for picture in pictures %}
<figure><img src="data:image/png;base64,{{ picture.data }}" alt="{{ picture.title }}">
<figcaption class="note">{{ picture.title }}. {{ note }}</figcaption></figure>
{% endfor %}
{% for table in tables %}
<h2>{{ table.title }}</h2>
<p class="note">{{ table.text }} {{ note }}</p>
<div class="wide"><table>
<thead><tr>{% for name in table.columns %}<th>{{ name }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in table.rows %}
<tr>{% for value in row %}<td>{{ shown(value) }}</td>{% endfor %}</tr>
{% endfor %}
</tbody></table></div>
{% endfor %}
<h2>How it was made</h2>
<div class="wide"><table><tbody>
{% for name, value in facts %}<tr><td>{{ name }}</td><td>{{ value }}</td></tr>{% endfor %}
</tbody></table></div>
<p class="note">Made with crtkit: research software, no medical device.</p>
</body>
</html>
"""


def report_dict(result: Any, *, n_bootstrap: int = 1000) -> dict[str, Any]:
    """Notes, settings and tables of an evaluation as JSON values.

    Parameters
    ----------
    result : Evaluation
    n_bootstrap : int, default=1000

    Returns
    -------
    dict
        ``title, note, simulated, info, tables``.
    """
    tables = []
    for on in result.sets:
        where = "" if on == "test" else f", external cohort {on}"
        tables += _tables_of(result, on, where, n_bootstrap)
    for on, masks in result.subgroups.items():
        for subgroup in masks:
            tested = result.predictions.loc[result.predictions["set"] == on, "row"]
            if not masks[subgroup][tested.to_numpy()].any():
                continue
            counts = [len(part.y_true) for part in result.parts(on, subgroup)]
            summary = result.summary(on, subgroup, n_bootstrap=n_bootstrap)
            table = _headline(summary, result.scoring)
            text = f"{sum(counts) / max(len(counts), 1):.0f} {result.by}s per split on average."
            tables.append(_table(f"Subgroup {subgroup}, {on}", text, table))
    return {
        "title": f"Evaluation of {result.info.get('cohort', 'a cohort')}",
        "note": result.note,
        "simulated": result.info.get("source") == "simulated",
        "info": as_json(result.info),
        "tables": tables,
    }


def _tables_of(result: Any, on: str, where: str, n_bootstrap: int) -> list[dict[str, Any]]:
    """Tables of one set of patients."""
    summary = result.summary(on, n_bootstrap=n_bootstrap)
    text = "Mean ± SD over seeds (95 % interval that counts patients and fits)."
    tables = [_table(f"Models{where}", text, _headline(summary, result.scoring))]
    if result.info.get("reference_rows") and "roc_auc" in result.scoring:
        text = (
            "AUC against the best clinical rule, paired; intervals count patients and fits."
            + _measured(result)
        )
        table = result.against_references(on=on, n_bootstrap=n_bootstrap)
        tables.append(_table(f"Against what is known{where}", text, table))
    for sensitivity in _SENSITIVITIES:
        text = "PPV and NPV of different models compare only at one sensitivity."
        title = f"At sensitivity {sensitivity:.0%}{where}"
        tables.append(_table(title, text, result.at_sensitivity(sensitivity, on)))
    text = "Risks of all splits pooled; intervals by patient. Models without risks have none."
    calibration = result.calibration(on, n_bootstrap=min(n_bootstrap, 200))
    tables.append(_table(f"Calibration{where}", text, calibration))
    text = "nb: Nadeau-Bengio, over splits; n_valid: splits where the metric is defined."
    figures = _all_figures(summary, result.scoring)
    tables.append(_table(f"Every figure{where}", text, figures, index=False))
    per_seed = result.per_seed(on).reset_index()
    tables.append(_table(f"Every seed{where}", "No seed is the result.", per_seed, index=False))
    return tables


def _measured(result: Any) -> str:
    """Which reference rows read the ECG itself, for want of a column in the table."""
    rows = result.info.get("measured") or {}
    parts = [f"{name} ({', '.join(columns)})" for name, columns in rows.items()]
    return f" Measured from the ECG: {'; '.join(parts)}." if parts else ""


def _headline(summary: pd.DataFrame, scoring: Any) -> pd.DataFrame:
    """Mean ± SD with the interval of patients and fits, one cell per model and metric."""
    cells = {}
    for name in scoring:
        figures = zip(*(summary[name, key] for key in ("mean", "sd", "low", "high")))
        cells[name] = [
            f"{_shown(mean)} ± {_shown(sd)} ({_shown(low)} to {_shown(high)})"
            for mean, sd, low, high in (map(as_json, row) for row in figures)
        ]
    return pd.DataFrame(cells, index=summary.index)


def _all_figures(summary: pd.DataFrame, scoring: Any) -> pd.DataFrame:
    """One row per model and metric, with every figure."""
    frames = [summary[name].assign(metric=name) for name in scoring]
    table = pd.concat(frames).reset_index()
    order = {model: number for number, model in enumerate(summary.index)}
    table = table.sort_values("model", key=lambda names: names.map(order), kind="stable")
    return table[["model", "metric", *[c for c in table.columns if c not in ("model", "metric")]]]


def _table(title: str, text: str, table: pd.DataFrame, index: bool = True) -> dict[str, Any]:
    if index:
        table = table.reset_index()
    rows = [[as_json(value) for value in row] for row in table.itertuples(index=False)]
    return {"title": title, "text": text, "columns": [str(c) for c in table.columns], "rows": rows}


def write_html(result: Any, path: Any, *, n_bootstrap: int = 1000) -> None:
    """Write the report of an evaluation; nothing half-written is left.

    Parameters
    ----------
    result : Evaluation
    path : path-like
    n_bootstrap : int, default=1000
    """
    jinja2 = import_optional("jinja2", extra="report", purpose="to_html")
    content = report_dict(result, n_bootstrap=n_bootstrap)
    template = jinja2.Environment(autoescape=True).from_string(_TEMPLATE)
    page = template.render(
        **content,
        facts=_facts(content["info"]),
        pictures=_pictures(result),
        shown=_shown,
    )
    write_text(path, page)


def _shown(value: Any) -> str:
    """A value as it is printed."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _facts(info: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Settings as rows, nested ones with dotted names."""
    rows = []
    for name, value in info.items():
        if isinstance(value, dict):
            rows += _facts(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            rows.append((f"{prefix}{name}", ", ".join(map(str, value))))
        else:
            rows.append((f"{prefix}{name}", str(value)))
    return rows


def _pictures(result: Any) -> list[dict[str, str]]:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return []
    drawn: list[tuple[str, Callable[[Any], Any]]] = [
        ("ROC, mean over seeds", lambda ax: result.plot_roc(ax, band=False)),
        ("Calibration, risks of all splits", lambda ax: _draw_calibration(result, ax)),
        ("Net benefit, risks of all splits", lambda ax: _draw_decision(result, ax)),
    ]
    pictures = []
    for title, draw in drawn:
        figure = Figure(figsize=(6, 5.5), layout="constrained")
        draw(figure.subplots())
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110)
        data = base64.b64encode(buffer.getvalue()).decode()
        pictures.append({"title": title, "data": data})
    return pictures


def _draw_calibration(result: Any, ax: Any) -> None:
    for model, curve in result.calibration_curve().groupby("model", sort=False):
        ax.plot(curve["predicted"], curve["observed"], label=model)
    ax.plot([0, 1], [0, 1], color="0.6", linestyle=":", linewidth=1)
    ax.set(
        xlabel=f"predicted risk\n{fill(result.note, 70)}",
        ylabel="observed share",
        ylim=(-0.05, 1.05),
    )
    ax.xaxis.label.set_size("small")
    ax.legend(fontsize="small")


def _draw_decision(result: Any, ax: Any) -> None:
    table = result.decision_curve(n_bootstrap=1)
    for model, curve in table.groupby("model", sort=False):
        dashed = str(model).startswith("treat ")
        ax.plot(curve["threshold"], curve["net_benefit"], "k:" if dashed else "-", label=model)
    top = table["net_benefit"].max()
    ax.set(
        xlabel=f"threshold of risk\n{fill(result.note, 70)}",
        ylabel="net benefit",
        ylim=(-0.25 * top - 0.01, 1.1 * top + 0.01),
    )
    ax.xaxis.label.set_size("small")
    ax.legend(fontsize="small")
