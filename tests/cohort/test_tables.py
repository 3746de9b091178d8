"""Tables as people save them: read for certain, or refused with line, cause and remedy."""

import os
import re
import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from crtkit import Select, read_manifest
from crtkit.cohort.tables import read_table

ROLES = {"label": "responder", "group": "patient"}
HEADER = ["patient", "responder", "qrs_duration_ms", "lvef"]
ROWS = [[f"P{i}", ("nein", "ja")[i % 2], 140.5 + i, 25.25 + i % 9] for i in range(30)]


def _save(path, *, sep=",", decimal=".", quote="", encoding="utf-8", newline="\n", header=HEADER):
    def text(cell):
        cell = str(cell).replace(".", decimal) if isinstance(cell, float) else str(cell)
        return f"{quote}{cell}{quote}" if decimal in cell or sep in cell else cell

    lines = [sep.join(header), *(sep.join(map(text, row)) for row in ROWS)]
    path.write_bytes((newline.join(lines) + newline).encode(encoding))
    return path


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(
    ("sep", "decimal", "quote"),
    [
        *((sep, ".", "") for sep in ",;|"),
        *((sep, ",", "") for sep in ";\t"),
        (",", ",", '"'),
    ],
)
def test_what_can_be_told_apart_is_read(tmp_path, sep, decimal, quote, encoding, newline):
    header = [*HEADER[:3], "größe"]
    path = _save(
        tmp_path / "m.csv",
        sep=sep,
        decimal=decimal,
        quote=quote,
        encoding=encoding,
        newline=newline,
        header=header,
    )
    cohort = read_manifest(path, **ROLES)
    assert list(cohort.X.columns) == header[2:]
    np.testing.assert_array_equal(cohort.X["qrs_duration_ms"], [row[2] for row in ROWS])
    np.testing.assert_array_equal(cohort.X["größe"], [row[3] for row in ROWS])
    assert cohort.y.tolist() == [row[1] for row in ROWS]
    assert cohort.groups.tolist() == [row[0] for row in ROWS]


def test_excel_reads_as_csv(tmp_path):
    pytest.importorskip("openpyxl")
    rows = [[i + 1, *row[1:], None if i % 3 else "RV"] for i, row in enumerate(ROWS)]
    table = pd.DataFrame(rows, columns=[*HEADER, "pacing"])
    table.to_excel(tmp_path / "m.xlsx", index=False)
    table.to_csv(tmp_path / "m.csv", index=False)
    a, b = (read_manifest(tmp_path / f"m.{suffix}", **ROLES) for suffix in ("xlsx", "csv"))
    pd.testing.assert_frame_equal(a.X, b.X)
    assert a.groups.tolist() == b.groups.tolist() == [str(i + 1) for i in range(30)]
    assert a.fingerprint() == b.fingerprint()


def test_a_line_that_names_the_separator_is_read(tmp_path):
    path = _save(tmp_path / "m.csv", sep=";", decimal=",")
    path.write_text("sep=;\n" + path.read_text())
    assert len(read_manifest(path, **ROLES)) == 30
    path.write_text(path.read_text().replace("P3;ja", "P3;ja;"))
    with pytest.raises(ValueError, match="line 6: 5 fields"):
        read_manifest(path, **ROLES)


def test_identifiers_that_a_spreadsheet_changed_are_refused(tmp_path):
    table = pd.DataFrame({"patient": ["1.23457E+11", "7"], "responder": [0, 1]})
    with pytest.raises(ValueError, match="rounded numbers, for example .'1.23457E.11'"):
        read_manifest(table, **ROLES)
    pytest.importorskip("openpyxl")
    table["patient"] = [pd.Timestamp("2026-04-03"), "7"]
    table.to_excel(tmp_path / "m.xlsx", index=False)
    with pytest.raises(ValueError, match="'patient' holds 1 date.*2026-04-03"):
        read_manifest(tmp_path / "m.xlsx", **ROLES)


