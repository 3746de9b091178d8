"""Figures that several studies share."""


def flow_diagram(columns):
    """Flow of patients as boxes, one column per source (the paper, this cohort).

    Parameters
    ----------
    columns : dict of str to list of (str, int)
        Steps from the top; a negative count is an exclusion, drawn to the right.

    Returns
    -------
    Figure
    """
    import matplotlib.pyplot as plt

    height = max(len(steps) for steps in columns.values())
    figure, axes = plt.subplots(
        1, len(columns), figsize=(5.2 * len(columns), 1.0 + 0.95 * height), squeeze=False
    )
    for ax, (title, steps) in zip(axes[0], columns.items()):
        ax.set_axis_off()
        ax.set_xlim(0, 10)
        ax.set_ylim(-height + 0.4, 0.6)
        ax.set_title(title, fontsize=11)
        boxes = [_box(ax, 3.0 if n >= 0 else 7.3, -i, step, n) for i, (step, n) in enumerate(steps)]
        kept = [i for i, (_, n) in enumerate(steps) if n >= 0]
        for a, b in zip(kept, kept[1:]):
            _arrow(ax, (3.0, -a), (3.0, -b), boxes[a], boxes[b])
            for i in range(a + 1, b):
                _arrow(ax, (3.0, -i), (7.3, -i), None, boxes[i])
    figure.tight_layout(rect=(0, 0.04, 1, 1))
    return figure


def _box(ax, x, y, step, n):
    style = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": "0.3"}
    text = ax.text(x, y, f"{step}\nn = {abs(n)}", ha="center", va="center", fontsize=9, bbox=style)
    return text.get_bbox_patch()


def _arrow(ax, start, end, start_box, end_box):
    style = {"arrowstyle": "-|>", "color": "0.3", "patchA": start_box, "patchB": end_box}
    ax.annotate("", end, start, arrowprops={**style, "shrinkA": 0, "shrinkB": 0})
