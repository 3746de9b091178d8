"""Tables of the digitizer's benchmark: figures of every set, and the goals beside them."""

import numpy as np
import pandas as pd
from sklearn.metrics import cohen_kappa_score

_DB = ("strict", "aligned", "printed", "repeat_db", "einthoven_db", "goldberger_db")
_BAD_DB = 10.0
_MOST_NOISE = "5 degrees, JPEG 60, 8 % noise"
_NEAR_BPM, _NEAR_MS = 2.0, 12.0
_LIKE_3X4 = [
    *("6x2", "12x1", "3x4", "3x4 and three strips", "50 mm/s", "5 mm/mV", "20 mm/mV"),
    *("blue grid", "green grid", "orange grid", "grey grid"),
]


def summarise(table):
    """One row a set: medians, and 5th percentiles in brackets."""
    out = []
    for name, part in table.groupby("set", sort=False):
        row = {"set": name, "pages": part["page"].nunique()}
        row["refused"] = int(refused(part).sum())
        row["coverage"] = f"{part['coverage'].mean():.3f}" if "coverage" in part else ""
        for key in _DB:
            values = part[key].dropna() if key in part else ()
            if len(values):
                row[key] = f"{np.median(values):.1f} ({np.percentile(values, 5):.1f})"
        for key in ("delay_ms", "peak_pct"):
            values = part[key].dropna() if key in part else ()
            if len(values):
                low, middle, high = np.percentile(values, [5, 50, 95])
                row[key] = f"{middle:.1f} ({low:.1f} to {high:.1f})"
        row["CPU s a page"] = f"{part['seconds'].median():.2f}" if "seconds" in part else ""
        out.append(row)
    return pd.DataFrame(out).fillna("")


def refused(part):
    """Whether each page of a set was refused."""
    if "reason" not in part:
        return pd.Series(False, index=part["page"].unique())
    return part.groupby("page")["reason"].first().notna()


def goals(table):
    """Goals of issue 16 whose set was run: figure, goal, and whether it is met."""
    sets = dict(tuple(table.groupby("set", sort=False)))
    out = []
    for name, what, figure, compare, goal in GOALS:
        if name not in sets:
            continue
        value = figure(sets[name], sets)
        if goal is None:
            out.append((name, what, f"{value:.3g}", "", "to compare"))
            continue
        met = value >= goal if compare == ">=" else value <= goal
        text = "not measured" if np.isnan(value) else "yes" if met else "**no**"
        out.append((name, what, f"{value:.3g}", f"{compare} {goal:g}", text))
    return pd.DataFrame(out, columns=["set", "what", "figure", "goal", "met"])


def _quantile(key, share):
    return lambda part, sets: float(np.nanquantile(part[key].astype(float), share))


def _median(key):
    return _quantile(key, 0.5)


def _delay(part, sets):
    return float(np.nanquantile(part["delay_ms"].abs(), 0.95))


def _peak(part, sets):
    return float(abs(np.nanmedian(part["peak_pct"])))


def _behind(part, sets):
    """dB that a set lies behind pages of 3x4 and a strip."""
    if "200 dpi" not in sets:
        return np.nan
    return float(sets["200 dpi"]["strict"].median() - part["strict"].median())


def _whole(part, sets):
    return float((part["leads"] == 12).mean())


def rate(part, sets=None):
    """Share of regular pages whose heart rate is within 2/min of the printed one."""
    good = part[(part["regular"] == True) & part["printed_bpm"].notna()]  # noqa: E712
    return float(((good["bpm"] - good["printed_bpm"]).abs() <= _NEAR_BPM).mean())


def _speed(part, sets):
    return float(1 / part["seconds"].median())


def _above(key):
    def figure(part, sets):
        other = sets.get("LUDB, ECG-Miner")
        if other is None:
            return np.nan
        # The same pages only, so that a refused page cannot lift a median.
        pages = part["page"].astype(str).unique()
        other = other[other["page"].astype(str).isin(pages)]
        middle = np.mean if key == "coverage" else np.nanmedian
        return float(middle(part[key]) - middle(other[key]))

    return figure


def caught(part, sets=None):
    """Share of the pages below 10 dB that were refused."""
    bad = part[part["strict"] < _BAD_DB]
    return float(bad["reason"].notna().mean())


def lost(part, sets=None):
    """Share of the pages of 10 dB and more that were refused."""
    good = part[part["strict"] >= _BAD_DB]
    return float(good["reason"].notna().mean())