def test_several_sheets_are_refused(tmp_path):
    pytest.importorskip("openpyxl")
    with pd.ExcelWriter(tmp_path / "m.xlsx") as book:
        for sheet in ("patients", "old"):
            pd.DataFrame(ROWS, columns=HEADER).to_excel(book, sheet_name=sheet, index=False)
    with pytest.raises(ValueError, match=r"2 sheets with cells, \['patients', 'old'\]"):
        read_manifest(tmp_path / "m.xlsx", **ROLES)


def _each(row, header="{}", first=1, last=None):
    """Change of the lines of a file: rows from ``first`` to ``last``, and the header."""

    def change(lines):
        last_row = len(lines) if last is None else last
        changed = [row.format(x) if first <= i < last_row else x for i, x in enumerate(lines)]
        return [header.format(lines[0]), *changed[1:]]

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_each("{},"), "line 2: 5 fields.*ends with a separator"),
        (_each("{},", first=5, last=6), "line 6: 5 fields"),
        (_each("{},7", first=5, last=6), "line 6: .*decimal comma"),
        (_each("{},5"), "line 2: .*decimal comma"),
        (_each("P8,ja,1", first=9, last=10), "line 10: 3 fields"),
        (_each('P8,"ja,1,2', first=9, last=10), "line 10"),
        (_each("{},ja", header="{},responder"), r"\['responder'\] more than once"),
        (_each("{},1", header="{},lvef"), r"\['lvef'\] more than once"),
        (_each("{},1", header="{}, lvef"), r"\['lvef'\] more than once"),
        (_each("{},x", header="{},"), "column 5 holds cells but has no name in the header"),
    ],
)
def test_columns_never_shift(tmp_path, change, message):
    lines = _save(tmp_path / "m.csv").read_text().splitlines()
    (tmp_path / "m.csv").write_text("\n".join(change(lines)) + "\n")
    with pytest.raises(ValueError, match=message):
        read_manifest(tmp_path / "m.csv", **ROLES)


@pytest.mark.parametrize(
    "change",
    [
        _each("{},", header="{},"),
        _each("{}", header="{},"),
        lambda lines: [f"{'' if i == 0 else i - 1},{line}" for i, line in enumerate(lines)],
        lambda lines: [f"{'' if i == 0 else i},{line}" for i, line in enumerate(lines)],
        lambda lines: [lines[0].replace(",", " ,"), *lines[1:]],
        lambda lines: [*lines, ",,,", ""],
        lambda lines: ["", *lines],
    ],
)
def test_what_holds_nothing_is_left_out(tmp_path, change):
    path = _save(tmp_path / "m.csv")
    want = read_manifest(path, **ROLES)
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")
    got = read_manifest(path, **ROLES)
    pd.testing.assert_frame_equal(got.X, want.X)
    assert got.fingerprint() == want.fingerprint()


def test_another_encoding_is_named_and_can_be_said(tmp_path):
    path = _save(tmp_path / "m.csv", encoding="cp1252", header=[*HEADER[:3], "größe"])
    with pytest.raises(ValueError, match="not UTF-8: line 1 holds the byte 0xf6.*encoding="):
        read_manifest(path, **ROLES)
    assert "größe" in read_manifest(path, encoding="cp1252", **ROLES).X
    with pytest.raises(ValueError, match="encoding='utf-99' is unknown"):
        read_manifest(path, encoding="utf-99", **ROLES)


def test_utf_16_without_a_mark_is_named(tmp_path):
    path = _save(tmp_path / "m.csv", encoding="utf-16-le")
    with pytest.raises(ValueError, match="utf-16-le"):
        read_manifest(path, **ROLES)
    assert len(read_manifest(path, encoding="utf-16-le", **ROLES)) == 30


