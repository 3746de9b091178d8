"""Does QRS area track reverse remodelling in real patients? ``python -m benchmarks crt_trial``

The only open table of a CRT trial that was found: aCRT-ELSYNC (NCT02543281), 32 patients, of whom
19 have the systolic diameter of the left ventricle before and after. LVESV follows from the
diameter by Teichholz, 7 D^3 / (2.4 + D), and response is a fall of 15 % or more.

Goals
-----
For QRS area and its kin before CRT, and for what CRT changed in them: the rank correlation with the
fall of LVESV and the AUC of response, with intervals, and what so few patients could have shown.

Non-goals
---------
A predictor. Nothing is fitted, no patient is held out, and a volume from one diameter is crude.
"""

import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import norm, rankdata

from benchmarks._results import Output, environment, write_json
from crtkit.statistics import delong_interval, format_p
from crtkit.statistics.delong import hanley_mcneil_error
from crtkit.statistics.p_values import holm

#: Quantity -> (column, whether a larger value is expected with a larger fall of LVESV).
BEFORE = {
    "QRS area before (uVms)": "areaQRS1",
    "QRS magnitude before (uV)": "peakQRSMag1",
    "QRS-T angle before (deg)": "areaQRSTA1",
    "SAI QRST before": "SAIQRST1",
    "LV activation time before, mean (ms)": "meanLV1",
    "LV activation time before, SD (ms)": "stdLV1",
    "LVEF before (%)": "lvef1",
}
#: Fall from before to after: CRT narrows what it resynchronises.
CHANGED = {
    "fall of QRS area (uVms)": ("areaQRS1", "areaQRS2"),
    "fall of LV activation time, SD (ms)": ("stdLV1", "stdLV2"),
    "fall of SAI QRST": ("SAIQRST1", "SAIQRST2"),
}
RESPONSE = 15.0
POWER, ALPHA = 0.80, 0.05
DRAWS = 5000


def teichholz(diameter_cm):
    """Volume in mL of a ventricle of a diameter in cm (Teichholz 1976).

    Examples
    --------
    >>> from benchmarks.crt_trial import teichholz
    >>> round(float(teichholz(5.0)), 1)
    118.2
    """
    d = np.asarray(diameter_cm, dtype=float)
    return 7.0 * d**3 / (2.4 + d)


def load(folder):
    """Patients with both systolic diameters: the fall of LVESV, response, and the quantities.

    Parameters
    ----------
    folder : Path
        With ``elsync.csv``.

    Returns
    -------
    DataFrame
        Columns ``fall_pct``, ``responder`` and the quantities; one row per patient.

    Raises
    ------
    FileNotFoundError
        No such file.
    """
    path = Path(folder) / "elsync.csv"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path.name} is not in {folder}: give --data a folder with the aCRT-ELSYNC table."
        )
    raw = pd.read_csv(path)
    before, after = (teichholz(in_cm(raw[c])) for c in ("lvsd1cm", "lvsd2"))
    table = pd.DataFrame({"fall_pct": 100.0 * (before - after) / before}, index=raw["ID"])
    for name, column in BEFORE.items():
        table[name] = raw[column].to_numpy()
    for name, (first, second) in CHANGED.items():
        table[name] = (raw[first] - raw[second]).to_numpy()
    # Patients without a second echocardiogram have no outcome to be associated with.
    table = table[table["fall_pct"].notna()]
    table.insert(1, "responder", (table["fall_pct"] >= RESPONSE).astype(int))
    return table


def in_cm(diameter):
    """Diameters in cm; a column whose values are tens is in mm."""
    values = diameter.astype(float)
    # No ventricle measures 15 cm: one of the two columns is in millimetres.
    return values / 10.0 if values.median() > 15 else values


def associations(table, random_state=0):
    """Spearman's correlation with the fall of LVESV and AUC of response, by quantity.

    Parameters
    ----------
    table : DataFrame
        As :func:`load` makes it.
    random_state : int
        Of permutations and bootstrap.

    Returns
    -------
    DataFrame
        ``n, rho, rho_low, rho_high`` (bootstrap over patients), ``p_value`` (permutation),
        ``p_holm``, ``auc, auc_low, auc_high`` (DeLong).
    """
    rows = {}
    for k, name in enumerate([*BEFORE, *CHANGED]):
        part = table[["fall_pct", "responder", name]].dropna()
        x, fall = part[name].to_numpy(), part["fall_pct"].to_numpy()
        # A stream for each quantity, so that adding one moves no other's p.
        rng = np.random.default_rng([random_state, k])
        rho = float(spearman(x[None], fall[None])[0])
        shuffled = spearman(rng.permuted(np.tile(x, (DRAWS, 1)), axis=1), fall[None])
        p_value = (1 + np.sum(np.abs(shuffled) >= abs(rho) - 1e-12)) / (1 + DRAWS)
        low, high = bootstrap_rho(x, fall, rng)
        area = delong_interval(part["responder"].to_numpy(), x).iloc[0]
        rows[name] = {
            "n": len(part),
            "rho": rho,
            "rho_low": low,
            "rho_high": high,
            "p_value": float(p_value),
            **{f"auc{end}": float(area[f"{c}"]) for end, c in AREA.items()},
        }
    out = pd.DataFrame.from_dict(rows, orient="index").rename_axis("quantity")
    out.insert(5, "p_holm", holm(out["p_value"]))
    return out


AREA = {"": "auc", "_low": "ci_low", "_high": "ci_high"}


