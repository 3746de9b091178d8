"""Flow of patients or records, as boxes from the top; exclusions to the right."""

from __future__ import annotations

from textwrap import fill
from typing import Any

from crtkit._plots import axes, styled
from crtkit.evaluation.plots.common import finish

Step = tuple[str, int]


def flow_steps(result: Any) -> list[Step]:
    """Steps of an evaluation: those of the cohort, then what was analysed and how it was split.

    A negative count is an exclusion.
    """
    info = result.info
    n_records = int(info["n_records"])
    steps = [(str(step), int(n)) for step, n in (info.get("flow") or {}).items()]
    # A count below what was analysed is one of patients or classes, no step of records.
    steps = [(step, n) for step, n in steps if n < 0 or n >= n_records]
    last = max((i for i, (_, n) in enumerate(steps) if n >= 0), default=None)
    if last is not None:
        # Records may have been left out since the cohort was read: `take` keeps no account of it.
        lost = steps[last][1] + sum(n for _, n in steps[last + 1 :]) - n_records
        if lost > 0:
            steps.append(("left out before this analysis", -lost))
        elif last == len(steps) - 1:
            steps = steps[:-1]  # the same count comes again below, with its patients
    return [*steps, (f"analysed: records of {info['n_patients']} patients", n_records)]


@styled
def draw_flow(result: Any, ax: Any = None) -> Any:
    """Draw the flow of an evaluation; see ``Evaluation.plot_flow``."""
    steps = flow_steps(result)
    ax = axes(ax, "plot_flow", (4.2, 0.62 * (len(steps) + 2) + 0.2))
    splits = result.splits
    train, test = splits["n_train_patients"], splits["n_test_patients"]
    draw_steps(
        ax,
        steps,
        last=(
            f"development\n{_range(train)} patients",
            f"test, never fitted on\n{_range(test)} patients",
        ),
        note=f"{len(splits)} splits by patient",
        beside=[f"external: {on}\n{_patients(result, on)}" for on in result.sets if on != "test"],
    )
    return finish(result, ax)


def _patients(result: Any, on: str) -> str:
    groups = result.predictions.loc[result.predictions["set"] == on, "group"]
    return f"{groups.nunique()} patients"


def _range(counts: Any) -> str:
    low, high = int(counts.min()), int(counts.max())
    return str(low) if low == high else f"{low} to {high}"


def draw_steps(
    ax: Any,
    steps: list[Step],
    *,
    last: tuple[str, str] | None = None,
    note: str = "",
    beside: list[str] | None = None,
    fontsize: float = 7,
) -> None:
    """Boxes of one column, arrows between them, and the split below the last.

    Parameters
    ----------
    ax : matplotlib Axes
    steps : list of (str, int)
        From the top; a negative count is an exclusion, drawn to the right.
    last : tuple of str, optional
        Two boxes below the last step: development and test.
    note : str
        Beside the arrow to them.
    beside : list of str, optional
        Boxes right of those two: external cohorts.
    fontsize : float, default=7
    """
    ax.set_axis_off()
    bottom = len(steps) + (1.3 if last else 0)
    ax.set(xlim=(0, 10), ylim=(-bottom + 0.45, 0.55))
    left, right = 3.2, 7.6
    kept = [i for i, (_, n) in enumerate(steps) if n >= 0]
    boxes = [
        _box(ax, left if n >= 0 else right, -i, f"{fill(step, 34)}\nn = {abs(n):,}", fontsize)
        for i, (step, n) in enumerate(steps)
    ]
    for a, b in zip(kept, [*kept[1:], len(steps)]):
        if b < len(steps):
            _arrow(ax, (left, -a), (left, -b), boxes[a], boxes[b])
        for i in range(a + 1, b):
            _arrow(ax, (left, -i), (right, -i), None, boxes[i])
    if not last or not kept:
        return
    y = -(len(steps) + 0.25)
    for text, x in zip(last, (1.2, 4.6)):
        box = _box(ax, x, y, text, fontsize)
        _arrow(ax, (left, -kept[-1]), (x, y), boxes[kept[-1]], box)
    if note:
        ax.text(left, y + 0.52, note, ha="center", fontsize=fontsize - 1, color="0.35", zorder=5,
                bbox={"fc": "white", "ec": "none", "pad": 1})  # fmt: skip
    for number, text in enumerate(beside or []):
        _box(ax, 8.4, y + 0.75 * number, text, fontsize)


def _box(ax: Any, x: float, y: float, text: str, fontsize: float) -> Any:
    style = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": "0.3", "lw": 0.7}
    drawn = ax.text(x, y, text, ha="center", va="center", fontsize=fontsize, bbox=style)
    return drawn.get_bbox_patch()


def _arrow(ax: Any, start: Any, end: Any, start_box: Any, end_box: Any) -> None:
    style = {"arrowstyle": "-|>", "color": "0.3", "patchA": start_box, "patchB": end_box, "lw": 0.7}
    # Drawn after its boxes: only then is it known where they end, and where the head belongs.
    ax.annotate("", end, start, arrowprops={**style, "shrinkA": 0, "shrinkB": 0})