def test_two_possible_separators_are_asked_for(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("patient;x,responder;y\na;1,0;2\nb;1,1;2\n")
    with pytest.raises(ValueError, match="sep="):
        read_table(path)
    assert list(read_table(path, sep=";").columns) == ["patient", "x,responder", "y"]


@pytest.mark.parametrize("cells", [["1,234", "2,500"], ["1,5", "2.5"], ["0,5", "1.25"]])
def test_a_comma_of_unknown_meaning_is_refused(tmp_path, cells):
    path = tmp_path / "m.csv"
    path.write_text("patient;volume\n" + "\n".join(f"p;{cell}" for cell in cells))
    with pytest.raises(ValueError, match=r"'volume' holds '.*row 0.*decimal="):
        read_table(path)


def test_the_decimal_comma_can_be_said(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("patient;volume\na;1,234\nb;2,500\n")
    assert read_table(path, decimal=",")["volume"].tolist() == [1.234, 2.5]


def test_only_empty_cells_are_missing(tmp_path):
    ids = ["AA", "NA", "null", "N/A", "None", "MS"]
    pacing = ["None", "RV", "", "None", " ", "NA"]
    rows = [f"{p},{i % 2},{c}" for i, (p, c) in enumerate(zip(ids, pacing))]
    (tmp_path / "m.csv").write_text("\n".join(["patient,responder,pacing", *rows]))
    cohort = read_manifest(tmp_path / "m.csv", **ROLES)
    assert cohort.groups.tolist() == ids
    assert cohort.X["pacing"].fillna("-").tolist() == ["None", "RV", "-", "None", "-", "NA"]
    levels = pd.DataFrame({"patient": range(4), "responder": ["None", "LBBB"] * 2})
    levels.to_csv(tmp_path / "l.csv", index=False)
    assert set(read_manifest(tmp_path / "l.csv", **ROLES).y) == {"None", "LBBB"}


@pytest.mark.parametrize("cell", ["", "nan", "NaN", " ", "<NA>"])
@pytest.mark.parametrize(("column", "role"), [("patient", "patient"), ("responder", "label")])
def test_a_patient_or_label_that_is_none_is_refused(tmp_path, cell, column, role):
    table = pd.DataFrame({"patient": ["a", "b", "c"], "responder": ["x", "y", "x"], "age": 60})
    table.loc[1, column] = cell
    table.to_csv(tmp_path / "m.csv", index=False)
    for manifest in (tmp_path / "m.csv", table):
        with pytest.raises(ValueError, match=rf"1 row\(s\) have no {role} .* at row 1"):
            read_manifest(manifest, **ROLES)


def test_words_in_a_column_of_numbers_must_be_declared(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("patient,responder,lvef\na,0,25\nb,1,NA\nNA,0,999\n")
    with pytest.raises(ValueError, match=r"'lvef' holds numbers, and the text 'NA'.*na_values="):
        read_manifest(path, **ROLES)
    for codes in ({"lvef": ["NA", 999]}, ["NA", 999]):
        cohort = read_manifest(path, na_values=codes, **ROLES)
        np.testing.assert_array_equal(cohort.X["lvef"], [25, np.nan, np.nan])
        assert cohort.groups.tolist() == ["a", "b", "NA"]
    with pytest.raises(ValueError, match=r"na_values= names \['LVEF'\]"):
        read_manifest(path, na_values={"LVEF": [999]}, **ROLES)


def test_flags_with_empty_cells_are_numbers(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("patient,responder,lbbb,rv\na,0,True,TRUE\nb,1,,False\nc,0,False,true\n")
    cohort = read_manifest(path, **ROLES)
    np.testing.assert_array_equal(cohort.X["lbbb"], [1, np.nan, 0])
    flags = Select(["lbbb", "rv"]).fit_transform(cohort.X)
    np.testing.assert_array_equal(flags[:, 1], [1, 0, 1])
    table = pd.DataFrame({"patient": [1, 2, 3], "responder": [0, 1, 0]})
    table["lbbb"] = [True, None, False]
    np.testing.assert_array_equal(read_manifest(table, **ROLES).X["lbbb"], [1, np.nan, 0])


def test_labels_that_differ_by_blanks_or_case_are_named():
    labels = ["yes", "no", "Yes ", "no", "no", "no"]
    table = pd.DataFrame({"patient": range(6), "responder": labels})
    with pytest.raises(ValueError, match=r"differ only by blanks or case: \[\('yes', 'Yes '\)\]"):
        read_manifest(table, **ROLES)
    table = table.assign(responder=[0, 1] * 3, sex=["m", "f", "m ", "f", "f", "F"])
    with pytest.warns(UserWarning, match="Levels of column 'sex' differ only by blanks or case"):
        read_manifest(table, **ROLES)


def test_labels_1_and_2_are_asked_for():
    table = pd.DataFrame({"patient": range(4), "responder": [1, 2, 2, 1]})
    with pytest.raises(ValueError, match="either may mean yes"):
        read_manifest(table, **ROLES)
    assert read_manifest(table, classes=[2, 1], **ROLES).info["classes"] == [2, 1]


def test_an_ordered_label_keeps_its_order():
    dtype = pd.CategoricalDtype(["poor", "good"], ordered=True)
    labels = pd.Series(["poor", "good"] * 2, dtype=dtype)
    table = pd.DataFrame({"patient": range(4), "responder": labels})
    assert read_manifest(table, **ROLES).info["classes"] == ["poor", "good"]
    unordered = table.assign(responder=table["responder"].astype(str))
    assert "classes" not in read_manifest(unordered, **ROLES).info


def test_one_patient_in_any_spelling():
    table = pd.DataFrame({"patient": [1, "1", 1.0, "02"], "responder": [0, 0, 0, 1]})
    assert read_manifest(table, **ROLES).n_patients == 2
    with pytest.raises(ValueError, match="several labels"):
        read_manifest(table.assign(responder=[0, 1, 0, 1]), **ROLES)


def test_records_without_labels_are_read(tmp_path):
    pd.DataFrame(ROWS, columns=HEADER).drop(columns="responder").to_csv(tmp_path / "m.csv")
    cohort = read_manifest(tmp_path / "m.csv", label=None, group="patient")
    assert np.isnan(cohort.y).all()
    assert "classes" not in cohort.info
    assert "no labels" in repr(cohort)


def test_paths_outlive_a_change_of_folder(tmp_path, monkeypatch):
    (tmp_path / "pages").mkdir()
    table = pd.DataFrame({"patient": [1, 2], "responder": [0, 1], "file": ["a.jpg", "sub\\b.jpg"]})
    (tmp_path / "pages" / "sub").mkdir()
    for name in ("a.jpg", "sub/b.jpg"):
        (tmp_path / "pages" / name).write_bytes(name.encode())
    table.to_csv(tmp_path / "pages" / "m.csv", index=False)
    monkeypatch.chdir(tmp_path)
    cohorts = [
        read_manifest("pages/m.csv", image="file", **ROLES),
        read_manifest(table, image="file", root="pages", **ROLES),
    ]
    marks = [cohort.fingerprint() for cohort in cohorts]
    monkeypatch.chdir("/")
    assert [cohort.fingerprint() for cohort in cohorts] == marks
    assert all(os.path.isfile(cell) for cohort in cohorts for cell in cohort.X["image"])


@pytest.mark.skipif(os.name == "nt", reason="these paths are read there")
@pytest.mark.parametrize("cell", ["C:\\pages\\a.jpg", "c:/pages/a.jpg", "\\\\server\\pages\\a.jpg"])
def test_absolute_paths_of_windows_are_refused_by_name(tmp_path, cell):
    table = pd.DataFrame({"patient": [1, 2], "responder": [0, 1], "file": [cell, "b.jpg"]})
    with pytest.raises(ValueError, match="files of Windows, .*relative to the manifest"):
        read_manifest(table, image="file", root=tmp_path, **ROLES)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "m.csv")
    with pytest.raises(FileNotFoundError, match="is not a file"):
        read_manifest(tmp_path / "m.csv", **ROLES)


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(k, marks=pytest.mark.slow) for k in range(1, 30))]
)
@pytest.mark.parametrize(
    ("suffix", "needs"), [("csv", "csv"), ("xlsx", "openpyxl"), ("parquet", "pyarrow")]
)
@pytest.mark.filterwarnings("ignore")
def test_damaged_tables_are_read_or_refused_by_name(tmp_path, suffix, needs, seed):
    pytest.importorskip(needs)
    table = pd.DataFrame({"patient": list("abcdef"), "responder": [0, 1] * 3, "age": 60.5})
    writer = {"csv": "to_csv", "xlsx": "to_excel", "parquet": "to_parquet"}[suffix]
    path = tmp_path / f"damaged.{suffix}"
    getattr(table, writer)(path, index=False)
    data, rng = path.read_bytes(), np.random.default_rng(seed)
    for i in range(40):
        damaged = bytearray(data if i % 4 else data[: rng.integers(1, len(data))])
        for at in rng.integers(0, len(damaged), size=rng.integers(1, 5)):
            damaged[at] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            n_rows = len(read_manifest(path, **ROLES))
        except ValueError:
            continue
        assert 0 < n_rows <= 12


