"""Figures of a report at the width of a column or of a page, each with words for the blind."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from crtkit._io import write_bytes
from crtkit._plots import COLUMN_WIDTH, PAGE_WIDTH, STYLE, mark_simulated, pyplot
from crtkit.evaluation.plots.common import new_models
from crtkit.evaluation.plots.curves import (
    CLINICAL_THRESHOLDS,
    draw_calibration,
    draw_decision,
    draw_roc,
)
from crtkit.evaluation.plots.flow import draw_flow, flow_steps
from crtkit.evaluation.plots.forest import draw_rows, metric_title
from crtkit.evaluation.report.content import shown_models

#: Suffixes that save_figures writes.
FORMATS = ("svg", "pdf", "png", "eps", "tif")
_CM = 2.54


class Picture(NamedTuple):
    """One figure: its name, what it shows in a line and in words, and how to draw it."""

    name: str
    section: str
    title: str
    alt: str
    draw: Callable[[float], Any]

    @property
    def wide(self) -> bool:
        """Whether it has panels beside each other on a page."""
        return self.name in ("roc", "calibration")


def pictures(
    result: Any,
    content: dict[str, Any],
    *,
    thresholds: tuple[float, float] = CLINICAL_THRESHOLDS,
    n_bootstrap: int = 200,
) -> list[Picture]:
    """Every figure that a result has data for, in the order of the report.

    Parameters
    ----------
    content : dict
        Of :func:`report_dict`: forests draw its figures, so that picture and table agree.
    """
    tables = {table["title"]: table for table in content["tables"]}
    models = shown_models(result)
    steps = "; ".join(f"{s.replace(chr(10), ' ')}: {abs(n)}" for s, n in flow_steps(result))
    drawn = [
        Picture("flow", "patients", "Flow of records and patients", f"Flow diagram. {steps}.",
                lambda width: _one(
                    lambda ax: draw_flow(result, ax), width, 0.7 * (len(flow_steps(result)) + 2))),
    ]  # fmt: skip
    if "roc_auc" in result.scoring:
        drawn.append(_model_forest(result, tables))
        drawn.append(
            Picture(
                "roc", "performance", "ROC curves, each beside the best clinical rule (dotted)",
                f"ROC curves of {', '.join(models)}, mean over splits, with pointwise 95 % bands. "
                + _areas(tables["Models"]),
                _panels(models, lambda ax, m: draw_roc(
                    result, ax, models=m, rule=True, n_bootstrap=n_bootstrap)),
            )
        )  # fmt: skip
    risky = [m for m in models if _has_risks(result, m)]
    if risky:
        drawn.append(
            Picture(
                "calibration", "calibration", "Calibration, with histograms of the risks",
                f"Smooth calibration curves of {', '.join(risky)}; figures are in the table.",
                _panels(risky, lambda ax, m: draw_calibration(result, ax, models=m)),
            )
        )  # fmt: skip
    low, high = thresholds
    drawn.append(
        Picture(
            "decision", "use", f"Net benefit at thresholds from {low:.0%} to {high:.0%}",
            f"Decision curves of {', '.join(models)}, of treating all and of treating none.",
            lambda width: _one(
                lambda ax: draw_decision(result, ax, models=models, thresholds=thresholds), width,
                0.85 * min(width, 4.2)),
        )
    )  # fmt: skip
    drawn += _other_forests(result, tables)
    drawn += [_robustness(result, t) for t in content["tables"] if t["section"] == "robustness"]
    return drawn


def _has_risks(result: Any, model: str) -> bool:
    return any(p.kind == "probability" for p in result.parts() if p.model == model)


def _one(draw: Callable[[Any], Any], width: float, height: float) -> Any:
    """A figure of one axes; a wide page leaves it at the width that it needs."""
    figure = pyplot("A report").figure(figsize=(min(width, 4.8), height), layout="constrained")
    draw(figure.subplots())
    return figure


def _panels(models: list[str], draw: Callable[[Any, str], Any]) -> Callable[[float], Any]:
    """Small multiples: beside each other on a page, below each other in a column."""

    def drawn(width: float) -> Any:
        beside = len(models) if width > COLUMN_WIDTH + 0.1 else 1
        below = -(-len(models) // beside)
        side = width / max(beside, 1)
        size = (width, below * min(side + 0.35, COLUMN_WIDTH + 0.2))
        if beside == 1:
            size = (min(width, COLUMN_WIDTH), below * (COLUMN_WIDTH + 0.1))
        figure = pyplot("A report").figure(figsize=size, layout="constrained")
        for ax, model in zip(figure.subplots(below, beside, squeeze=False).flat, models):
            draw(ax, model)
            # A legend of names would hide so small a panel; what is dotted, the caption says.
            label = next(
                (t for t in ax.get_legend_handles_labels()[1] if t.startswith(model)), model
            )
            ax.set_title(label.replace(f"{model}: ", f"{model}\nAUC "))
            if ax.get_legend():
                ax.get_legend().remove()
            ax.set_xlabel(ax.get_xlabel().partition("\n")[0])  # the note is in the caption
        return figure

    return drawn


def _rows_of(table: dict[str, Any], metric: str = "roc_auc") -> pd.DataFrame:
    """Mean and limits of a metric of a headline table."""
    at = [table["columns"].index(f"{metric} {key}") for key in ("mean", "low", "high")]
    rows = {row[0]: [row[k] for k in at] for row in table["rows"]}
    return pd.DataFrame.from_dict(rows, "index", columns=["mean", "low", "high"]).astype(float)


def _areas(table: dict[str, Any]) -> str:
    rows = _rows_of(table)
    return " ".join(
        f"{name}: AUC {row['mean']:.2f} ({row['low']:.2f} to {row['high']:.2f})."
        for name, row in rows.iterrows()
    )


def _model_forest(result: Any, tables: dict[str, Any]) -> Picture:
    table, against = tables["Models"], tables.get("Against what is known")
    rows = _rows_of(table)
    rules = [k == "rule" for k in table["kinds"]]
    best = against["rows"][0][against["columns"].index("reference")] if against else None

    def draw(width: float) -> Any:
        def on(ax: Any) -> None:
            draw_rows(
                ax, rows, hollow=rules, reference=rows["mean"].get(best) if best else None,
                reference_name=f"best rule, {best}",
            )  # fmt: skip
            ax.axvline(0.5, color="0.6", linestyle=":", linewidth=0.8, zorder=0)
            ax.set_xlabel(f"{metric_title('roc_auc')} (95 % interval)")
            _mark(result, ax)

        return _one(on, width, 0.19 * len(rows) + 0.75)

    title = "AUC with its interval; hollow: clinical rules"
    return Picture("forest", "performance", title, f"Forest plot. {_areas(table)}", draw)


def _other_forests(result: Any, tables: dict[str, Any]) -> list[Picture]:
    """Forests over subgroups and over centres, of the first new model."""
    if "roc_auc" not in result.scoring:
        return []
    model = shown_models(result)[0] if shown_models(result) else new_models(result)[0]
    found = []
    for name, section, title, wanted in (
        ("subgroups", "subgroups", f"AUC of {model} in subgroups",
         {"all": "Models",
          **{s: f"Subgroup {s}, test" for s in result.subgroups.get("test", {})}}),
        ("centres", "external", f"AUC of {model} over centres",
         {"development (test)": "Models",
          **{s: f"Models, external cohort {s}" for s in result.sets if s != "test"}}),
    ):  # fmt: skip
        present = {label: tables[t] for label, t in wanted.items() if t in tables}
        if len(present) < 2:
            continue
        rows = pd.DataFrame({k: _rows_of(t).loc[model] for k, t in present.items()}).T
        words = " ".join(
            f"{k}: {r['mean']:.2f} ({r['low']:.2f} to {r['high']:.2f})." for k, r in rows.iterrows()
        )
        found.append(
            Picture(name, section, title, f"Forest plot. {words}", _forest_of(result, rows, model))
        )
    return found


def _robustness(result: Any, table: dict[str, Any]) -> Picture:
    """Change of AUC with each change of the input, of one robustness card."""
    at = [table["columns"].index(name) for name in ("auc_change", "auc_change_low",
                                                    "auc_change_high")]  # fmt: skip
    # The first row is the input as it is; a row without figures was refused by the model.
    values = {row[0]: [row[k] for k in at] for row in table["rows"][1:] if row[at[0]] is not None}
    rows = pd.DataFrame.from_dict(values, "index", columns=["mean", "low", "high"]).astype(float)
    words = " ".join(f"{name}: {row['mean']:+.2f}." for name, row in rows.iterrows())

    def draw(width: float) -> Any:
        def on(ax: Any) -> None:
            draw_rows(ax, rows, reference=0.0, reference_name="input as it is")
            ax.set_xlabel("Change of AUC (95 % interval by patient)")
            _mark(result, ax)

        return _one(on, width, 0.19 * len(rows) + 0.75)

    model = table["title"].removeprefix("Robustness of ")
    name = "robustness_" + "".join(c if c.isalnum() else "_" for c in model)
    return Picture(name, "robustness", f"Change of AUC of {model} with its input",
                   f"Forest plot of changes of AUC. {words}", draw)  # fmt: skip


def _forest_of(result: Any, rows: pd.DataFrame, model: str) -> Callable[[float], Any]:
    def draw(width: float) -> Any:
        def on(ax: Any) -> None:
            draw_rows(ax, rows, reference=float(rows["mean"].iloc[0]), reference_name=rows.index[0])
            ax.set_xlabel(f"AUC of {model} (95 % interval)")
            _mark(result, ax)

        return _one(on, width, 0.19 * len(rows) + 0.75)

    return draw


def _mark(result: Any, ax: Any) -> None:
    if result.info.get("source") == "simulated":
        mark_simulated(ax)


def rendered(
    picture: Picture, form: str = "svg", width: float = PAGE_WIDTH, dpi: int = 300
) -> bytes:
    """A figure as bytes, the same for the same result."""
    plt = pyplot("A report")
    with plt.rc_context(STYLE):
        figure = picture.draw(width)
        try:
            buffer = io.BytesIO()
            # No date in the file: the same figure has the same bytes.
            stamp: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(
                form, {}
            )
            figure.savefig(buffer, format=form, dpi=dpi, metadata=stamp or None)
        finally:
            plt.close(figure)
    return buffer.getvalue()


def save_figures(
    result: Any,
    folder: Any,
    *,
    formats: Iterable[str] = ("svg", "pdf"),
    width: float = COLUMN_WIDTH * _CM,
    thresholds: tuple[float, float] = CLINICAL_THRESHOLDS,
    n_bootstrap: int = 1000,
    robustness: dict[str, Any] | None = None,
) -> list[Path]:
    """Write every figure of a report; see ``Evaluation.save_figures``."""
    formats = [formats] if isinstance(formats, str) else list(formats)
    wrong = [f for f in formats if f not in FORMATS]
    if wrong:
        raise ValueError(f"save_figures writes {', '.join(FORMATS)}, not {wrong}.")
    if not 4 <= width <= 30:
        raise ValueError(f"width is in centimetres, from 4 to 30; got {width!r}.")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    content = result.to_dict(n_bootstrap=n_bootstrap, robustness=robustness)
    written = []
    for number, picture in enumerate(pictures(result, content, thresholds=thresholds), start=1):
        for form in formats:
            path = folder / f"figure{number}_{picture.name}.{form}"
            write_bytes(path, rendered(picture, form, width / _CM))
            written.append(path)
    return written
