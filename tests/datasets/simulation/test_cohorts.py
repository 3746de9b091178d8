"""make_cohort: margins as the papers print them, one patient behind table and ECG, same bits."""

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crtkit._leads import LEADS_12
from crtkit.cohort import Select, cells
from crtkit.datasets import make_cohort

STUDIES = ("mori2025", "he2023", "lvsd2026")

# (non-responders, responders), Table 1 of each paper.
MORI_COUNTS = {
    "male": (74, 124),
    "ischaemic": (22, 40),
    "lbbb": (19, 86),
    "paced": (25, 30),
    "crtd": (77, 147),
    "af": (18, 24),
}
MORI_QUARTILES = {
    "age": ((70, 62, 76), (68, 61, 75)),
    "lvef": ((27.0, 21.3, 34.0), (25.0, 20.0, 33.0)),
    "lvesv": ((108.0, 78.6, 157.8), (124.4, 91.7, 170.4)),
}
HE_COUNTS = {
    "acei_arb": (22, 36),
    "male": (22, 34),
    "ckd": (3, 2),
    "diabetes": (9, 6),
    "hypertension": (11, 22),
    "smoking": (10, 20),
    "beta_blocker": (24, 40),
    "spironolactone": (23, 38),
    "digoxin": (6, 8),
    "diuretic": (21, 40),
    "lbbb": (13, 44),
}
HE_MOMENTS = {
    "age": ((63.2, 11.7), (61.0, 13.1)),
    "height_cm": ((167.4, 8.0), (167.0, 6.7)),
    "weight_kg": ((69.4, 16.8), (67.0, 13.6)),
    "qrs_duration_ms": ((158.4, 23.7), (179.4, 19.8)),
    "lvef": ((25.2, 4.7), (27.8, 5.1)),
    "lvedv": ((310.4, 78.9), (272.9, 86.4)),
    "lvesv": ((234.2, 69.6), (199.1, 74.9)),
    "scar": ((32.0, 11.8), (23.2, 11.2)),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("study", "sizes", "counts"),
    [("mori2025", (103, 182), MORI_COUNTS), ("he2023", (25, 46), HE_COUNTS)],
)
def test_counts_given_response_are_the_printed_ones(study, sizes, counts, seed):
    cohort = make_cohort(study, modality="table", random_state=seed)
    assert tuple(np.bincount(cohort.y)) == sizes
    found = cohort.X[list(counts)].groupby(cohort.y).sum()
    assert {name: tuple(found[name]) for name in counts} == counts


@pytest.mark.parametrize("name", MORI_QUARTILES)
def test_mori2025_quartiles_in_many_patients_and_in_the_paper_s_number(name):
    many = make_cohort("mori2025", 40_000, "table", random_state=1)
    cohorts = [make_cohort("mori2025", modality="table", random_state=s) for s in range(5)]
    for y in (0, 1):
        median, q1, q3 = MORI_QUARTILES[name][y]
        spread = (q3 - q1) / 1.349
        found = np.quantile(many.X[name][many.y == y], [0.5, 0.25, 0.75])
        # Ages are whole years; the rest is sampling error at 14,000 to 26,000.
        tolerance = 0.05 * spread + (0.5 if name == "age" else 0.05)
        np.testing.assert_allclose(found, [median, q1, q3], atol=tolerance)
        for cohort in cohorts:
            values = cohort.X[name][cohort.y == y]
            error = 1.2533 * spread / np.sqrt(len(values))
            assert abs(values.median() - median) < 4 * error + 0.5


@pytest.mark.parametrize("name", HE_MOMENTS)
def test_he2023_means_and_sds_in_many_patients_and_in_the_paper_s_number(name):
    many = make_cohort("he2023", 40_000, "table", random_state=1)
    cohorts = [make_cohort("he2023", modality="table", random_state=s) for s in range(5)]
    # LVESV follows from LVEDV and LVEF: near its printed figures, not on them.
    loose = 0.05 if name == "lvesv" else 0.015
    for y in (0, 1):
        mean, sd = HE_MOMENTS[name][y]
        values = many.X[name][many.y == y]
        assert values.mean() == pytest.approx(mean, abs=2 * loose * sd)
        assert values.std() == pytest.approx(sd, rel=2 * loose)
        for cohort in cohorts:
            values = cohort.X[name][cohort.y == y]
            assert abs(values.mean() - mean) < 4.5 * sd / np.sqrt(len(values))


