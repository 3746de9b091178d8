"""Figure 3 and the Grad-CAM table of mori2025: where on the page the network looks."""

import numpy as np
import pandas as pd

from crtkit.explain import grad_cam, lead_share, overlay
from crtkit.images import EDAN_SE3
from crtkit.studies import mori2025 as study

MODELS = ("SSL + ResNet-18", "ResNet-18", "ResNet-18 from scratch")
SHOWN = 6
PUBLISHED = ("published_count", "published_n", "published_proportion")


def page_layout_of(cohort, options):
    """Layout of the pages: as asked, as the cohort says, or of the report pages that we know.

    Returns
    -------
    layout : str or PageGeometry
    name : str
    """
    if options.layout:
        return options.layout, options.layout
    if "pages" in cohort.info:
        return cohort.info["pages"]["layout"], cohort.info["pages"]["layout"]
    if "Mendeley" in cohort.info["name"]:
        return EDAN_SE3, "EDAN SE-3, 3x4 and a rhythm strip"
    return "3x4+II", "3x4+II (assumed; --layout sets it)"


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
    model = result.refit(name, seed)
    tested = result.predictions.query("model == @name and seed == @seed and set == 'test'")
    test = tested["row"].to_numpy(dtype=int)
    # True positives and misses alike, as the paper judged all 36 responders of its test set.
    rows = test[cohort.y[test] == positive]
    pages = model[:-1].transform(cohort.X.iloc[rows])
    maps = grad_cam(model[-1], pages, stage=options.stage, target=positive)
    layout, layout_name = page_layout_of(cohort, options)
    share = lead_share(maps, layout)
    proba = model[-1].predict_proba(pages)[:, list(model[-1].classes_).index(positive)]
    what = (
        f"{name}, seed {seed}: Grad-CAM of {options.stage} for the {len(rows)} test records of "
        f"the positive class. Layout {layout_name}."
    )
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
    output.figure("figure3", "Figure 3. Grad-CAM", figure3(pages, maps, share.region, proba))
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


def figure3(pages, maps, region, proba):
    """Overlays of a few pages, regions in turn, each with the probability of its class."""
    import matplotlib.pyplot as plt

    # First of each region, then second of each: six pages show all regions, not the commonest one.
    rank = pd.Series(region).groupby(region).cumcount()
    chosen = np.lexsort((region, rank))[:SHOWN]
    height, width = maps.shape[1:]
    n_rows = -(-len(chosen) // 3)
    figure, axes = plt.subplots(
        n_rows, 3, figsize=(11, n_rows * (3.4 * height / width + 0.4)), squeeze=False
    )
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, i, page in zip(axes.flat, chosen, overlay(pages[chosen], maps[chosen])):
        ax.imshow(page)
        ax.set_title(f"{region[i]}, p = {proba[i]:.2f}", fontsize=9)
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    return figure
