"""Records of fits as the tables that an evaluation keeps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from crtkit.cohort import Cohort
from crtkit.evaluation._cells import Split


def prediction_table(
    records: list[dict[str, Any]],
    cohorts: dict[str, Cohort],
    names: list[str],
    classes: tuple[Any, Any],
) -> pd.DataFrame:
    """One row a model, seed, fold and record, sorted by set, model, seed and fold."""
    labels = np.array(classes, dtype=object) if isinstance(classes[0], str) else np.array(classes)
    frames = []
    for on, cohort in cohorts.items():
        for name in names:
            for record in records:
                if record["model"] != name:
                    continue
                answer = record["sets"][on]
                rows = np.asarray(answer["rows"], dtype=np.intp)
                frame = pd.DataFrame(
                    {
                        "set": pd.Categorical([on] * len(rows), list(cohorts)),
                        "model": pd.Categorical([name] * len(rows), names),
                        "seed": record["seed"],
                        "fold": record["fold"],
                        "row": rows,
                        "group": cohort.groups[rows],
                        "y_true": cohort.y[rows],
                        "y_pred": labels[np.asarray(answer["called"], dtype=np.intp)],
                        "score": np.asarray(answer["score"], dtype=np.float64),
                        "kind": pd.Categorical([answer["kind"]] * len(rows), list(_KINDS)),
                    }
                )
                frames.append(frame)
    return pd.concat(frames, ignore_index=True)


_KINDS = ("probability", "decision", "label")


def split_table(splits: list[Split], cohort: Cohort) -> pd.DataFrame:
    """One row a seed and fold; equal numbers in ``split`` are one split, met again."""

    def n_patients(rows: np.ndarray) -> int:
        return len(pd.unique(cohort.groups[rows]))

    known: dict[tuple[bytes, bytes], int] = {}
    rows = []
    for s in splits:
        same = (np.sort(s.train).tobytes(), np.sort(s.test).tobytes())
        split = known.setdefault(same, len(known))
        counts = (len(s.train), len(s.test), n_patients(s.train), n_patients(s.test))
        rows.append((s.seed, s.fold, split, *counts))
    columns = ["seed", "fold", "split", "n_train", "n_test", "n_train_patients", "n_test_patients"]
    return pd.DataFrame(rows, columns=columns)
