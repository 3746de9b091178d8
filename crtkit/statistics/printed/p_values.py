"""Reading a printed baseline table, and rebuilding its p-values from its counts."""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from crtkit.statistics.group_tests import compare_counts

COUNT_TESTS = ("chi2", "chi2_yates", "fisher", "t")
NUMBER = r"-?\d+(?:\.\d+)?"
SLACK = 1e-9


@dataclass(frozen=True)
class Figure:
    """A printed number: its value, and the interval that rounds to it."""

    value: float
    low: float
    high: float
    text: str

    def fits(self, low, high=None) -> bool:
        """Whether a value, or any value of an interval, prints like this."""
        return low <= self.high + SLACK and (low if high is None else high) >= self.low - SLACK


@dataclass(frozen=True)
class PrintedRow:
    """One line: kind, one tuple of figures per group, and the p-value if there is one."""

    variable: str
    kind: str
    cells: dict
    p: Figure | None


@dataclass(frozen=True)
class PrintedTable:
    """Group sizes without the column of all patients, that column's name, and the lines."""

    sizes: dict
    overall: str | None
    rows: list


def rebuild_p_values(table, *, sizes=None, overall="overall") -> pd.DataFrame:
    """Recompute the p-values of counts in a printed baseline table, by every test in use.

    No patients are needed: a p-value of counts follows from the counts. Which test a paper used
    shows in which column gives all its p-values.

    Parameters
    ----------
    table : DataFrame
        As printed, one row per variable: text cells such as ``"74 (71.8)"``, one column per group,
        a column ``p``, and if it is there a column ``kind`` (``"count"``, ``"mean_sd"``,
        ``"median_iqr"``, ``"categorical"``, ``"level"``; otherwise told from the cells, where
        ``"62 (13)"`` is a count and ``"61.8 (12.6)"`` a mean with its SD). A row ``n`` holds the
        group sizes; the levels of a categorical variable stand below it as ``"NYHA: II"``.
    sizes : dict, optional
        ``{column: number of patients}``, in place of the row ``n``.
    overall : str, default="overall"
        Column of all patients, if there is one.

    Returns
    -------
    DataFrame
        One row per variable with counts and a printed p-value: ``printed``, ``chi2``,
        ``chi2_yates``, ``fisher``, ``t`` (p-values), and ``fits``, the tests whose p-value
        prints as the printed one; ``bound``, whether print gives only a bound ("<0.001", or a
        zero), which decides little; ``note``, why a test gives none. ``result.attrs["matches"]``
        counts the fits per test, ``result.attrs["n"]`` the rows.

    Raises
    ------
    ValueError
        No group sizes, fewer than two groups, a cell that cannot be read.

    Examples
    --------
    >>> import pandas as pd
    >>> from crtkit.statistics import rebuild_p_values
    >>> table = pd.DataFrame(
    ...     {"no": ["57", "51 (89.5)"], "yes": ["45", "37 (82.2)"], "p": ["", "0.443"]},
    ...     index=["n", "ACEI/ARB"],
    ... )
    >>> result = rebuild_p_values(table)
    >>> result.loc["ACEI/ARB", "fits"], result.attrs["matches"]["chi2_yates"]
    ('chi2_yates', 1)
    """
    printed = read_printed("rebuild_p_values", table, sizes, overall)
    rows = []
    for row in printed.rows:
        counts = counts_of(printed, row)
        if counts is None or row.p is None:
            continue
        results = {test: compare_counts(counts, test) for test in COUNT_TESTS}
        p = {test: result.p_value for test, result in results.items()}
        fits = [test for test, value in p.items() if row.p.fits(value)]
        rows.append(
            {
                "variable": row.variable,
                "printed": row.p.text,
                **p,
                "fits": ", ".join(fits),
                "bound": row.p.low <= 0,
                "note": "; ".join(f"{t}: {results[t].note}" for t in p if np.isnan(p[t])),
            }
        )
    columns = ["variable", "printed", *COUNT_TESTS, "fits", "bound", "note"]
    out = pd.DataFrame(rows, columns=columns)
    out = out.set_index("variable")
    listed = [set(f.split(", ")) for f in out["fits"]]
    out.attrs["matches"] = {test: sum(test in f for f in listed) for test in COUNT_TESTS}
    out.attrs["n"] = len(out)
    return out


def read_printed(name, table, sizes=None, overall="overall") -> PrintedTable:
    """Parse a printed baseline table; errors name the cell that cannot be read."""
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"{name} expects a DataFrame, got {type(table).__name__}.")
    if "variable" in table:
        table = table.set_index("variable")
    groups = [c for c in table if c not in ("kind", "p", overall)]
    if sizes is None:
        if "n" not in table.index:
            raise ValueError(f"{name} needs group sizes: a row 'n', or sizes={{column: patients}}.")
        sizes = {g: _size(name, table.loc["n", g], g) for g in table if g not in ("kind", "p")}
    unknown = [g for g in groups if g not in sizes]
    if len(groups) < 2 or unknown:
        raise ValueError(
            f"{name} needs two groups or more, each with its size: groups are {groups}, without "
            f"a size {unknown}."
        )
    rows = []
    for variable, line in table.iterrows():
        if variable == "n":
            continue
        columns = groups if overall not in table else [overall, *groups]
        texts = {g: _text(line[g]) for g in columns}
        given = _text(line["kind"]) if "kind" in table else ""
        cells = {g: _read_cell(name, variable, g, t) for g, t in texts.items()}
        kind = given or _kind(variable, texts, cells)
        p = _read_p(name, variable, _text(line["p"])) if "p" in table else None
        rows.append(PrintedRow(str(variable), kind, cells, p))
    every = {g: int(sizes[g]) for g in groups}
    return PrintedTable(every, overall if overall in table else None, rows)


