"""Criteria of block against the readers' labels of PTB-XL, shared and nested."""

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.model_selection import GroupKFold

from benchmarks._real_ecgs import read_shards
from crtkit.metrics import roc_auc
from crtkit.signals import explain_block, measure_qrs
from crtkit.signals.qrs.conduction import BROAD_R_MS, OUTERMOST_MS

LABELS = {
    "lbbb_conventional": "clbbb",
    "lbbb_strict": "clbbb",
    "rbbb": "crbbb",
    "ivcd": "ivcd",
    "paced": "pace",
}
OTHERS = ["clbbb", "ilbbb", "crbbb", "irbbb", "ivcd", "lafb", "lpfb", "pace", "wpw"]
BROAD = "R falls to half, R > S"
EXPLAINED_MS = 100.0
IVCD_MS = 110.0
GRID = np.arange(70.0, 111.0, 2.5)
FLOORS = {"other blocks": 0.97, "NORM": 0.995}


def measure_ptbxl(folder, n_jobs=None):
    """Flags, scores and the parts of the LBBB criteria of every record, beside its labels.

    Parameters
    ----------
    folder : path-like
    n_jobs : int, optional

    Returns
    -------
    DataFrame
        Byte-identical records are in it once. Columns of labels have the prefix ``label_``.
    """
    signals, labels = read_shards(folder, 1000)
    keep = ~labels["sha256_dat"].duplicated()
    labels = labels[keep].reset_index(drop=True)
    male = labels["sex"].map({"male": True, "female": False})
    rows = Parallel(n_jobs=n_jobs)(
        delayed(_measure)(signal, None if pd.isna(sex) else bool(sex))
        for signal, sex in zip(signals[keep.to_numpy()], male)
    )
    return pd.concat([pd.DataFrame(rows), labels.add_prefix("label_")], axis=1)


def _measure(signal, male):
    values = measure_qrs(signal, 500, male=male)
    values.pop("reasons")
    if values["qrs_duration_ms"] < EXPLAINED_MS:
        # Far too narrow for any block: nothing to explain, and half of the time is saved.
        return values | {"broad_r_ms": np.nan, "lbbb_but_broad": 0.0}
    why = explain_block(signal, 500, male=male)
    for block in ("lbbb_conventional", "lbbb_strict", "rbbb"):
        failed = why.failed(block) if len(why.criteria) else None
        values[f"failed_{block}"] = "" if failed is None else _words(failed)
    lines = why.criteria[why.criteria["block"] == "lbbb_conventional"]
    broad = np.sort(lines.loc[lines["criterion"] == BROAD, "value"])[::-1]
    values["broad_r_ms"] = broad[1] if len(broad) > 1 else np.nan
    rest = lines[lines["criterion"] != BROAD]
    values["lbbb_but_broad"] = float(len(rest) > 0 and rest["met"].all() and not why.paced)
    return values


def _words(failed):
    """Criteria that failed, with their leads: ``"depth of q (V6)"``."""
    groups = failed.groupby("criterion", sort=False)["lead"].agg(lambda leads: " ".join(leads))
    return "; ".join(f"{words} ({leads})" if leads else words for words, leads in groups.items())


def agreement_with_labels(table):
    """Sensitivity of each flag for its label, specificity against other blocks and NORM.

    Parameters
    ----------
    table : DataFrame
        From :func:`measure_ptbxl`.

    Returns
    -------
    DataFrame
        A row for each flag.
    """
    blocked = table[[f"label_{name}" for name in OTHERS]].sum(axis=1) > 0
    normal = (table["label_norm"] == 1) & ~blocked
    rows = {}
    for flag, label in LABELS.items():
        positive = table[f"label_{label}"] == 1
        other = blocked & ~positive
        called = table[flag] == 1
        rows[flag] = {
            "label": label.upper(),
            "n_label": int(positive.sum()),
            "sensitivity": called[positive].mean(),
            "n_other": int(other.sum()),
            "false_other": int(called[other].sum()),
            "specificity_other": 1 - called[other].mean(),
            "n_norm": int(normal.sum()),
            "false_norm": int(called[normal].sum()),
            "specificity_norm": 1 - called[normal].mean(),
            "auc_against_rest": _auc(table, flag, positive),
        }
    return pd.DataFrame(rows).T.rename_axis("flag")


def _auc(table, flag, positive):
    """AUC of the score behind a flag, in all records; of the duration for IVCD."""
    scores = {"lbbb_conventional": "lbbb_score", "rbbb": "rbbb_score", "ivcd": "qrs_duration_ms"}
    if flag not in scores:
        return np.nan
    score = table[scores[flag]].fillna(table[scores[flag]].min())
    return roc_auc(positive, score, pos_label=True)