def test_he2023_meets_its_inclusion_criteria():
    X = make_cohort("he2023", 5000, "table", random_state=0).X
    assert X["lvef"].max() < 35.5
    assert X["qrs_duration_ms"].min() >= 120
    np.testing.assert_allclose(X["lvesv"], X["lvedv"] * (1 - X["lvef"] / 100), atol=0.06)


@pytest.mark.parametrize("seed", range(4))
def test_lvsd2026_has_the_printed_pairs_patients_and_prevalences(seed):
    cohort = make_cohort("lvsd2026", modality="table", random_state=seed)
    table = cohort.X.assign(y=cohort.y, patient=cohort.groups)
    assert (len(table), cohort.n_patients) == (2031, 892)
    assert table["set"].value_counts().to_dict() == {
        "train": 1200,
        "tuning": 300,
        "internal": 194,
        "external1": 115,
        "external2": 222,
    }
    by_hospital = table.groupby("hospital")
    assert by_hospital.size().to_dict() == {"CNUH": 1657, "CNUSH": 259, "JNUH": 115}
    patients = by_hospital["patient"].nunique().to_dict()
    assert patients == {"CNUH": 691, "CNUSH": 91, "JNUH": 115}
    assert (table.groupby("patient")["hospital"].nunique() == 2).sum() == 5
    table["part"] = table["set"].replace("tuning", "train")
    part = table.groupby("part")
    assert part["patient"].nunique().to_dict() == {
        "train": 602,
        "internal": 89,
        "external1": 115,
        "external2": 86,
    }
    assert part["y"].sum().to_dict() == {
        "train": 680,
        "internal": 68,
        "external1": 45,
        "external2": 80,
    }
    assert (1 - table["male"]).groupby(table["part"]).sum().to_dict() == {
        "train": 738,
        "internal": 88,
        "external1": 81,
        "external2": 121,
    }
    # By patient at every level.
    assert (table.groupby("patient")["set"].nunique() == 1).all()
    assert (table.groupby("patient")[["male", "af"]].nunique() == 1).all(axis=None)
    years = part["year"].agg(["min", "max"])
    assert years.loc["train", "max"] == 2023
    assert tuple(years.loc["internal"]) == (2024, 2024)
    assert years.loc["external1"].between(2008, 2021).all()
    assert years.loc["external2"].between(2022, 2024).all()
    # LVEF is the label and may cross it within a patient.
    lvef = cohort.info["outcome"]["lvef"]
    np.testing.assert_array_equal(lvef < 40, cohort.y == 1)
    crossing = table.groupby("patient")["y"].nunique() == 2
    assert 30 < crossing.sum() < 400


def test_lvsd2026_means_follow_table_1():
    cohort = make_cohort("lvsd2026", 30_000, "table", random_state=0)
    part = cohort.X["set"].replace("tuning", "train")
    lvef = cohort.info["outcome"]["lvef"].groupby(part).agg(["mean", "std"])
    age = cohort.X["age"].groupby(part).agg(["mean", "std"])
    printed = {
        "train": (41.4, 72.6),
        "internal": (46.0, 76.7),
        "external1": (43.3, 71.8),
        "external2": (46.2, 75.5),
    }
    for name, (mean_lvef, mean_age) in printed.items():
        # The share below 40 % is exact and moves the mean a little.
        assert lvef.loc[name, "mean"] == pytest.approx(mean_lvef, abs=0.8)
        assert age.loc[name, "mean"] == pytest.approx(mean_age, abs=0.6)
    assert lvef.loc["internal", "std"] == pytest.approx(14.8, abs=0.5)
    assert age.loc["internal", "std"] == pytest.approx(9.9, abs=0.5)
    assert age.loc["external2", "std"] == pytest.approx(10.8, abs=0.6)


