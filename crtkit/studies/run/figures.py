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


def evaluation_figures(output, result):
    """Forest plot of every model, calibration and net benefit of three, as a report draws them.

    Parameters
    ----------
    output : Output
    result : Evaluation
    """
    import matplotlib.pyplot as plt

    if "roc_auc" in result.scoring:
        height = 0.8 + 0.3 * len(result.models)
        figure, ax = plt.subplots(figsize=(7.5, height), layout="constrained")
        result.plot_forest(ax)
        # Room for whose patients they are.
        figure.get_layout_engine().set(rect=(0, 0.06, 1, 0.94))
        output.figure("forest", "AUC with its interval", figure)
    kinds = result.predictions.drop_duplicates("model").set_index("model")["kind"]
    rules = result.info["reference_rows"]
    new = [name for name in result.models if name not in rules and kinds[name] == "probability"]
    if not new:
        return
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
    result.plot_calibration(left, models=new[:3])
    result.plot_decision(right, models=new[:3])
    figure.get_layout_engine().set(rect=(0, 0.04, 1, 0.96))
    output.figure("calibration", "Calibration and net benefit", figure)