def nested_broad_r(table, n_splits=5):
    """What the one tuned threshold costs in optimism: shared figures and nested ones.

    In each of the folds by patient the threshold is chosen on the others (greatest sensitivity at
    the floors of specificity; the middle of equally good ones) and applied to the fold.

    Parameters
    ----------
    table : DataFrame
        From :func:`measure_ptbxl`.
    n_splits : int, default=5

    Returns
    -------
    DataFrame
        Rows "shared" and "nested"; the thresholds in "thresholds".
    """
    blocked = table[[f"label_{name}" for name in OTHERS]].sum(axis=1) > 0
    part = table[blocked | (table["label_norm"] == 1)].reset_index(drop=True)
    positive = (part["label_clbbb"] == 1).to_numpy()
    other = (blocked[blocked | (table["label_norm"] == 1)].to_numpy()) & ~positive
    groups = part["label_patient_id"].to_numpy()

    def called(threshold):
        return ((part["lbbb_but_broad"] == 1) & (part["broad_r_ms"] >= threshold)).to_numpy()

    nested, chosen = np.zeros(len(part), dtype=bool), []
    for train, test in GroupKFold(n_splits).split(part, positive, groups):
        threshold = _choose({t: called(t)[train] for t in GRID}, positive[train], other[train])
        chosen.append(threshold)
        nested[test] = called(threshold)[test]
    rows = {
        "shared": {**_counts(called(BROAD_R_MS), positive, other), "thresholds": [BROAD_R_MS]},
        "nested": {**_counts(nested, positive, other), "thresholds": chosen},
    }
    return pd.DataFrame(rows).T.rename_axis("LBBB, broad R")


def nested_outermost(table, n_splits=5):
    """IVCD with the constant in use, and with one estimated on normal records of the other folds.

    Parameters
    ----------
    table : DataFrame
        From :func:`measure_ptbxl`.
    n_splits : int, default=5

    Returns
    -------
    DataFrame
        Rows "shared" and "nested"; what is added to QRS duration, in ms, in "added_ms".
    """
    longer = (table["qrs_duration_any_ms"] - table["qrs_duration_ms"]).to_numpy()
    normal, positive = (table[f"label_{name}"].to_numpy() == 1 for name in ("norm", "ivcd"))
    normal &= ~positive
    called = table["ivcd"].to_numpy() == 1
    nested, added = called.copy(), []
    for train, test in GroupKFold(n_splits).split(table, groups=table["label_patient_id"]):
        # No record is found that the constant in use does not find: no estimate is above it.
        mean = min(float(np.nanmean(longer[train][normal[train]])), OUTERMOST_MS)
        nested[test] &= table["qrs_duration_ms"].to_numpy()[test] + mean > IVCD_MS
        added.append(round(mean, 2))
    rows = {
        name: {
            "sensitivity": call[positive].mean(),
            "specificity_norm": 1 - call[normal].mean(),
            "added_ms": values,
        }
        for name, call, values in (
            ("shared", called, [OUTERMOST_MS]),
            ("nested", nested, added),
        )
    }
    return pd.DataFrame(rows).T.rename_axis("IVCD, first to last lead")


def _choose(calls, positive, other):
    ranked = []
    for threshold, call in calls.items():
        counts = _counts(call, positive, other)
        enough = (
            counts["specificity_other"] >= FLOORS["other blocks"]
            and counts["specificity_norm"] >= FLOORS["NORM"]
        )
        ranked.append((enough, counts["sensitivity"], threshold))
    best = max(ranked)[:2]
    return float(np.median([t for enough, share, t in ranked if (enough, share) == best]))


def _counts(call, positive, other):
    normal = ~positive & ~other
    return {
        "sensitivity": call[positive].mean(),
        "specificity_other": 1 - call[other].mean(),
        "specificity_norm": 1 - call[normal].mean(),
    }


def missed_and_false(table):
    """Records a flag and its label disagree on, with what failed.

    Parameters
    ----------
    table : DataFrame
        From :func:`measure_ptbxl`.

    Returns
    -------
    DataFrame
        Indexed by flag and record number of PTB-XL.
    """
    rows = []
    for flag in ("lbbb_conventional", "lbbb_strict", "rbbb", "paced"):
        positive, called = table[f"label_{LABELS[flag]}"] == 1, table[flag] == 1
        for i in np.flatnonzero(positive != called):
            rows.append(
                {
                    "flag": flag,
                    "ecg_id": int(table["label_ecg_id"][i]),
                    "kind": "missed" if positive[i] else "false",
                    "labels": table["label_scp_codes"][i],
                    "qrs_duration_ms": round(table["qrs_duration_ms"][i], 1),
                    "failed": table.get(f"failed_{flag}", pd.Series("", table.index))[i],
                    "quality": round(table["quality"][i], 2),
                }
            )
    return pd.DataFrame(rows).set_index(["flag", "ecg_id"])
