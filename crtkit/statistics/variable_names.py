"""How a paper prints the columns of a table: a name with its unit, not the program's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any

#: Columns that crtkit makes, reads or measures. Any other column keeps its own name.
PRINTED_NAMES = {
    "age": "Age, years",
    "male": "Male sex",
    "height_cm": "Height, cm",
    "weight_kg": "Weight, kg",
    "ischaemic": "Ischaemic cardiomyopathy",
    "cad": "Coronary artery disease",
    "ckd": "Chronic kidney disease",
    "diabetes": "Diabetes",
    "hypertension": "Hypertension",
    "smoking": "Smoking",
    "af": "Atrial fibrillation",
    "nyha": "NYHA class",
    "lbbb": "LBBB",
    "rbbb": "RBBB",
    "ivcd": "Intraventricular conduction delay",
    "paced": "Paced before",
    "crtd": "CRT-D",
    "acei_arb": "ACE inhibitor or ARB",
    "beta_blocker": "Beta blocker",
    "spironolactone": "Spironolactone",
    "digoxin": "Digoxin",
    "diuretic": "Diuretic",
    "lvef": "LVEF, %",
    "lvedv": "LVEDV, mL",
    "lvesv": "LVESV, mL",
    "lvef_6_months": "LVEF after six months, %",
    "lvesv_6_months": "LVESV after six months, mL",
    "lvesv_reduction_pct": "Reduction of LVESV, %",
    "scar": "Scar, % of the left ventricle",
    "psd_deg": "Phase standard deviation, °",
    "pbw_deg": "Phase bandwidth, °",
    "heart_rate_bpm": "Heart rate, beats/min",
    "pr_ms": "PR interval, ms",
    "qrs_duration_ms": "QRS duration, ms",
    "qt_ms": "QT interval, ms",
    "qtc_ms": "QTc interval, ms",
    "qrs_area_uVs": "QRS area, µVs",
    "qrs_area_uvs": "QRS area, µVs",
    "hospital": "Hospital",
    "centre": "Centre",
    "year": "Year",
}


def printed_names(rows: Iterable[Any], names: Mapping[Any, str] | None = None) -> dict[Any, str]:
    """Printed form of each row of a baseline table.

    Parameters
    ----------
    rows : iterable
        Column names, or ``"nyha: 2"`` for a level of one.
    names : mapping, optional
        The author's, before :data:`PRINTED_NAMES`.

    Returns
    -------
    dict
        Row -> what is printed; of all rows.

    Examples
    --------
    >>> from crtkit.statistics.variable_names import printed_names
    >>> printed_names(["qrs_duration_ms", "nyha: 2", "other"], {"other": "Other, kPa"})
    {'qrs_duration_ms': 'QRS duration, ms', 'nyha: 2': 'NYHA class: 2', 'other': 'Other, kPa'}
    """
    known = {**PRINTED_NAMES, **(names or {})}
    out = {}
    for row in rows:
        variable, mark, level = str(row).partition(": ")
        name = known.get(row)
        if name is None and mark and variable in known:
            name = f"{known[variable]}: {level}"
        out[row] = str(row) if name is None else str(name)
    return out


def before_count(level: Any) -> str:
    """A level as it stands before its count: "II " or, of a code, "2: ".

    Examples
    --------
    >>> from crtkit.statistics.variable_names import before_count
    >>> [before_count(level) + "31 (30.4)" for level in ("II", 2)]
    ['II 31 (30.4)', '2: 31 (30.4)']
    """
    return f"{level}: " if isinstance(level, Real) else f"{level} "
