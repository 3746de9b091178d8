"""How SCP-ECG stores numbers: Huffman tables, differences, and reference beats subtracted."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

STANDARD_TABLE = 19999
_MOST_CODES = 4096


@dataclass(frozen=True)
class Code:
    """One row of a Huffman table: a prefix, and what follows it."""

    n_prefix: int
    n_bits: int
    switch: int | None  # the table that is used from here on, instead of a value
    base: int


@dataclass(frozen=True)
class Tables:
    """Huffman tables of a file, each from (number of bits, bits) to its row."""

    tables: tuple[dict[tuple[int, int], Code], ...]


def read_tables(section: bytes) -> Tables | None:
    """Tables of section 2; None for the standard's own.

    Raises
    ------
    ValueError
        A table is empty, or a code cannot be one.
    """
    count = struct.unpack_from("<H", section)[0]
    if count == STANDARD_TABLE:
        return None
    tables = []
    at = 2
    for _ in range(count):
        n_codes = struct.unpack_from("<H", section, at)[0]
        at += 2
        if not 0 < n_codes <= _MOST_CODES:
            raise ValueError(f"a Huffman table of {n_codes} codes")
        table: dict[tuple[int, int], Code] = {}
        for _ in range(n_codes):
            n_prefix, n_bits, mode, base, code = struct.unpack_from("<BBBhI", section, at)
            at += 9
            if not 0 < n_prefix <= 32 or n_bits < n_prefix or n_bits - n_prefix > 32:
                raise ValueError(f"a Huffman code of {n_prefix} of {n_bits} bits")
            # The first bit of a code is the lowest of the stored number.
            bits = int(f"{code:032b}"[::-1][:n_prefix], 2)
            table[n_prefix, bits] = Code(n_prefix, n_bits, None if mode else base, base)
        tables.append(table)
    if not tables:
        raise ValueError("no Huffman table")
    return Tables(tuple(tables))


def unpack_values(block: bytes, n_samples: int, tables: Tables | None) -> np.ndarray:
    """Values of a block, by the file's tables or the standard's.

    Parameters
    ----------
    block : bytes
    n_samples : int
    tables : Tables or None

    Returns
    -------
    ndarray of int64, shape (up to n_samples,)
        Fewer where the block ends before.
    """
    return _standard(block, n_samples) if tables is None else _by_tables(block, n_samples, tables)


def _by_tables(block: bytes, n_samples: int, tables: Tables) -> np.ndarray:
    # Codes have no fixed width: a text of bits is slower than arrays, but each code is looked up
    # once per length, and own tables are rare.
    bits = "".join(f"{byte:08b}" for byte in block)
    table = tables.tables[0]
    longest = max(n for one in tables.tables for n, _ in one)
    values: list[int] = []
    at = 0
    while len(values) < n_samples:
        for n in range(1, min(longest, len(bits) - at) + 1):
            code = table.get((n, int(bits[at : at + n], 2)))
            if code is not None:
                break
        else:
            break  # the end of the block, or bits that no code begins with
        end = at + code.n_bits
        if end > len(bits):
            break
        at += code.n_prefix
        if code.switch is not None:
            if not 1 <= code.switch <= len(tables.tables):
                break
            table = tables.tables[code.switch - 1]
        elif end > at:
            # What follows the prefix is the value itself, in two's complement.
            value, half = int(bits[at:end], 2), 1 << (end - at - 1)
            values.append((value ^ half) - half)
        else:
            values.append(code.base)
        at = end
    return np.array(values, dtype=np.int64)


def _standard(block: bytes, n_samples: int) -> np.ndarray:
    """Values of the standard's Huffman code.

    A value k from -8 to 8 is |k| ones (at most: one for 0), a zero, and a sign bit; nine ones and
    a one more are followed by 8 bits, or by 16.
    """
    bits = np.unpackbits(np.frombuffer(block, dtype=np.uint8))
    zeros = np.flatnonzero(bits == 0).tolist() + [len(bits)]
    listed = bits.tolist()
    values: list[int] = []
    at = place = 0
    while len(values) < n_samples and at < len(listed):
        while place < len(zeros) - 1 and zeros[place] < at:
            place += 1
        ones = zeros[place] - at
        if ones == 0:
            values.append(0)
            at += 1
        elif ones < 9:
            if at + ones + 1 >= len(listed):
                break
            values.append(-ones if listed[at + ones + 1] else ones)
            at += ones + 2
        else:
            # Nine ones: a zero then means 8 bits, a tenth one 16.
            width = 8 if ones == 9 else 16
            start = at + 10
            if start + width > len(listed):
                break
            number = int("".join(map(str, listed[start : start + width])), 2)
            values.append(number - (1 << width) if listed[start] else number)
            at = start + width
    return np.array(values, dtype=np.int64)


def integrate(values: np.ndarray, order: int) -> np.ndarray:
    """Samples of first or second differences; the first one or two are stored as they are."""
    if order == 0 or len(values) < 2:
        return values
    if order == 1:
        return np.cumsum(values)
    slope = np.cumsum(np.concatenate([[values[1] - values[0]], values[2:]]))
    return values[0] + np.concatenate([[0], np.cumsum(slope)])


def add_reference_beats(
    residual: np.ndarray, beat: np.ndarray, fiducial: int, places: list[tuple[int, int, int]]
) -> np.ndarray:
    """Samples of a lead whose reference beat was subtracted at each QRS complex.

    Parameters
    ----------
    residual : ndarray of shape (n_samples,)
    beat : ndarray of shape (n_beat,)
        In the unit of ``residual``.
    fiducial : int
        Sample of the beat, from 1, that lies on a complex's fiducial point.
    places : list of (first, fiducial, last)
        Samples, from 1, between which the beat was subtracted.

    Returns
    -------
    ndarray of shape (n_samples,)
    """
    out = residual.astype(float)
    for first, middle, last in places:
        # Both count from 1; the overlap of the beat's samples with the window and the record.
        shift = fiducial - middle
        start = max(first, 1, 1 - shift)
        stop = min(last, len(out), len(beat) - shift)
        if start <= stop:
            out[start - 1 : stop] += beat[start - 1 + shift : stop + shift]
    return out
