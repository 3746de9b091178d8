"""Figure 3 and the Grad-CAM table of mori2025: where on the page the network looks."""

import numpy as np
import pandas as pd

from crtkit.explain import grad_cam, lead_share, plot_grad_cam, read_boxes
from crtkit.images import EDAN_SE3, JPEGLoader, load_image
from crtkit.studies import mori2025 as study
from crtkit.studies.run.output import refitted

MODELS = ("SSL + ResNet-18", "ResNet-18", "ResNet-18 from scratch")
SHOWN = 4
# Pages that the digitizer is asked before a run gives up.
TRIED = 10
PUBLISHED = ("published_count", "published_n", "published_proportion")


def page_layout_of(cohort, options, rows=()):
    """Layout of the pages: as asked, as the cohort says, or of the report pages that we know.

    Parameters
    ----------
    cohort : Cohort
    options : Namespace
        ``layout``: "read" has the digitizer find the boxes on the first of `rows` that it can read.
    rows : sequence of int
        Records whose pages may be read.

    Returns
    -------
    layout : str, PageGeometry or PageBoxes
    name : str
    """
    if options.layout == "read":
        return _read_layout(cohort, rows)
    if options.layout:
        return options.layout, options.layout
    if "pages" in cohort.info:
        return cohort.info["pages"]["layout"], cohort.info["pages"]["layout"]
    if "Mendeley" in cohort.info["name"]:
        return EDAN_SE3, "EDAN SE-3, 3x4 and a rhythm strip"
    return "3x4+II", "3x4+II (assumed; --layout sets it)"


def _read_layout(cohort, rows):
    """Boxes of the first page that can be read: pages of one cohort come from one printer."""
    reasons = []
    for row in list(rows)[:TRIED]:
        try:
            boxes = read_boxes(load_image(cohort.X["image"].iloc[row], size=None))
        except ValueError as error:
            reasons.append(str(error))
            continue
        return boxes, f"{boxes.layout}, read from record {cohort.X.index[row]}"
    raise ValueError(
        f"--layout read: none of {len(reasons)} pages could be read. {reasons[:1]} "
        "Name the layout instead: 3x4+II, edan-se3."
    )


def explain_positives(output, cohort, result, options, published):
    """Grad-CAM of the positive test records of the first seed: Figure 3, tables by region and lead.

    An evaluation keeps no networks: that of the first seed is fitted again, and checked against
    the predictions in the table.

    Parameters
    ----------
    output : Output
    cohort : Cohort
    result : Evaluation
    options : Namespace
        ``layout``, ``stage``.
    published : bool
        Whether the paper's counts belong beside ours.

    Returns
    -------
    dict or None
        What results.json keeps; None where no image model was run.
    """
    # The paper explains its pretrained network; the others stand in where it was not run.
    name = next((name for name in MODELS if name in result.models), None)
    if name is None:
        return None
    seed, positive = result.info["seeds"][0], result.classes[1]
    # Keeping a network per seed and fold would take gigabytes; one is fitted again and checked.
    model, again = refitted(result, name, seed, options.device)
    tested = result.predictions.query("model == @name and seed == @seed and set == 'test'")
    test = tested["row"].to_numpy(dtype=int)
    # True positives and misses alike, as the paper judged all 36 responders of its test set.
    rows = test[cohort.y[test] == positive]
    pages = model[:-1].transform(cohort.X.iloc[rows])
    maps = grad_cam(model[-1], pages, stage=options.stage, target=positive)
    layout, layout_name = page_layout_of(cohort, options, rows)
    share = lead_share(maps, layout)
    proba = model[-1].predict_proba(pages)[:, list(model[-1].classes_).index(positive)]
    what = (
        f"{name}, seed {seed}: Grad-CAM of {options.stage} for the {len(rows)} test records of "
        f"the positive class. Layout {layout_name}.{again}"
    )
    outside, leads = tables_of(output, share, what, published)
    chosen = shown_pages(share.region)
    full = [full_page(cohort, model, rows[i], pages[i]) for i in chosen]
    titles = [f"{cohort.X.index[rows[i]]}: {share.region[i]}, p = {proba[i]:.2f}" for i in chosen]
    figure = figure3(full, maps[chosen], titles, layout, positive)
    output.figure("figure3", "Figure 3. Grad-CAM", figure)
    table = share.table.drop(columns=list(PUBLISHED))
    return {
        "model": name,
        "seed": seed,
        "stage": options.stage,
        "layout": layout_name,
        "rule": share.rule,
        "n_records": len(rows),
        "mean_share_on_no_lead": float(outside),
        "regions": table,
        "leads": leads.rename_axis("lead"),
    }


