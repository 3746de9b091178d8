"""Why a record has, or lacks, bundle branch block: every criterion, lead by lead."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from crtkit.signals.qrs.conduction import BLOCKS, OUTERMOST_MS, block_criteria, flags_of
from crtkit.signals.qrs.delineate import AGREEMENT
from crtkit.signals.qrs.record import delineate_record, record_parts
from crtkit.signals.qrs.trust import record_quality, unbelieved


@dataclass(frozen=True)
class BlockExplanation:
    """Flags of block, their scores, and the comparisons behind them.

    Attributes
    ----------
    flags : dict of str to float
        What :func:`bundle_branch_block` returns.
    criteria : DataFrame
        A row for each comparison: ``block, criterion, lead, value, relation, threshold, unit,
        needs`` (how many leads must meet it), ``part`` (0 to 1, 0.5 on the threshold), ``met``.
    paced : bool
        Whether the flags are 0 because a pacemaker starts the complexes.
    reason : str
        Why nothing could be compared; empty where something was.
    """

    flags: dict[str, float]
    criteria: pd.DataFrame
    paced: bool = False
    reason: str = ""

    def failed(self, block="lbbb_conventional") -> pd.DataFrame:
        """Comparisons of a block that were not met, and on which its flag therefore fails.

        Parameters
        ----------
        block : str, default="lbbb_conventional"

        Returns
        -------
        DataFrame
            Rows of ``criteria``; empty where the flag is set. A criterion that enough other leads
            meet is left out.

        Raises
        ------
        ValueError
            There is no such block.
        """
        if block not in BLOCKS:
            raise ValueError(f"block must be one of {', '.join(BLOCKS)}, got {block!r}.")
        rows = self.criteria[self.criteria["block"] == block]
        count = rows.groupby("criterion")["met"].transform("sum")
        size = rows.groupby("criterion")["met"].transform("size")
        # ``needs`` of 0 stands for every lead that was recorded.
        wanted = np.where(rows["needs"] > 0, rows["needs"], size)
        return rows[(count < wanted) & ~rows["met"]]


def explain_block(
    signal, fs=None, *, lead_names=None, male=None, guideline="AHA2009", agreement=AGREEMENT
) -> BlockExplanation:
    """Explain the flags of bundle branch block of one record.

    Parameters
    ----------
    signal : array-like of shape (n_leads, n_samples), or crtkit.readers.ECG
    fs, lead_names, male, guideline, agreement
        As in :func:`measure_qrs`.

    Returns
    -------
    BlockExplanation

    Raises
    ------
    ValueError
        As :func:`measure_qrs`.

    See Also
    --------
    bundle_branch_block : the criteria in words, with their sources.

    Examples
    --------
    >>> from crtkit.datasets import simulate_ecg
    >>> from crtkit.signals import explain_block
    >>> signal, _ = simulate_ecg("rbbb", 150, random_state=0)
    >>> why = explain_block(signal, 500)
    >>> why.flags["rbbb"], why.flags["lbbb_conventional"], len(why.failed("rbbb"))
    (1.0, 0.0, 0)
    >>> "V1" in set(why.failed("lbbb_conventional")["lead"])
    True
    """
    signal, fs, names = record_parts(signal, fs, lead_names)
    record = delineate_record(signal, fs, names, agreement=agreement)
    bounds, ms = record.bounds, 1000.0 / record.beat.fs
    # Flags without a complex or without names would be guesses: the reason is given instead.
    reason = record.reason
    if bounds is not None and not reason:
        duration = (bounds.offset - record.onset) * ms
        reason = unbelieved(duration, record_quality(record))
    if reason or bounds is None or record.leads is None:
        reason = reason or "lead names are not known"
        return BlockExplanation({}, _table([]), reason=reason)
    options = {"widest": duration + OUTERMOST_MS, "male": male, "guideline": guideline}
    criteria = block_criteria(record.waves, duration, **options)
    flags = flags_of(criteria, record.waves, paced=record.ventricular)
    return BlockExplanation(flags, _table(criteria), record.ventricular)


def _table(criteria) -> pd.DataFrame:
    columns = ["block", "criterion", "lead", "value", "relation", "threshold", "unit", "needs"]
    table = pd.DataFrame([c._asdict() for c in criteria], columns=[*columns, "part"])
    return table.assign(met=np.array([c.met for c in criteria], dtype=bool))