CELLS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8
).filter(lambda t: t.strip() == t and t.casefold() not in ("nan", "nat", "<na>"))


@settings(max_examples=60, deadline=None)
@given(
    ids=st.lists(CELLS, min_size=2, max_size=6, unique=True),
    numbers=st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=6, max_size=6),
    sep=st.sampled_from([",", ";", "\t"]),
)
def test_writing_and_reading_is_the_identity(tmp_path_factory, ids, numbers, sep):
    path = tmp_path_factory.mktemp("table") / "m.csv"
    table = pd.DataFrame(
        {"patient": ids, "responder": np.arange(len(ids)) % 2, "age": numbers[: len(ids)]}
    )
    table.to_csv(path, index=False, sep=sep)
    got = read_table(path, as_text=["patient"], sep=sep)
    assert got["patient"].tolist() == ids
    np.testing.assert_allclose(got["age"], table["age"], rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(order=st.permutations(range(12)))
def test_the_order_of_rows_and_columns_changes_nothing_else(order):
    table = pd.DataFrame(
        {
            "patient": np.arange(12) // 2,
            "responder": np.arange(12) // 2 % 2,
            "age": np.arange(12) + 60.0,
            "sex": ["m", "f"] * 6,
        }
    )
    a = read_manifest(table, **ROLES)
    b = read_manifest(table.iloc[list(order)][["sex", "age", "responder", "patient"]], **ROLES)
    np.testing.assert_array_equal(b.y, a.y[list(order)])
    np.testing.assert_array_equal(b.groups, a.groups[list(order)])
    pd.testing.assert_frame_equal(b.X[["age", "sex"]], a.X.iloc[list(order)].reset_index(drop=True))


@pytest.mark.parametrize("n_rows", [3, 30])
def test_a_quotation_mark_that_is_not_closed_swallows_no_rows(tmp_path, n_rows):
    rows = [f"P{i},{i % 2},note" for i in range(n_rows)]
    rows[1] = 'P1,1,"note'
    (tmp_path / "m.csv").write_text("\n".join(["patient,responder,remark", *rows]) + "\n")
    with pytest.raises(ValueError, match="line 3: a quotation mark is opened and not closed"):
        read_manifest(tmp_path / "m.csv", **ROLES)


@pytest.mark.parametrize("mark", ["\u200b", "\u200e", "\u00ad", "\ufeff"])
def test_patients_that_differ_by_what_nobody_sees_are_refused(tmp_path, mark):
    lines = ["patient,responder", "P1,1", f"P1{mark},1", "P2,0"]
    (tmp_path / "m.csv").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ValueError, match="characters that nobody sees"):
        read_manifest(tmp_path / "m.csv", **ROLES)