def read_figure(text) -> Figure:
    """A printed number with the interval that rounds to it; "<0.001" is (0, 0.001)."""
    clean = text.replace(" ", "")
    match = re.fullmatch(rf"([<>]?)=?({NUMBER})", re.sub(r"(?<!\d)\.(?=\d)", "0.", clean))
    if not match:
        raise ValueError(f"cannot read {text!r} as a printed number.")
    sign, number = match.groups()
    value = float(number)
    # A bound fits every test that is below it, and so tells little.
    if sign == "<":
        return Figure(value, 0.0, value, text)
    if sign == ">":
        return Figure(value, value, 1.0, text)
    # A printed number stands for everything that rounds to it.
    half = 0.5 * 10.0 ** -(len(number.partition(".")[2]))
    return Figure(value, value - half, value + half, text)


def levels_of(printed, row) -> list[PrintedRow]:
    """Lines of the levels below a categorical variable."""
    return [
        r for r in printed.rows if r.kind == "level" and r.variable.startswith(f"{row.variable}:")
    ]


def counts_of(printed, row) -> np.ndarray | None:
    """Patients (n_levels, n_groups) of a line of counts, or None where it has none."""
    groups = list(printed.sizes)
    if row.kind == "count":
        if any(len(row.cells[g]) != 2 for g in groups):
            return None
        with_it = np.array([row.cells[g][0].value for g in groups])
        return np.array([np.array(list(printed.sizes.values())) - with_it, with_it]).astype(int)
    if row.kind != "categorical":
        return None
    lines = levels_of(printed, row)
    if len(lines) < 2 or any(len(r.cells[g]) != 2 for r in lines for g in groups):
        return None
    return np.array([[r.cells[g][0].value for g in groups] for r in lines]).astype(int)


def _text(cell) -> str:
    """Printed text in plain characters; cells that are missing, or a dash, are empty."""
    if cell is None or (isinstance(cell, float) and np.isnan(cell)):
        return ""
    # Footnote marks that were copied with the figure.
    text = str(cell).strip().rstrip("*†‡§¶#").strip()
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)  # thousands
    for printed, plain in (("−", "-"), ("‐", "-"), ("%", ""), ("+/-", "±"), (",", ";")):
        text = text.replace(printed, plain)
    text = text.replace(" )", ")").strip()
    return "" if text in ("-", "–", "—") else text


def _size(name, cell, group) -> int:
    """Patients of a group from the row ``n``: "103", or "n = 103"."""
    match = re.fullmatch(r"(?:[nN] ?= ?)?(\d+)(?:\.0)?", _text(cell))
    if not match:
        raise ValueError(f"{name}: cannot read {cell!r} (n, {group}) as a number of patients.")
    return int(match[1])


def _read_p(name, variable, text) -> Figure | None:
    """Printed p-value; "NS" says only that it is not below 0.05, no text that there is none."""
    plain = re.sub(r"^[pP] ?(?:= ?)?(?=[<>.\d])", "", text)
    if not plain:
        return None
    if plain.lower().replace(".", "") == "ns":
        return Figure(0.05, 0.05, 1.0, text)
    try:
        return read_figure(plain)
    except ValueError as error:
        raise ValueError(f"{name}: {variable}, p: {error}") from error


def _read_cell(name, variable, group, text) -> tuple[Figure, ...]:
    """Figures of a cell: count and percentage, mean and SD, median and quartiles."""
    if not text:
        return ()
    patterns = (
        rf"(?:[^\W\d][^\d(]* )?({NUMBER}) ?\(({NUMBER})\)",  # "male 20 (50.0)" names its level
        rf"({NUMBER}) ?± ?({NUMBER})",
        rf"({NUMBER}) ?[\[(]({NUMBER}) ?(?:–|—|;|to|-) ?({NUMBER})[\])]",
        rf"({NUMBER})",
    )
    for pattern in patterns:
        match = re.fullmatch(pattern, text)
        if match:
            return tuple(read_figure(part) for part in match.groups())
    raise ValueError(
        f"{name}: cannot read {text!r} ({variable}, {group}); cells look like '74 (71.8)', "
        "'61.8 ± 12.6' or '70 [62–76]'."
    )


def _kind(variable, texts, cells) -> str:
    """Kind of a line from how its cells are written."""
    filled = [(t, cells[group]) for group, t in texts.items() if t]
    if not filled:
        return "categorical"
    longest = max(len(cell) for _, cell in filled)
    if longest < 2:
        return "number"
    if longest == 3:
        return "median_iqr"
    # No count has decimals: "61.8 (12.6)" is a mean and its SD.
    if any("±" in t or "." in cell[0].text for t, cell in filled):
        return "mean_sd"
    return "level" if ": " in str(variable) else "count"
