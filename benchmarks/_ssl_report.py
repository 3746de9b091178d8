"""Tables, figure and sentences of ``ssl_pages``, in print."""

import pandas as pd

from benchmarks._ssl_spread import ARMS

COMPARISON_NOTE = (
    "Difference: mean AUC of SimCLR less that of scratch, with Nadeau and Bengio's interval over "
    "splits. SD ratio: below 1 SimCLR is the steadier; the bootstrap draws splits, both arms "
    "together, and with so few of them is too narrow if anything. Brown–Forsythe takes all fits as "
    "independent, which fits on one split are not. The exact test exchanges the arms within "
    "splits; beside it the smallest p it can give. The seed's SD is that within splits alone; its "
    "interval and F test suppose normal errors, Holm's correction is over the rows."
)


def question(cohort, settings, fits, n_splits, n_repeats):
    """One sentence that says what was run."""
    return (
        f"ResNet-18 of width {settings.width} at {settings.size} x {settings.size} pixels, from "
        f"scratch and above SimCLR ({settings.pretrain_epochs} epochs on the training pages of the "
        f"split, without labels), predicts {cohort.info.get('label', 'the label')}; "
        f"{settings.epochs} epochs, or as many as make {settings.min_steps} steps of "
        f"{settings.batch_size} pages; {n_splits} splits by patient, {n_repeats} training seeds in "
        f"each; tested on {fits['n_test'].min()} to {fits['n_test'].max()} pages."
    )


def shown_cells(table, fits):
    """AUC table in print: shares of the labels down, arms across."""
    text = {
        key: f"{row['mean']:.3f} ± {row['sd']:.3f} ({row['lowest']:.3f} to {row['highest']:.3f})"
        for key, row in table.iterrows()
    }
    size = fits.groupby("fraction")[["n_labelled", "n_labelled_patients"]].mean().round()
    rows = {
        f"{fraction:.0%}": {
            "labelled pages (patients)": "{:.0f} ({:.0f})".format(*size.loc[fraction]),
            "fits": int(table.loc[(fraction, ARMS[0]), "fits"]),
            **{arm: text[fraction, arm] for arm in ARMS},
        }
        for fraction in table.index.get_level_values(0).unique()
    }
    return _dashed(pd.DataFrame.from_dict(rows, orient="index").rename_axis("labels"))


def shown_comparison(table):
    """The comparison in print."""
    rows = {}
    for fraction, row in table.iterrows():
        rows[f"{fraction:.0%}"] = {
            "difference of AUC": f"{row['difference']:+.3f}",
            "its 95 % interval": f"{row['ci_low']:+.3f} to {row['ci_high']:+.3f}",
            "SD ratio": f"{row['sd_ratio']:.2f}",
            "its bootstrap interval": f"{row['sd_low']:.2f} to {row['sd_high']:.2f}",
            "Brown–Forsythe p": f"{row['brown_forsythe_p']:.2f}",
            "exact p (smallest)": f"{row['swap_p']:.2f} ({row['smallest_swap_p']:.4f})",
            "ratio of the seed's SD": f"{row['seed_ratio']:.2f}",
            "interval of that": f"{row['seed_ratio_low']:.2f} to {row['seed_ratio_high']:.2f}",
            "F test p (Holm)": f"{row['seed_p']:.2f} ({row['seed_p_holm']:.2f})",
        }
    return _dashed(pd.DataFrame.from_dict(rows, orient="index").rename_axis("labels"))


def shown_components(table):
    """The components in print."""
    rows = [
        {
            "labels": f"{fraction:.0%}",
            "model": arm,
            "SD of the split": f"{row['split_sd']:.3f}",
            "SD of the seed": f"{row['seed_sd']:.3f}",
            "its interval": f"{row['seed_low']:.3f} to {row['seed_high']:.3f}",
            "split's share of the variance": f"{row['split_share']:.0%}",
            "its exact interval": f"{row['share_low']:.0%} to {row['share_high']:.0%}",
        }
        for (fraction, arm), row in table.iterrows()
    ]
    return _dashed(pd.DataFrame(rows).set_index("labels"))