@pytest.mark.parametrize("study", STUDIES)
@pytest.mark.parametrize("n_patients", [4, 5, 20])
def test_small_cohorts_have_both_classes(study, n_patients):
    cohort = make_cohort(study, n_patients, "table", random_state=n_patients)
    assert cohort.n_patients == n_patients
    assert set(cohort.y) == {0, 1}
    assert not cohort.X.isna().any(axis=None)


@pytest.mark.parametrize("study", STUDIES)
def test_columns_are_sorted_into_covariates_design_truth_and_signal(study):
    cohort = make_cohort(study, 8, random_state=0)
    info = cohort.info
    parts = [*info["covariates"], *info["design"], "signal", *info["truth"]]
    assert list(cohort.X.columns) == parts
    assert all(name.startswith("true_") for name in info["truth"])
    assert info["source"] == "simulated"
    assert info["assumed"]
    assert info["lead_names"] == list(LEADS_12)
    numeric = cohort.X[info["covariates"]]
    assert all(dtype.kind in "if" for dtype in numeric.dtypes)
    # What was measured afterwards defines the label and is not among the predictors.
    outcome = info["outcome"]
    assert outcome.index.equals(cohort.X.index)
    assert not set(outcome.columns) & set(cohort.X.columns)
    part = cohort.take([2, 0])
    assert outcome.loc[part.X.index].shape == (2, outcome.shape[1])
    if study != "lvsd2026":
        response = outcome["lvesv_reduction_pct"] >= 15
        np.testing.assert_array_equal(response, cohort.y == 1)


@pytest.mark.parametrize("study", STUDIES)
def test_one_patient_drives_table_and_ecg(study):
    cohort = make_cohort(study, 30, random_state=3, noise=0)
    X = cohort.X
    np.testing.assert_array_equal(X["true_qrs_duration_ms"], X["qrs_duration_ms"])
    np.testing.assert_array_equal(X["true_morphology"] == "lbbb", X["lbbb"] == 1)
    np.testing.assert_array_equal(X["true_pr_ms"].isna(), X["af"] == 1)
    if "paced" in X:
        np.testing.assert_array_equal(X["true_morphology"] == "paced", X["paced"] == 1)
    for onsets, offsets, ms in zip(
        X["true_qrs_onsets_s"], X["true_qrs_offsets_s"], X["qrs_duration_ms"]
    ):
        np.testing.assert_allclose(offsets - onsets, ms / 1000, atol=1e-9)
    signals = Select("signal").fit_transform(X)
    assert signals.shape == (len(cohort), 12, 5000)
    assert signals.dtype == np.float32
    # LBBB shows: the lateral lead V6 is net positive and V1 net negative inside the QRS.
    for signal, onset, offset in zip(
        signals[X["lbbb"] == 1],
        X.loc[X["lbbb"] == 1, "true_qrs_onsets_s"],
        X.loc[X["lbbb"] == 1, "true_qrs_offsets_s"],
    ):
        qrs = signal[:, int(onset[3] * 500) : int(offset[3] * 500)]
        assert qrs[11].mean() > 0 > qrs[6].mean()


def test_table_and_signal_cohorts_share_their_patients():
    table = make_cohort("mori2025", 12, "table", random_state=5)
    signal = make_cohort("mori2025", 12, "signal", random_state=5)
    pd.testing.assert_frame_equal(table.X, signal.X[table.X.columns])
    np.testing.assert_array_equal(table.y, signal.y)
    assert "signal" not in table.X
    assert set(table.info["best_auc"]) == {"table"}
    assert set(signal.info["best_auc"]) == {"table", "signal"}


@pytest.mark.parametrize("study", STUDIES)
def test_same_seed_same_bits(study):
    first = make_cohort(study, 6, random_state=9)
    again = make_cohort(study, 6, random_state=9)
    assert first.fingerprint() == again.fingerprint()
    pd.testing.assert_frame_equal(first.info["outcome"], again.info["outcome"])
    assert first.fingerprint() != make_cohort(study, 6, random_state=10).fingerprint()