def _within(one="page", other="record"):
    """Share of the pages on which two measurements of QRS duration are within 12 ms."""

    def figure(part, sets):
        names = [f"{name}_qrs_duration_ms" for name in (one, other)]
        if not set(names) <= set(part):
            return np.nan
        apart = (part[names[0]] - part[names[1]]).abs().dropna()
        return float((apart <= _NEAR_MS).mean())

    return figure


def _kappa(key, one="page", other="record"):
    def figure(part, sets):
        names = [f"{other}_{key}", f"{one}_{key}"]
        if not set(names) <= set(part):
            return np.nan
        return float(cohen_kappa_score(*part[names].dropna().T.to_numpy()))

    return figure


def _accepted_wrong(part, sets):
    return float((part["reason"].isna() & (part["verdict"] == "wrong")).sum())


def _accepted_right(part, sets):
    return float((part["reason"].isna() & (part["verdict"] != "wrong")).sum())


# What of a page's error is the reader's, and what is the paper's.
_PAPER = {
    "page against the printed part of the record": ("page", "printed"),
    "printed part against the whole record": ("printed", "record"),
    "all leads of one quarter against the whole": ("quarter", "record"),
}

#: Set, what, figure of the set's rows (and of all sets), and the goal; None where there is none.
GOALS = (
    ("200 dpi", "strict, dB", _median("strict"), ">=", 24),
    ("200 dpi", "strict, 5th percentile", _quantile("strict", 0.05), ">=", 18),
    ("200 dpi", "delay, ms (95 % of leads)", _delay, "<=", 2),
    ("200 dpi", "peak-to-peak error, % (median)", _peak, "<=", 3),
    ("200 dpi, wide band", "strict, dB", _median("strict"), ">=", 20),
    ("127 dpi", "strict, dB", _median("strict"), ">=", 20),
    ("127 dpi", "peak-to-peak error, % (median)", _peak, "<=", 6),
    ("300 dpi", "strict, dB", _median("strict"), ">=", 29),
    ("3 degrees, JPEG 60", "strict, dB", _median("strict"), ">=", 23),
    ("3 degrees, JPEG 60", "strict, 5th percentile", _quantile("strict", 0.05), ">=", 17),
    (_MOST_NOISE, "strict, dB", _median("strict"), ">=", 23),
    (_MOST_NOISE, "strict, 5th percentile", _quantile("strict", 0.05), ">=", 17),
    ("perspective 6 %, JPEG 60", "strict, dB", _median("strict"), ">=", 22),
    ("perspective 6 %, curl 2 %, JPEG 60", "strict, dB", _median("strict"), ">=", 15),
    *((name, "dB behind 3x4 and a strip", _behind, "<=", 3) for name in _LIKE_3X4),
    ("EDAN", "share with twelve leads", _whole, ">=", 0.99),
    ("EDAN", "repeat, dB", _median("repeat_db"), ">=", 26),
    ("EDAN", "repeat, 5th percentile", _quantile("repeat_db", 0.05), ">=", 17),
    ("EDAN", "Einthoven, dB", _median("einthoven_db"), ">=", 20),
    ("EDAN", "Goldberger, dB", _median("goldberger_db"), ">=", 19),
    ("EDAN", "heart rate within 2/min, regular", rate, ">=", 0.97),
    ("EDAN", "pages a second on a core", _speed, ">=", 1.5),
    ("LUDB", "strict, dB above ECG-Miner", _above("strict"), ">=", 0),
    ("LUDB", "aligned, dB above ECG-Miner", _above("aligned"), ">=", 0),
    ("LUDB", "coverage above ECG-Miner", _above("coverage"), ">=", 0),
    ("PTB-XL PDF", "least lead, dB to what is printed", _quantile("printed", 0), ">=", 40),
    ("QRS", "QRS duration within 12 ms, share", _within(), ">=", 0.95),
    ("QRS", "LBBB kappa, conventional", _kappa("lbbb_conventional"), ">=", 0.9),
    ("QRS", "LBBB kappa, strict", _kappa("lbbb_strict"), ">=", 0.9),
    *(("QRS", f"{what}, within 12 ms", _within(*pair), "", None) for what, pair in _PAPER.items()),
    ("degraded", "bad pages caught", caught, ">=", 0.9),
    ("degraded", "good pages lost", lost, "<=", 0.05),
    ("photographs", "read in part or better, of 30", _accepted_right, ">=", 15),
    ("photographs", "accepted though wrong", _accepted_wrong, "<=", 0),
)
