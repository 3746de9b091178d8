import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.utils import _safe_indexing, check_array

from crtkit.cohort.rows import Rows, spill


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    array = np.random.default_rng(0).normal(size=(9, 2, 5)).astype(np.float32)
    path = tmp_path_factory.mktemp("rows") / "signals.npy"
    return array, spill(list(array), path)


def test_the_file_is_a_plain_npy_file(stored):
    array, cells = stored
    path = cells[0].rpartition("#")[0]
    np.testing.assert_array_equal(np.load(path, allow_pickle=False), array)


@settings(max_examples=50, deadline=None)
@given(index=st.lists(st.integers(-9, 8), min_size=1, max_size=12))
def test_reads_the_rows_asked_for(stored, index):
    array, cells = stored
    rows = Rows.from_cells(cells)
    np.testing.assert_array_equal(np.asarray(rows[index]), array[index])
    np.testing.assert_array_equal(rows[index[0]], array[index[0]])
    np.testing.assert_array_equal(_safe_indexing(rows, index), array[index])


def test_behaves_as_an_array(stored):
    array, cells = stored
    rows = Rows.from_cells(cells)
    assert (rows.shape, rows.ndim, rows.dtype, rows.nbytes) == (
        array.shape,
        3,
        array.dtype,
        array.nbytes,
    )
    np.testing.assert_array_equal(np.asarray(rows[2:7:2]), array[2:7:2])
    mask = np.arange(9) % 2 == 0
    np.testing.assert_array_equal(np.asarray(rows[mask]), array[mask])
    np.testing.assert_array_equal(rows[:, 0], array[:, 0])
    np.testing.assert_array_equal(check_array(rows, allow_nd=True), array)
    assert np.asarray(rows, dtype=np.float64).dtype == np.float64
    with pytest.raises(IndexError):
        rows[9]


def test_several_files_are_one_array(tmp_path):
    a = spill(list(np.zeros((3, 4))), tmp_path / "a.npy")
    b = spill(list(np.ones((3, 4))), tmp_path / "b.npy")
    rows = Rows.from_cells([b[2], a[0], b[0]])
    np.testing.assert_array_equal(np.asarray(rows)[:, 0], [1, 0, 1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda d: [f"{d}/a.npy"], "Expected a cell"),
        (lambda d: _saved(d, np.zeros((2, 3)), rows=[5]), "has 2 rows, but a cell asks for row 5"),
        (lambda d: _saved(d, np.array([{}, {}]), rows=[0]), "Python objects"),
        (lambda d: _saved(d, np.asfortranarray(np.zeros((2, 3))), rows=[0]), "C-ordered"),
        (lambda d: _truncated(d), "is truncated"),
        (lambda d: _text(d), "cannot be read as a .npy file"),
        (
            lambda d: _saved(d, np.zeros((2, 3)), [0]) + _saved(d, np.zeros((2, 4)), [0], "b"),
            "rows of one shape and dtype",
        ),
    ],
)
def test_refuses(tmp_path, make, message):
    with pytest.raises(ValueError, match=message):
        Rows.from_cells(make(tmp_path))


def _with_header(path, header, data=b"\0" * 200):
    text = header.encode("latin1")
    text += b" " * (-(10 + len(text) + 1) % 64) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data)
    return f"{path}#0"


def _header(descr="'<f4'", shape="(2, 3)", order="False"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


@pytest.mark.parametrize(
    "header",
    [
        *(_header(shape=f"({a}, {b})") for a, b in ((-2, 3), (2, -3), (2**32, 2**32), (True, 3))),
        _header(shape="(2, 9223372036854775807, 2)"),
        _header(shape="3"),
        _header(order="'no'"),
        *(_header(descr=d) for d in ("'<c8'", "'<U4'", "'|V0'", "('<f4', (2,))", "[('a', '<f4')]")),
        _header()[:-4],
        "((((((" * 60,
        "\x00" * 40,
        "'" * 3,
        "",
    ],
)
def test_a_damaged_header_is_named(tmp_path, header):
    with pytest.raises(ValueError, match=r"damaged\.npy"):
        Rows.from_cells([_with_header(tmp_path / "damaged.npy", header)])


@settings(max_examples=300, deadline=None)
@given(at=st.lists(st.integers(0, 199), min_size=1, max_size=4), value=st.integers(0, 255))
def test_changed_bytes_are_read_or_refused_by_name(stored, at, value):
    _, cells = stored
    path = Path(cells[0].rpartition("#")[0])
    data = bytearray(path.read_bytes())
    for i in at:
        data[i] = value
    changed = path.with_name("changed.npy")
    changed.write_bytes(data)
    try:
        size = Rows.from_cells([f"{changed}#0"])[0].nbytes
    except ValueError as error:
        size = 0 if "changed.npy" in str(error) else np.inf
    assert size <= len(data)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.npy")
    with pytest.raises(ValueError, match="not a regular file"):
        Rows.from_cells([f"{tmp_path}/pipe.npy#0"])


def test_other_byte_orders_are_converted(tmp_path):
    array = np.arange(12.0).reshape(4, 3)
    np.save(tmp_path / "big.npy", array.astype(">f8"))
    rows = Rows.from_cells([f"{tmp_path}/big.npy#{i}" for i in range(4)])
    assert rows.dtype.isnative
    assert np.asarray(rows[[1, 3]]).dtype.isnative
    np.testing.assert_array_equal(np.asarray(rows), array)
    np.testing.assert_array_equal(rows[[1, 3]][1], array[3])


def test_a_file_that_shrank_is_named(tmp_path):
    cells = spill(list(np.zeros((4, 3))), tmp_path / "a.npy")
    rows = Rows.from_cells(cells)
    with open(tmp_path / "a.npy", "r+b") as file:
        file.truncate(140)
    with pytest.raises(OSError, match="ended early"):
        rows[3]


def test_nothing_half_written_is_left(tmp_path):
    def records():
        yield np.zeros(3)
        raise RuntimeError("a reader failed")

    with pytest.raises(RuntimeError):
        spill(records(), tmp_path / "a.npy")
    with pytest.raises(ValueError, match=r"Record 1 is \(4,\)"):
        spill([np.zeros(3), np.zeros(4)], tmp_path / "b.npy")
    assert list(tmp_path.iterdir()) == []


def _saved(folder, array, rows, name="a"):
    np.save(folder / f"{name}.npy", array, allow_pickle=True)
    return [f"{folder}/{name}.npy#{row}" for row in rows]


def _truncated(folder):
    cells = _saved(folder, np.zeros((2, 3)), rows=[0])
    with open(folder / "a.npy", "r+b") as file:
        file.truncate(130)
    return cells


def _text(folder):
    (folder / "a.npy").write_text("not an array")
    return [f"{folder}/a.npy#0"]