def _dashed(table):
    """A dash for what one split or one seed does not define."""
    return table.map(lambda text: "–" if "nan" in str(text) else text)


def answers(table, against):
    """What the figures say about mean and SD, in a sentence for every share of the labels."""
    lines = []
    for fraction, row in against.iterrows():
        scratch, pretrained = (table.loc[(fraction, arm)] for arm in ARMS)
        mean = "not shown to differ"
        if row["ci_low"] > 0 or row["ci_high"] < 0:
            mean = "higher" if row["ci_low"] > 0 else "lower"
        lines.append(
            f"{fraction:.0%} of the labels: AUC {pretrained['mean']:.3f} ± {pretrained['sd']:.3f} "
            f"with SimCLR, {scratch['mean']:.3f} ± {scratch['sd']:.3f} from scratch. The mean is "
            f"{mean} (difference {row['difference']:+.3f}, {row['ci_low']:+.3f} to "
            f"{row['ci_high']:+.3f}); the SD is {_spread(row)} (ratio {row['sd_ratio']:.2f}, "
            f"{row['sd_low']:.2f} to {row['sd_high']:.2f}), that of the seed within splits "
            f"{_seed_spread(row)} (ratio {row['seed_ratio']:.2f}, {row['seed_ratio_low']:.2f} to "
            f"{row['seed_ratio_high']:.2f}; p = {row['seed_p']:.2f}, {row['seed_p_holm']:.2f} "
            "after Holm)."
        )
    return lines


def _seed_spread(row):
    """Whether the SD of seeds within splits differs, before and after Holm's correction."""
    if not row["seed_p"] < 0.05:
        return "not shown to differ"
    way = "larger" if row["seed_ratio"] > 1 else "smaller"
    return way if row["seed_p_holm"] < 0.05 else f"{way}, but not after correction"


def _spread(row):
    """Whether the SD differs: only where the bootstrap and the exact test both say so."""
    if not (row["sd_low"] > 1 or row["sd_high"] < 1):
        return "not shown to differ"
    way = "larger" if row["sd_low"] > 1 else "smaller"
    if row["swap_p"] < 0.05:
        return way
    return f"{way} by the bootstrap, but not by the exact test (p = {row['swap_p']:.2f})"


def figure(fits, table, parts):
    """AUC of every fit, the two seeds of a split joined, and the parts of the variance."""
    import matplotlib.pyplot as plt

    drawn, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.6), width_ratios=(3, 2))
    fractions = list(table.index.get_level_values(0).unique())
    n_splits = fits["split"].nunique()
    for side, (arm, colour) in enumerate(zip(ARMS, ("C0", "C1"))):
        for i, fraction in enumerate(fractions):
            x = i + (0.4 * side - 0.2)
            part = fits[(fits["arm"] == arm) & (fits["fraction"] == fraction)]
            for k, (_, aucs) in enumerate(part.groupby("split")["roc_auc"]):
                place = x + 0.22 * ((k + 0.5) / n_splits - 0.5)
                left.plot([place] * len(aucs), aucs, "o-", color=colour, ms=3.5, lw=1, alpha=0.7)
            row = table.loc[(fraction, arm)]
            left.errorbar(
                x + 0.15, row["mean"], row["sd"], fmt="s", color=colour, ms=5, capsize=3,
                label=f"{arm}, mean ± SD" if i == 0 else None,
            )  # fmt: skip
            spread = parts.loc[(fraction, arm)]
            seed, split = spread["seed_sd"] ** 2, spread["split_sd"] ** 2
            right.bar(x, split, 0.34, color=colour, label=f"{arm}, split" if i == 0 else None)
            right.bar(
                x, seed, 0.34, bottom=split, color=colour, alpha=0.4,
                label=f"{arm}, seed" if i == 0 else None,
            )  # fmt: skip
    left.set_ylabel("AUC by record (seeds of one split joined)")
    right.set_ylabel("Variance of AUC")
    for ax in (left, right):
        ax.set_xticks(range(len(fractions)), [f"{f:.0%}" for f in fractions])
        ax.set_xlabel("Share of the training labels")
        ax.legend(fontsize=8)
    drawn.tight_layout(rect=(0, 0.04, 1, 1))
    return drawn
