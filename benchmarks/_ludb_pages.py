"""LUDB's own pages against its signals, and both against its readers: a part of ``real_pages``.

Another program (ECG-Miner) drew these pages, from real records whose QRS complexes cardiologists
marked. So there is a third measurement beside the signal's and the page's, and neither of them is
taken for the truth.
"""

import warnings

import numpy as np
import pandas as pd

import crtkit as ck
from benchmarks._real_ecgs import read_ludb
from crtkit.images import ECGDigitizer
from crtkit.signals import LEADS_12, QRSMeasurements
from crtkit.statistics import delong_interval, delong_test
from crtkit.studies.run.output import interval

#: What makes a case: complete block of either branch, IVCD, or a pacemaker.
CASES = ("clbbb", "crbbb", "nsivcd", "paced")
KINDS = ("block or paced", "others")
#: Between the readers' median onset and their median offset of the twelve leads.
TRUTH = "qrs_between_medians_ms"


def load(folder, n=None):
    """Records of LUDB, one of each patient, with their pages.

    Parameters
    ----------
    folder : Path
        ``ludb`` of the real data.
    n : int, optional
        So many of them, cases first; all that are there by default.

    Returns
    -------
    cohort : Cohort
        Signals at 500 Hz, label 1 for ``CASES``, ``diagnosis`` one of ``KINDS``, and the readers'
        QRS duration as ``marked_ms``.
    images : Series
        Path of the page of each.
    """
    signals, _, labels = read_ludb(folder)
    case = (labels[list(CASES)].max(axis=1) > 0).to_numpy()
    X = pd.DataFrame(
        {
            "signal": pd.Series([np.float32(signal) for signal in signals], dtype=object),
            "diagnosis": np.where(case, *KINDS),
            "marked_ms": labels[TRUTH].to_numpy(),
        }
    )
    info = {
        "name": "LUDB 1.0.1 (ODC-BY)",
        "source": "real",
        "sampling_rate": 500,
        "lead_names": list(LEADS_12),
        "label": "complete block, IVCD or paced",
        "label_columns": ["diagnosis", "marked_ms"],
    }
    images = [str(folder / "images" / f"{record:03d}.png") for record in labels["record"]]
    chosen = np.sort(np.argsort(~case, kind="stable")[:n])
    cohort = ck.Cohort(X, case.astype(int), labels["record"].to_numpy(), info).take(chosen)
    return cohort, pd.Series(images)[chosen].reset_index(drop=True)


def read_both(cohort, images, n_jobs=None):
    """QRS duration of every record whose page was read, from its signal and from its page.

    Leads of LUDB were scaled one by one, so that limb leads do not add up and a cohort of them is
    refused as one in another order; here the order is known, and each record is measured alone.

    Parameters
    ----------
    cohort : Cohort
        Of :func:`load`.
    images : Series
    n_jobs : int, optional

    Returns
    -------
    cohort : Cohort
        With ``qrs_duration_ms`` and ``digitised_qrs_duration_ms``.
    reasons : Series
        Why the other pages were not read.
    """
    fs = cohort.info["sampling_rate"]
    digitizer = ECGDigitizer(fs=fs, n_jobs=n_jobs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # refused pages are counted
        pages = digitizer.fit_transform(list(images))
    reasons = digitizer.report_["reason"]
    there = reasons.isna().to_numpy()
    kept = cohort.take(there)
    durations = {
        name: QRSMeasurements(fs=fs, n_jobs=n_jobs)
        .set_output(transform="pandas")
        .fit_transform(signals)["qrs_duration_ms"]
        .to_numpy()
        for name, signals in (
            ("qrs_duration_ms", np.stack(kept.X["signal"])),
            ("digitised_qrs_duration_ms", pages[there]),
        )
    }
    X = kept.X.assign(**durations)
    return ck.Cohort(X, kept.y, kept.groups, kept.info), reasons.dropna()


def against_readers(cohort):
    """QRS duration from the signal and from the page, less the readers', in ms.

    Parameters
    ----------
    cohort : Cohort
        Read both ways.

    Returns
    -------
    DataFrame
        A row for each reading and kind of record: ``records, measured, bias, sd`` and
        ``within 10 ms`` (share).
    """
    rows = {}
    for reading, column in (
        ("signal", "qrs_duration_ms"),
        ("page", "digitised_qrs_duration_ms"),
    ):
        apart = cohort.X[column] - cohort.X["marked_ms"]
        for kind in ("all", *KINDS):
            of_kind = apart if kind == "all" else apart[cohort.X["diagnosis"] == kind]
            there = of_kind.dropna()
            rows[f"{reading}, {kind}"] = {
                "records": len(of_kind),
                "measured": len(there),
                "bias": there.mean(),
                "sd": there.std(),
                "within 10 ms": (there.abs() <= 10).mean(),
            }
    return pd.DataFrame(rows).T.rename_axis("less the readers' marks")


def by_duration(cohort):
    """How well QRS duration tells the cases, from the signal, from the page and as marked.

    Nothing is learned: there are too few cases for that. Records that one reading could not
    measure are left out of all three.

    Returns
    -------
    dict
        ``n, cases``; AUC and DeLong's interval of ``signal, page, readers``; ``difference`` of
        page and signal with its interval.
    """
    columns = {
        "signal": "qrs_duration_ms",
        "page": "digitised_qrs_duration_ms",
        "readers": "marked_ms",
    }
    there = cohort.X[list(columns.values())].notna().all(axis=1).to_numpy()
    y, X = cohort.y[there], cohort.X[there]
    out = {"n": int(there.sum()), "cases": int(y.sum())}
    for name, column in columns.items():
        row = delong_interval(y, X[column].to_numpy()).iloc[0]
        out[name] = [float(row[key]) for key in ("auc", "ci_low", "ci_high")]
    row = delong_test(y, *(X[columns[name]].to_numpy() for name in ("page", "signal"))).iloc[0]
    out["difference"] = [float(row[key]) for key in ("difference", "ci_low", "ci_high")]
    return out


def answer(found, change, readers):
    """What LUDB's pages say, a sentence each.

    Parameters
    ----------
    found : dict
        Of :func:`by_duration`.
    change : DataFrame
        Of ``real_pages.agreement``, rows ``"all"`` and ``KINDS``.
    readers : DataFrame
        Of :func:`against_readers`.

    Returns
    -------
    list of str
    """
    difference, low, high = found["difference"]
    spread = {name: readers.loc[f"{name}, all"] for name in ("signal", "page")}
    against = " and ".join(
        f"the {name}'s {row['bias']:+.1f} ± {row['sd']:.1f} ms" for name, row in spread.items()
    )
    return [
        f"LUDB's own pages, {found['n']} patients of whom {found['cases']} have a complete block, "
        f"IVCD or a pacemaker: QRS duration has an AUC of {found['signal'][0]:.3f} from the "
        f"signal and {found['page'][0]:.3f} from the page ({difference:+.3f}, "
        f"{interval(low, high, '+')}), {found['readers'][0]:.3f} as cardiologists marked it.",
        f"There the page's QRS duration is {change.loc['all', 'bias']:+.1f} ± "
        f"{change.loc['all', 'sd']:.1f} ms off the signal's; less the cardiologists' marks, "
        f"{against}.",
    ]
