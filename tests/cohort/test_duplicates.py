"""One record under two patients is found by content."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from crtkit import Cohort, read_manifest
from crtkit.cohort import refuse_shared_records, shared_records
from crtkit.cohort.rows import spill

RNG = np.random.default_rng(0)
SIGNALS = [RNG.normal(size=(2, 50)) for _ in range(6)]


def _cohort(cells, groups, column="signal"):
    column_of = np.empty(len(cells), dtype=object)
    for i, cell in enumerate(cells):
        column_of[i] = cell
    return Cohort(pd.DataFrame({column: column_of}), [0, 1] * (len(cells) // 2), groups)


@settings(max_examples=40, deadline=None)
@given(order=st.permutations([0, 1, 2, 3, 4, 5, 0, 3]))
def test_copies_are_found_in_any_order(order):
    groups = [f"p{i}" for i in range(8)]
    table = shared_records(_cohort([SIGNALS[k] for k in order], groups))
    assert {tuple(sorted(pair)) for pair in zip(table["row"], table["other_row"])} == {
        tuple(i for i, k in enumerate(order) if k == twice) for twice in (0, 3)
    }
    assert (table["patient"] != table["other_patient"]).all()


def test_a_patients_own_copies_are_no_leak():
    cells = [SIGNALS[0], SIGNALS[0], SIGNALS[1], SIGNALS[2]]
    assert shared_records(_cohort(cells, [1, 1.0, 2, 3])).empty
    refuse_shared_records(_cohort(cells, ["a", "a", "b", "c"]))
    with pytest.raises(ValueError, match=r"1 record.*row 1 .patient 'b'. equals.* row 0"):
        refuse_shared_records(_cohort(cells, ["a", "b", "c", "d"]))


def test_arrays_rows_tensors_and_precisions_are_one_content(tmp_path):
    torch = pytest.importorskip("torch")
    array = SIGNALS[0].astype(np.float32)
    as_rows = spill([array, SIGNALS[1].astype(np.float32)], tmp_path / "a.npy")
    cells = [array.astype(np.float64), torch.tensor(array), as_rows[0], as_rows[1]]
    assert len(shared_records(_cohort(cells[:2], [1, 2]))) == 1
    other = _cohort(as_rows, [7, 8])
    assert shared_records(_cohort(cells[:2], [1, 2]), other)["other_patient"].tolist() == [7, 7]


def test_files_are_compared_by_their_bytes(tmp_path):
    for name, content in (("a", b"page one"), ("b", b"page two"), ("c", b"page one")):
        (tmp_path / f"{name}.jpg").write_bytes(content)
    cells = [str(tmp_path / f"{name}.jpg") for name in "abcb"]
    table = shared_records(_cohort(cells, [1, 2, 3, 2], "image"))
    assert table[["row", "other_row"]].to_numpy().tolist() == [[2, 0]]


def test_cells_without_content_are_left_out():
    cells = [
        np.zeros((2, 50)),
        np.zeros((2, 50)),
        np.full((2, 50), np.nan),
        np.full((2, 50), np.nan),
    ]
    assert shared_records(_cohort(cells, [1, 2, 3, 4])).empty


def test_a_part_of_a_file_is_one_record_in_any_spelling(tmp_path):
    (tmp_path / "scan.pdf").write_bytes(b"%PDF")
    (tmp_path / "link.pdf").symlink_to(tmp_path / "scan.pdf")
    for other in ("scan.pdf#page=01", "link.pdf#page=1"):
        table = pd.DataFrame({"id": ["a", "b"], "y": [0, 1], "page": ["scan.pdf#page=1", other]})
        with pytest.raises(ValueError, match="image record"):
            read_manifest(table, label="y", group="id", image="page", root=tmp_path)