def spearman(x, y):
    """Spearman's correlation of every row of two arrays (one row is broadcast).

    Examples
    --------
    >>> import numpy as np
    >>> from benchmarks.crt_trial import spearman
    >>> spearman(np.array([[1.0, 2.0, 9.0]]), np.array([[3.0, 4.0, 5.0]])).tolist()
    [1.0]
    """
    a, b = (rankdata(values, axis=1) for values in (x, y))
    a, b = (values - values.mean(axis=1, keepdims=True) for values in (a, b))
    with np.errstate(invalid="ignore", divide="ignore"):
        return (a * b).sum(axis=1) / np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))


def bootstrap_rho(x, y, rng, confidence=0.95):
    """Percentile interval of Spearman's correlation when patients are drawn again."""
    drawn = rng.integers(0, len(x), (DRAWS, len(x)))
    tail = (1 - confidence) / 2
    return tuple(np.nanquantile(spearman(x[drawn], y[drawn]), [tail, 1 - tail]).tolist())


def detectable_rho(n):
    """Smallest correlation that n patients show with 80 % power at 5 % (Fisher's z)."""
    return math.tanh((norm.ppf(1 - ALPHA / 2) + norm.ppf(POWER)) / math.sqrt(n - 3))


def detectable_auc(n_positive, n_negative):
    """Smallest AUC shown to differ from 0.5 with 80 % power at 5 % (Hanley and McNeil)."""
    grid = np.linspace(0.5, 0.999, 1000)
    error = [hanley_mcneil_error(auc, n_positive, n_negative) for auc in grid]
    needed = norm.ppf(1 - ALPHA / 2) * error[0]
    shown = [a for a, se in zip(grid, error) if a - 0.5 >= needed + norm.ppf(POWER) * se]
    return float(shown[0]) if shown else math.nan


def printed(table):
    """The associations as they are read."""
    return pd.DataFrame(
        {
            "n": table["n"],
            "Spearman rho": [f"{v:+.2f}" for v in table["rho"]],
            "95 % interval": [
                f"{low:+.2f} to {high:+.2f}"
                for low, high in zip(table["rho_low"], table["rho_high"])
            ],
            "p": [format_p(p) for p in table["p_value"]],
            "p, Holm": [format_p(p) for p in table["p_holm"]],
            "AUC of response": [f"{v:.2f}" for v in table["auc"]],
            "its 95 % interval": [
                f"{low:.2f} to {high:.2f}" for low, high in zip(table["auc_low"], table["auc_high"])
            ],
        },
        index=table.index,
    )


def answer(table, found):
    """What the figures can and cannot say, in sentences."""
    n, positive = len(table), int(table["responder"].sum())
    area = found.loc["QRS area before (uVms)"]
    shown = found.index[found["p_holm"] < ALPHA].tolist()
    return [
        f"QRS area before CRT against the fall of LVESV in {area['n']:.0f} patients: rho "
        f"{area['rho']:+.2f} ({area['rho_low']:+.2f} to {area['rho_high']:+.2f}, p "
        f"{format_p(area['p_value'])}); AUC of response {area['auc']:.2f} "
        f"({area['auc_low']:.2f} to {area['auc_high']:.2f}).",
        f"After Holm's correction over {len(found)} quantities "
        + (f"{', '.join(shown)} is shown." if shown else "none is shown to track it."),
        f"{n} patients ({positive} responders) show, with 80 % power at 5 % and before any "
        f"correction, only a correlation of at least {detectable_rho(n):.2f} or an AUC of at least "
        f"{detectable_auc(positive, n - positive):.2f}: smaller ones, such as those published for "
        "QRS area in hundreds of patients, would be missed more often than not.",
        "LVESV is derived from one diameter (Teichholz), which a heart remodelled by CRT fits "
        "badly; arms of the trial are pooled; nothing is adjusted for.",
    ]


def add_arguments(parser):
    """Give a parser the options of this benchmark."""
    parser.add_argument("--data", type=Path, help="folder (default: CRTKIT_DATA/crt_elsync)")
    parser.add_argument("--out", type=Path, default=Path("results") / "crt_trial")
    parser.add_argument("--random-state", type=int, default=0)


def run(options):
    """Write the table and the answer.

    Returns
    -------
    str
        Both, to be printed.
    """
    folder = options.data or Path(os.environ.get("CRTKIT_DATA", ".")) / "crt_elsync"
    table = load(folder)
    found = associations(table, options.random_state)
    n, positive = len(table), int(table["responder"].sum())
    stated = (
        f"Real data, aCRT-ELSYNC (MIT): {n} patients with both systolic diameters, {positive} with "
        "a fall of LVESV (Teichholz) of 15 % or more."
    )
    output = Output(options.out, "QRS area and reverse remodelling", stated)
    note = (
        "Spearman's correlation with the fall of LVESV in per cent, patients drawn again; p by "
        "permutation. AUC: DeLong. A positive rho: a larger value goes with a larger fall."
    )
    text = output.table("associations", "What goes with reverse remodelling", printed(found), note)
    lines = answer(table, found)
    output.text("The answer", lines)
    output.report()
    write_json(
        options.out / "results.json",
        {
            "benchmark": "crt_trial",
            "stated": stated,
            "associations": found,
            "answer": lines,
            "detectable": {
                "rho": detectable_rho(n),
                "auc": detectable_auc(positive, n - positive),
            },
            "environment": environment(),
        },
    )
    return "\n".join([stated, "", text, *lines])