@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState])
def test_generators_are_accepted_and_the_global_one_untouched(make):
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    a = make_cohort("mori2025", 5, random_state=make(0))
    b = make_cohort("mori2025", 5, random_state=make(0))
    assert a.fingerprint() == b.fingerprint()
    c, d = (make_cohort("mori2025", 5, "table", random_state=None) for _ in range(2))
    assert not c.X.equals(d.X)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_the_hearts_of_a_patient_s_records_are_one():
    X = make_cohort("lvsd2026", 20, random_state=0, noise=0)
    counts = pd.Series(X.groups).value_counts()
    rows = np.flatnonzero(counts.index[0] == X.groups)

    def axis(row):
        """Direction of the mean QRS over the independent leads."""
        record = X.X.iloc[row]
        onset, offset = record["true_qrs_onsets_s"][3], record["true_qrs_offsets_s"][3]
        qrs = record["signal"][:, int(onset * 500) : int(offset * 500)].mean(axis=1)
        return qrs / np.linalg.norm(qrs)

    own = [axis(rows[0]) @ axis(r) for r in rows[1:4]]
    firsts = [np.flatnonzero(g == X.groups)[0] for g in counts.index[1:9]]
    others = [axis(rows[0]) @ axis(r) for r in firsts]
    assert min(own) > np.median(others)


def test_large_cohorts_go_to_a_file_of_the_same_values(tmp_path, monkeypatch):
    small = make_cohort("he2023", 5, random_state=2)
    monkeypatch.setattr(cells, "SPILL_BYTES", 2 * 12 * 5000 * 4)
    large = make_cohort("he2023", 5, random_state=2, cache_dir=tmp_path)
    assert all(isinstance(cell, str) and ".npy#" in cell for cell in large.X["signal"])
    assert [path.suffix for path in tmp_path.iterdir()] == [".npy"]
    np.testing.assert_array_equal(
        np.asarray(Select("signal").fit_transform(large.X)),
        Select("signal").fit_transform(small.X),
    )
    assert large.fingerprint() == small.fingerprint()


def test_the_temporary_file_goes_with_its_process():
    code = """
        from crtkit.cohort import cells
        from crtkit.datasets import make_cohort
        cells.SPILL_BYTES = 1000
        print(make_cohort("he2023", 4, random_state=0).X["signal"].iloc[0].rpartition("#")[0])
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    path = Path(run.stdout.strip())
    assert path.suffix == ".npy"
    assert not path.parent.exists()


def test_sampling_rate_sets_the_samples():
    cohort = make_cohort("he2023", 4, random_state=0, sampling_rate=1000)
    assert cohort.X["signal"].iloc[0].shape == (12, 10_000)
    assert cohort.info["sampling_rate"] == 1000


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"study": "mori"}, r"study to be one of \['mori2025'"),
        ({"study": None}, "got None"),
        ({"modality": "sound"}, "modality to be one of"),
        ({"n_patients": 3}, "n_patients as an integer >= 4"),
        ({"n_patients": 10.5}, "n_patients as an integer >= 4"),
        ({"sampling_rate": 50}, "sampling_rate as a number from 250"),
        ({"sampling_rate": "500"}, "sampling_rate as a number"),
        ({"noise": -1}, "noise as a number"),
        ({"random_state": "a"}, "random_state expects"),
        ({"random_state": True}, "random_state expects"),
    ],
)
def test_bad_arguments_are_named(kwargs, message):
    with pytest.raises(ValueError, match=message):
        make_cohort(**{"study": "mori2025", "n_patients": 5, **kwargs})


def test_pages_are_printed_beside_the_signals(tmp_path):
    signals = make_cohort("mori2025", n_patients=4, random_state=0)
    pages = make_cohort(
        "mori2025", n_patients=4, modality="image", random_state=0, cache_dir=tmp_path
    )
    assert pages.info["best_auc"]["image"] == pages.info["best_auc"]["signal"]
    for path, printed, alone in zip(pages.X["image"], pages.X["signal"], signals.X["signal"]):
        assert Path(path).is_relative_to(tmp_path)
        assert Path(path).read_bytes()[:3] == b"\xff\xd8\xff"
        np.testing.assert_array_equal(printed, alone)
