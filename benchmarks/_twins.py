"""Pretrained models against their general twins, on the same draws of labelled subjects."""

import pandas as pd

from crtkit.studies.run.he2023 import verdict

METRICS = {
    "roc_auc": "AUC",
    "average_precision": "Average precision",
    "balanced_accuracy": "Balanced accuracy",
}


def twins(result):
    """Each pretrained model against its twin.

    Returns
    -------
    DataFrame
        One row a twin and metric: ``pretrained, general, difference, ci_low, ci_high`` (subjects
        drawn again), ``sd``, ``nb_low, nb_high`` (Nadeau and Bengio's interval, very wide where a
        tenth is learned from) and ``better`` (share) over draws.
    """
    folds = result.per_fold()
    rows = []
    for twin in [m for m in result.models if f"{m}, pretrained" in result.models]:
        table = result.compare(f"{twin}, pretrained", twin)
        for metric, title in METRICS.items():
            row = table.loc[metric]
            ours, theirs = (
                folds.xs(name, level="model")[metric].to_numpy()
                for name in (f"{twin}, pretrained", twin)
            )
            rows.append(
                {
                    "model": twin,
                    "metric": title,
                    "pretrained": row["mean_a"],
                    "general": row["mean_b"],
                    **row[["difference", "ci_low", "ci_high", "sd", "nb_low", "nb_high"]].to_dict(),
                    # How often, beside how much: a mean may hang on one lucky draw.
                    "better": float((ours > theirs).mean()),
                    "transfer": verdict(row["ci_low"], row["ci_high"]),
                }
            )
    return pd.DataFrame(rows).set_index("model")


def printed(table):
    """The table of twins as it is read."""
    out = table[["metric", "pretrained", "general"]].copy()
    out["difference"] = [f"{d:+.3f}" for d in table["difference"]]
    limits = zip(table["ci_low"], table["ci_high"])
    out["95 % interval"] = [f"{low:+.3f} to {high:+.3f}" for low, high in limits]
    out["SD over draws"] = table["sd"]
    out["better in"] = [f"{share:.0%} of draws" for share in table["better"]]
    out["transfer"] = table["transfer"]
    return out
