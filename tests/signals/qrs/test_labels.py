"""Criteria, bounds and quality held to readers; ``python -m benchmarks.qrs_real`` has all of it."""

import numpy as np
import pytest

from benchmarks._qrs_blocks import agreement_with_labels, nested_broad_r, nested_outermost
from benchmarks._qrs_delineation import bias_table, measure_ludb, quality_table
from benchmarks._qrs_quality import quality_against_readers

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ptbxl(data_dir):
    from benchmarks._qrs_blocks import measure_ptbxl

    folder = data_dir / "ptbxl_500hz"
    if not folder.is_dir():
        pytest.skip("needs the folder ptbxl_500hz in CRTKIT_DATA")
    with pytest.warns(UserWarning, match="measure_qrs found"):
        return measure_ptbxl(folder)


def test_flags_against_cardiologists(ptbxl):
    flags = agreement_with_labels(ptbxl)
    lbbb = flags.loc["lbbb_conventional"]
    assert lbbb["sensitivity"] >= 0.90
    assert lbbb["specificity_other"] >= 0.97
    assert lbbb["specificity_norm"] >= 0.995
    assert flags.loc["rbbb", "sensitivity"] >= 0.95
    assert flags.loc["rbbb", "specificity_norm"] >= 0.99
    assert flags.loc["ivcd", "sensitivity"] >= 0.6
    assert flags.loc["paced", "sensitivity"] >= 0.88
    assert flags.loc["paced", ["false_other", "false_norm"]].sum() == 0
    assert nested_outermost(ptbxl).loc["nested", "sensitivity"] >= 0.5
    nested = nested_broad_r(ptbxl).loc["nested"]
    assert nested["sensitivity"] >= 0.85


def test_bounds_against_hand_marks(data_dir):
    pytest.importorskip("wfdb")
    folder = data_dir / "ludb"
    if not folder.is_dir():
        pytest.skip("needs the folder ludb in CRTKIT_DATA")
    table = measure_ludb(folder)
    bias = bias_table(table)
    for name in ("two leads", "median of leads"):
        assert abs(bias.loc[f"QRS, {name}, less between medians of marks", "bias"]) <= 5
        assert bias.loc[f"QRS, {name}, less between medians of marks", "sd"] <= 11
        assert abs(bias.loc[f"onset, {name}, less median of marks", "bias"]) <= 6.5
        assert abs(bias.loc[f"offset, {name}, less median of marks", "bias"]) <= 6.5
    assert abs(bias.loc["PR", "bias"]) <= 5
    assert abs(bias.loc["QT", "bias"]) <= 10
    quality = quality_table(table)
    assert quality["spearman"] < -0.25
    assert quality["error_worst_tenth_ms"] > 2 * quality["error_rest_ms"]
    assert np.isfinite(list(quality.values())).all()


def test_quality_against_readers(data_dir):
    folder = data_dir / "cinc2011_seta"
    if not folder.is_dir():
        pytest.skip("needs the folder cinc2011_seta in CRTKIT_DATA")
    found = quality_against_readers(folder)
    assert found["auc"] >= 0.93
    assert found["sensitivity_at_95"] >= 0.75