@pytest.mark.parametrize(
    "codes", [["999", "-1"], [999, -1], iter([999, "-1"]), {"lvef": ["999", -1]}]
)
def test_codes_are_the_same_as_text_and_as_numbers(tmp_path, codes):
    path = tmp_path / "cohort.csv"
    rows = [f"P{i},{i % 2},{25 + i},a" for i in range(20)]
    path.write_text("\n".join(["patient,responder,lvef,x", *rows, "Q,0,999,a", "R,1,-1.0,a"]))
    cohort = read_manifest(path, na_values=codes, **ROLES)
    assert cohort.X["lvef"].isna().tolist() == [False] * 20 + [True] * 2
    assert read_table(path, na_values=[]).isna().sum().sum() == 0


@pytest.mark.slow
def test_a_late_word_makes_no_column_of_two_kinds(tmp_path):
    # pandas decides by parts, the first of which has a quarter of a million rows here.
    path = tmp_path / "cohort.csv"
    rows = [f"{i},{25 + i % 40}" for i in range(263_000)]
    path.write_text("\n".join(["patient,bnp", *rows, "last,NA"]))
    with pytest.raises(ValueError, match="column 'bnp' holds numbers, and the text 'NA'"):
        read_table(path)


@pytest.mark.parametrize("text", [",,,\n,,,\n", "sep=;\n", '""\n', "sep=;\n;;\n"])
def test_a_table_of_nothing_is_named(tmp_path, text):
    path = tmp_path / "cohort.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"cohort.csv cannot be read: no line holds anything"):
        read_table(path)


