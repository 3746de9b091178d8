"""Table, picture and gaps of the learning curve."""

import json

from benchmarks._learning_patients import MEASURED

RULE = "QRS duration"
#: Why a model has no figure at a size: the first pair whose name is part of the model's.
REASONS = (
    ("Logistic on measurements", f"patients are measured up to {MEASURED:,}"),
    ("AE ", "a thousand iterations of the autoencoder a fit"),
    ("one AE feature", "a thousand iterations of the autoencoder a fit"),
    *(
        (name, "a network: the minutes ended before it")
        for name in ("ResNet", "FCN", "Inception", "ECG-FM")
    ),
    *(
        (name, "no minutes were left for components of whole spectrograms")
        for name in ("SVM", "Random Forest", "Logistic regression")
    ),
    ("", "no minutes were left for it"),
)


def summary(rows):
    """Mean and SD of the AUC over draws: one row per study and model, one column per n."""
    grouped = rows.groupby(["study", "name", "n"], sort=False)["roc_auc"]
    text = grouped.agg(
        lambda v: f"{v.mean():.3f}" + (f" ± {v.std(ddof=1):.3f}" if len(v) > 1 else "")
    )
    wide = text.unstack("n")
    order = rows.drop_duplicates(["study", "name"])[["study", "name"]]
    # unstack sorts by name; the order of the papers is the one to read.
    wide = wide.loc[list(order.itertuples(index=False, name=None))]
    wide.columns = [f"n = {n:,}" for n in wide.columns]
    return wide.rename_axis(["study", "model"])


def lines_of(folder, studies):
    """Ceilings and the rule of each study that has been run."""
    out = {}
    for study in studies:
        path = folder / f"lines_{study}.json"
        if path.is_file():
            out[study] = json.loads(path.read_text(encoding="utf-8"))
    return out


def reasons(rows, sizes):
    """Every model that lacks a figure at a size, and why: one line a model."""
    lines = []
    for (study, name), own in rows.groupby(["study", "name"], sort=False):
        lacking = [f"{n:,}" for n in sizes if n not in set(own["n"])]
        if lacking:
            why = next(text for part, text in REASONS if part in name)
            lines.append(f"{study}, {name}, n = {'; '.join(lacking)}: {why}")
    return lines


def picture(rows, lines):
    """One panel per study: AUC against n, with the rule and both ceilings as lines."""
    import matplotlib.pyplot as plt

    studies = [study for study in lines if (rows["study"] == study).any()]
    size = (8, 3.9 * len(studies))
    # Names stand beside the panel: twenty of them would cover its curves.
    figure, axes = plt.subplots(len(studies), 1, figsize=size, squeeze=False, layout="constrained")
    # The foot is for what every figure of results states.
    figure.get_layout_engine().set(rect=(0, 0.35 / size[1], 1, 1 - 0.35 / size[1]))
    styles = {"best reachable": ("0.2", "-"), "signal can give": ("0.2", "--"), RULE: ("C3", ":")}
    colours, marks = plt.get_cmap("tab10").colors, "os^D"
    for ax, study in zip(axes[:, 0], studies):
        part = rows[rows["study"] == study]
        for name, (colour, style) in styles.items():
            value = lines.get(study, {}).get(name)
            if value is not None:
                ax.axhline(value, color=colour, ls=style, lw=1, label=name)
        for k, (name, own) in enumerate(part.groupby("name", sort=False)):
            curve = own.groupby("n")["roc_auc"].agg(["mean", "std"])
            ax.errorbar(
                curve.index, curve["mean"], curve["std"].fillna(0), lw=1.2, capsize=2, label=name,
                fmt=f"{marks[k // 10 % 4]}-", ms=3.5, color=colours[k % 10],
            )  # fmt: skip
        ax.set_xscale("log")
        ticks = sorted(part["n"].unique())
        ax.set_xticks(ticks, [f"{n:,}" for n in ticks])
        ax.minorticks_off()
        ax.set_title(study, loc="left")
        ax.set_ylabel("AUC on other patients (simulated)")
        ax.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    axes[-1, 0].set_xlabel("Patients learned from (simulated)")
    return figure
