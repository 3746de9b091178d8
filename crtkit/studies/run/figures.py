"""Figures that several studies share."""

from crtkit.evaluation.plots.flow import draw_steps


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
        draw_steps(ax, steps, fontsize=9)
        ax.set_title(title, fontsize=11)
    figure.tight_layout(rect=(0, 0.04, 1, 1))
    return figure