def tables_of(output, share, what, published):
    """Write the tables by region and by lead.

    Returns
    -------
    outside : float
        Mean share of the maps that lies on no lead.
    leads : DataFrame
    """
    none = int((share.region == "none").sum())
    empty = f" {none} maps were 0 on all leads and are left out." if none else ""
    outside = np.nanmean(share.outside) if np.isfinite(share.outside).any() else np.nan
    lost = f" On average {outside:.0%} of a map lies on no lead, and counts for no region."
    note = f"{what} {share.rule}{empty}{lost if np.isfinite(outside) else ''}"
    output.table("gradcam", "Grad-CAM by region", shown_regions(share.table), note)
    if published:
        output.table(
            "gradcam_published",
            "Grad-CAM by region as published",
            published_regions(share.table),
            "36 responders judged by eye, without a rule; the network is another.",
            patients=study.PATIENTS,
        )
    leads = pd.DataFrame(
        {
            "mean share of the map": share.shares.mean(),
            "share of the area": share.area,
            "mean share over area": share.relative.mean(),
            "pages on which it ranks first": share.relative.dropna()
            .idxmax(axis=1)
            .value_counts()
            .reindex(share.area.index, fill_value=0),
        }
    )
    output.table("gradcam_leads", "Grad-CAM by lead", leads.rename_axis("lead"), what)
    return outside, leads


def shown_regions(table):
    """Counts with Wilson intervals in print."""
    rows = {
        region: {
            "count": f"{row['count']:.0f} of {row['n']:.0f}",
            "proportion": f"{row['proportion']:.0%}",
            "95 % interval (Wilson)": f"{row['ci_low']:.0%} to {row['ci_high']:.0%}",
        }
        for region, row in table.iterrows()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("region")


def published_regions(table):
    """The paper's counts in print."""
    rows = {
        region: {
            "count": f"{row['published_count']:.0f} of {row['published_n']:.0f}",
            "proportion": f"{row['published_proportion']:.0%}",
        }
        for region, row in table.iterrows()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("region")


def shown_pages(region):
    """Positions of a few pages, regions in turn."""
    rank = pd.Series(region).groupby(region).cumcount()
    return np.lexsort((region, rank))[:SHOWN]


def full_page(cohort, model, row, page):
    """The page of a record in full resolution, erased as the network saw it.

    A header names its patient: what the loader erases before the network, it erases here.
    """
    loader = next((step for _, step in model.steps if isinstance(step, JPEGLoader)), None)
    cell = cohort.X["image"].iloc[row]
    if loader is None or isinstance(cell, np.ndarray):
        return page
    return load_image(cell, size=None, erase=loader.erase, max_pixels=loader.max_pixels)


def figure3(pages, maps, titles, layout, target):
    """Maps over whole pages with the boxes of the leads, on one scale."""
    import matplotlib.pyplot as plt

    height, width = pages[0].shape[:2]
    n_rows = -(-len(pages) // 2)
    figure, axes = plt.subplots(
        n_rows, 2, figsize=(11, n_rows * (5.2 * height / width + 0.35)), squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for ax in axes.flat[len(pages) :]:
        ax.set_axis_off()
    # One scale for all pages: a weak map must look weak beside a strong one.
    limit = float(maps.max()) or 1.0
    for ax, page, heat, title in zip(axes.flat, pages, maps, titles):
        plot_grad_cam(page, heat, layout=layout, record=title, target=target, limit=limit, ax=ax)
    figure.get_layout_engine().set(rect=(0, 0.03, 1, 0.97))
    return figure