@pytest.mark.filterwarnings("error::ResourceWarning")
def test_a_workbook_is_read_to_its_end_whatever_size_it_claims(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in [HEADER, *ROWS]:
        book.active.append(row)
    book.save(tmp_path / "whole.xlsx")
    path = tmp_path / "cohort.xlsx"
    # As some programs write it: the size that the sheet had when it was made.
    with zipfile.ZipFile(tmp_path / "whole.xlsx") as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("sheet1.xml"):
                data, n = re.subn(rb'<dimension ref="[^"]*"', b'<dimension ref="A1:B7"', data)
                assert n == 1
            new.writestr(name, data)
    pd.testing.assert_frame_equal(read_table(path), read_table(tmp_path / "whole.xlsx"))
    assert len(read_table(path)) == len(ROWS)


def test_a_date_among_numbers_is_named():
    import datetime

    table = pd.DataFrame(ROWS[:6], columns=HEADER).astype({"lvef": object})
    table.loc[2, "lvef"] = datetime.datetime(2020, 5, 3)
    table.loc[3, "lvef"] = "31"
    with pytest.raises(
        ValueError, match=r"'lvef' holds datetime.*at row 2.*made a date of a number"
    ):
        read_manifest(table, **ROLES)


@pytest.mark.parametrize("cell", [7, b"a.jpg", np.zeros((12, 100))])
def test_a_cell_that_is_no_file_name_is_named(cell, tmp_path):
    table = pd.DataFrame({**dict(zip(HEADER[:2], (["a", "b"], [0, 1]))), "file": [cell, cell]})
    with pytest.raises(ValueError, match=rf"'file' holds {type(cell).__name__} at row 0"):
        read_manifest(table, image="file", root=tmp_path, **ROLES)


def test_formulas_without_values_are_refused(tmp_path):
    """A library wrote them and no spreadsheet computed them; they would be read as missing."""
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["patient", "age"], ["a", 61], ["b", "=1+60"], ["c", "=B2"]):
        book.active.append(row)
    book.save(tmp_path / "bare.xlsx")
    with pytest.raises(ValueError, match=r"2 formula\(s\) without values, the first in B3"):
        read_table(tmp_path / "bare.xlsx")
    # As a spreadsheet saves them: computed, and one whose value is an empty text.
    path = tmp_path / "computed.xlsx"
    with zipfile.ZipFile(tmp_path / "bare.xlsx") as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            data = re.sub(rb'(r="B3")([^>]*><f>1\+60</f>)<v\s*/?>(</v>)?', rb"\1\2<v>61</v>", data)
            data = re.sub(rb'(r="B4")([^>]*><f>B2</f>)', rb'\1 t="str"\2', data)
            new.writestr(name, data)
    table = read_table(path)
    assert table["age"].tolist()[:2] == [61, 61]
    assert pd.isna(table["age"][2])
