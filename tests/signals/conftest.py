"""Reference beats whose QRS onset, offset, area and notches are known."""

import json
from pathlib import Path

import numpy as np
import pytest

QRS_DATA = Path(__file__).parents[1] / "data" / "qrs"


@pytest.fixture(scope="session")
def qrs_cases():
    """List of (case, clean, noisy): the truth, and (12, 2000) in mV at 500 Hz."""
    expected = json.loads((QRS_DATA / "expected.json").read_text())
    with np.load(QRS_DATA / "ecg.npz", allow_pickle=False) as arrays:
        return [
            (case, arrays[f"{case['id']}_clean"] / 1000.0, arrays[f"{case['id']}_20dB"] / 1000.0)
            for case in expected["cases"]
        ]


@pytest.fixture
def swap_arms():
    """Exchange the arm electrodes of a 12-lead record."""

    def swap(signal):
        one, two, three, avr, avl, avf, *chest = signal
        return np.stack([-one, three, two, avl, avr, avf, *chest])

    return swap
