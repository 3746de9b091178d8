import warnings

import numpy as np
import pandas as pd
import pytest

from crtkit import Select, read_manifest
from crtkit._leads import LEADS_12
from crtkit.cohort import cells


@pytest.fixture
def manifest(make_table, make_wfdb):
    """A CSV beside twelve WFDB records."""
    table = make_table()
    folder = make_wfdb(len(table))
    table["file"] = [f"r{i}" for i in range(len(table))]
    table.to_csv(folder / "cohort.csv", index=False)
    return folder / "cohort.csv"


ROLES = {"label": "response", "group": "patient"}


def test_reads_signals_beside_the_manifest(manifest):
    wfdb = pytest.importorskip("wfdb")
    cohort = read_manifest(manifest, signal="file", **ROLES)
    assert list(cohort.X.columns) == ["age", "signal"]
    assert cohort.info["sampling_rate"] == 500
    assert cohort.info["source"] == "real"
    assert cohort.info["flow"] == {"in the manifest": 12, "read": 12}
    signals = Select("signal").fit_transform(cohort.X)
    assert signals.shape == (12, 12, 1000)
    assert signals.dtype == np.float32
    record = wfdb.rdrecord(str(manifest.parent / "r3"))
    np.testing.assert_allclose(signals[3].T, record.p_signal, atol=1e-6)


def test_leads_come_in_the_standard_order(make_table, make_wfdb):
    table = make_table()
    folder = make_wfdb(len(table), lead_names=LEADS_12[::-1])
    table["file"] = [f"r{i}.hea" for i in range(len(table))]
    wfdb = pytest.importorskip("wfdb")
    cohort = read_manifest(table, signal="file", root=folder, **ROLES)
    record = wfdb.rdrecord(str(folder / "r0"))
    np.testing.assert_allclose(cohort.X["signal"][0][0], record.p_signal[:, -1], atol=1e-6)


def test_parquet_equals_csv(manifest):
    pytest.importorskip("pyarrow")
    table = pd.read_csv(manifest)
    table.to_parquet(manifest.with_suffix(".parquet"))
    a = read_manifest(manifest, signal="file", **ROLES)
    b = read_manifest(manifest.with_suffix(".parquet"), signal="file", **ROLES)
    assert a.fingerprint() == b.fingerprint()


def test_large_signals_go_to_a_file(manifest, monkeypatch, tmp_path_factory):
    small = read_manifest(manifest, signal="file", **ROLES)
    monkeypatch.setattr(cells, "SPILL_BYTES", 100_000)
    folder = tmp_path_factory.mktemp("cache")
    for cache_dir in (None, folder):
        spilled = read_manifest(manifest, signal="file", cache_dir=cache_dir, **ROLES)
        assert ".npy#" in spilled.X["signal"][0]
        assert spilled.fingerprint() == small.fingerprint()
    half = read_manifest(manifest, signal="file", cache_dir=folder, duration=1.0, **ROLES)
    assert len(list(folder.glob("cohort-*-signals.npy"))) == 2
    assert Select("signal").fit_transform(half.X).shape[2] == 500
    # The second reading left the first cohort's file alone.
    assert spilled.fingerprint() == small.fingerprint()


def test_rows_of_a_file_stay_lazy(make_table, tmp_path):
    table = make_table()
    np.save(tmp_path / "all.npy", np.zeros((12, 12, 100), np.float32))
    table["cell"] = [f"all.npy#{i}" for i in range(12)]
    options = {"signal": "cell", "root": tmp_path, **ROLES}
    cohort = read_manifest(table, fs=500, **options)
    assert cohort.X["signal"][5].endswith("all.npy#5")
    assert cohort.info["sampling_rate"] == 500
    assert cohort.info["lead_names"] == list(LEADS_12)
    for wrong in ({}, {"fs": 500, "duration": 0.1}):
        with pytest.raises(ValueError, match="carry no sampling rate and are not cropped"):
            read_manifest(table, **options, **wrong)
    with pytest.raises(ValueError, match="12 rows, but a cell asks for row 99"):
        read_manifest(table.replace("all.npy#3", "all.npy#99"), fs=500, **options)
    np.save(tmp_path / "all.npy", np.zeros((12, 12), np.int16))
    with pytest.raises(ValueError, match="floating, in millivolt"):
        read_manifest(table, fs=500, **options)


@pytest.mark.parametrize("shape", [(6, 8), (48,)])
def test_maps_are_read(make_table, tmp_path, monkeypatch, shape):
    table = make_table()
    maps = np.random.default_rng(0).uniform(0, 360, (12, *shape)).astype(np.float32)
    for i, one in enumerate(maps):
        np.save(tmp_path / f"m{i}.npy", one)
    np.save(tmp_path / "all.npy", maps)
    table["file"] = [f"m{i}.npy" for i in range(12)]
    cohort = read_manifest(table, map="file", root=tmp_path, **ROLES)
    np.testing.assert_array_equal(Select("map").fit_transform(cohort.X), maps)
    monkeypatch.setattr(cells, "SPILL_BYTES", 1000)
    spilled = read_manifest(table, map="file", root=tmp_path, **ROLES)
    assert ".npy#" in spilled.X["map"][0]
    table["file"] = [f"all.npy#{i}" for i in range(12)]
    rows = read_manifest(table, map="file", root=tmp_path, **ROLES)
    assert rows.fingerprint() == spilled.fingerprint() == cohort.fingerprint()


def test_maps_feed_the_autoencoder(make_table, tmp_path):
    pytest.importorskip("torch")
    from sklearn.pipeline import make_pipeline

    from crtkit import AutoencoderFeatures

    table = make_table()
    table["file"] = [f"m{i}.npy" for i in range(12)]
    for i, name in enumerate(table["file"]):
        np.save(tmp_path / name, np.full((4, 6), 10.0 * i))
    cohort = read_manifest(table, map="file", root=tmp_path, **ROLES)
    model = AutoencoderFeatures(n_components=2, layer_sizes=(4,), max_iter=2, random_state=0)
    assert make_pipeline(Select("map"), model).fit_transform(cohort.X).shape == (12, 2)


@pytest.mark.parametrize(
    ("save", "message"),
    [
        (lambda path: np.save(path, np.zeros((3, 6, 8))), "one map .height, width.* per file"),
        (lambda path: np.save(path, np.zeros((5, 8))), "2 shapes"),
        (lambda path: np.save(path, np.array([None], object), allow_pickle=True), "objects"),
        (lambda path: path.write_bytes(b"no array"), "cannot be read as a .npy file"),
    ],
)
def test_maps_that_cannot_be_read_are_listed(make_table, tmp_path, save, message):
    table = make_table()
    table["file"] = [f"m{i}.npy" for i in range(12)]
    for name in table["file"]:
        np.save(tmp_path / name, np.zeros((6, 8)))
    save(tmp_path / "m3.npy")
    with pytest.raises(ValueError, match="(?s)1 problem.*maps.*" + message) as error:
        read_manifest(table, map="file", root=tmp_path, **ROLES)
    assert "m3.npy" in str(error.value)
    assert "m4.npy" not in str(error.value)


def test_maps_of_another_format_say_how_to_make_them(make_table, tmp_path):
    table = make_table()
    table["file"] = [f"m{i}.dcm" for i in range(12)]
    for name in table["file"]:
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(ValueError, match="(?s)12 problem.*PhaseAnalysis.*and 2 more"):
        read_manifest(table, map="file", root=tmp_path, **ROLES)


def test_identifiers_are_not_read_as_numbers(tmp_path):
    (tmp_path / "c.csv").write_text("id,y\n001,a\n1,b\n002,a\n2,b\n")
    cohort = read_manifest(tmp_path / "c.csv", label="y", group="id")
    assert cohort.groups.tolist() == ["001", "1", "002", "2"]


def test_crops_resamples_and_counts_what_is_left_out(make_table, make_wfdb):
    table = make_table()
    folder = make_wfdb(6, seconds=2.0, prefix="long")
    make_wfdb(4, seconds=2.0, fs=1000, prefix="fast")
    make_wfdb(2, seconds=0.5, prefix="short")
    table["file"] = [*(f"long{i}" for i in range(6)), *(f"fast{i}" for i in range(4))] + [
        "short0",
        "short1",
    ]
    options = {"signal": "file", "root": folder, **ROLES}
    with pytest.raises(
        ValueError, match="(?s)4 problem.*sampled at 1000 Hz, the first record at 500"
    ):
        read_manifest(table, **options, duration=1.0, short="drop")
    with pytest.raises(ValueError, match=r"short0: 0\.5 s long, 1 s are needed"):
        read_manifest(table, **options, duration=1.0, fs=500)
    cohort = read_manifest(table, **options, duration=1.0, fs=500, short="drop")
    assert Select("signal").fit_transform(cohort.X).shape == (10, 12, 500)
    flow = {"in the manifest": 12, "signal shorter than 1 s": -2, "read": 10}
    assert cohort.info["flow"] == flow
    with pytest.raises(ValueError, match="2 lengths, 250 to 1000 samples: pass duration"):
        read_manifest(table, **options, fs=500)


def test_every_missing_file_is_counted(manifest):
    for i in range(11):
        (manifest.parent / f"r{i}.hea").unlink()
    with pytest.raises(FileNotFoundError, match=r"^11 of 12 file\(s\)") as error:
        read_manifest(manifest, signal="file", **ROLES)
    assert "… and 1 more" in str(error.value)
    assert str(error.value).count("\n") == 11
    assert f"looked for in {manifest.parent}" in str(error.value)


def _changed(column, row, value):
    def change(table):
        table[column] = table[column].astype(object)
        table.loc[row, column] = value
        return table

    return change


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (None, {"label": "responder"}, r"lacks label='responder'; its columns are"),
        (None, {"covariates": ["lvef"]}, "lacks covariates='lvef'"),
        (None, {"mixed_labels": "drop"}, "mixed_labels to be one of"),
        (None, {"classes": ["no", "yes", "maybe"]}, r"class\(es\) \['maybe'\] have no rows"),
        (_changed("file", 1, "r0"), {}, "occur more than once"),
        (_changed("file", 1, "./r0"), {}, "occur more than once"),
        (_changed("file", 1, "r0.hea"), {}, "occur more than once"),
        (_changed("file", 1, "r0.dat"), {}, "occur more than once"),
        (_changed("patient", 1, "p0 "), {}, "begin or end with a space, for example"),
        (None, {"covariates": ["response"]}, "named for two things"),
        (None, {"group": "response"}, "named for two things"),
        (lambda t: pd.concat([t, t["response"]], axis=1), {}, "more than once"),
        (_changed("response", 0, "yes"), {}, r"several labels in column .*for example \['p0'\]"),
        (_changed("response", 3, None), {}, "1 row.s. have no label.*row 3"),
        (_changed("patient", 2, None), {}, "1 row.s. have no patient.*row 2"),
        (_changed("file", 4, None), {}, "name no file in column 'file', first at row 4"),
        (lambda t: t.assign(response="no"), {}, "holds one class"),
        (lambda t: t.iloc[:0], {}, "has no rows"),
        (lambda t: t.rename(columns={"age": "signal"}), {}, "carry a modality's name"),
    ],
)
def test_refuses(manifest, change, options, message):
    table = pd.read_csv(manifest)
    if change is not None:
        table = change(table)
    options = {"signal": "file", "root": manifest.parent, **ROLES} | options
    with pytest.raises(ValueError, match=message):
        read_manifest(table, **options)


def test_mixed_labels_can_be_kept(manifest):
    table = _changed("response", 0, "yes")(pd.read_csv(manifest))
    cohort = read_manifest(table, mixed_labels="keep", **ROLES)
    assert set(cohort.y[cohort.groups == "p0"]) == {"no", "yes"}


def test_a_category_without_rows_is_refused(manifest):
    table = pd.read_csv(manifest)
    table["response"] = pd.Categorical(table["response"], categories=["no", "yes", "unknown"])
    with pytest.raises(ValueError, match="unknown"):
        read_manifest(table, **ROLES)


def test_damaged_files_are_named_together_and_leave_nothing(manifest, monkeypatch, tmp_path):
    monkeypatch.setattr(cells, "SPILL_BYTES", 100_000)
    for i in (2, 5):
        (manifest.parent / f"r{i}.dat").write_bytes(b"\0\0")
    cache = tmp_path / "cache"
    with pytest.raises(ValueError, match="2 problem") as error:
        read_manifest(manifest, signal="file", cache_dir=cache, **ROLES)
    assert "r2" in str(error.value)
    assert "r5" in str(error.value)
    assert not list(cache.glob("*"))


def test_a_missing_lead_is_named(make_table, make_wfdb):
    folder = make_wfdb(12, lead_names=LEADS_12[:11])
    table = make_table().assign(file=[f"r{i}" for i in range(12)])
    with pytest.raises(ValueError, match=r"lead\(s\) \['V6'\] are missing"):
        read_manifest(table, signal="file", root=folder, **ROLES)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("cohort.xlsx", b"", "cannot be read as a workbook"),
        ("cohort.xls", b"", "is .csv, .tsv, .xlsx or .parquet"),
        ("cohort.csv", b"", "cannot be read"),
        ("cohort.parquet", b"PAR1 not really", "cannot be read"),
    ],
)
def test_unreadable_manifests(tmp_path, name, content, message):
    if name.endswith(".xlsx"):
        pytest.importorskip("openpyxl")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_manifest(tmp_path / name, **ROLES)
    with pytest.raises(FileNotFoundError, match="is not a file"):
        read_manifest(tmp_path / "nothing.csv", **ROLES)


def test_relative_files_of_a_table_need_a_root(make_table):
    table = make_table().assign(file=[f"r{i}" for i in range(12)])
    with pytest.raises(ValueError, match="pass root="):
        read_manifest(table, image="file", **ROLES)


@pytest.mark.parametrize("name", ["fs", "duration"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "500", True])
def test_rates_and_durations_are_above_zero(manifest, name, value):
    with pytest.raises(ValueError, match=rf"read_manifest expects {name} in \w+, above 0, got"):
        read_manifest(manifest, signal="file", **{name: value}, **ROLES)


def test_columns_of_any_name_become_crtkits(make_table):
    table = make_table()
    n = len(table)
    table["QRS"] = np.arange(n) + 120
    table["Sex"] = ["M", "F"] * (n // 2)
    table["Schenkelblock"] = ["ja", "nein", None] * (n // 3)
    names = {"QRS": "qrs_duration_ms", "Sex": "male", "Schenkelblock": "lbbb"}
    X = read_manifest(table, columns=names, **ROLES).X
    assert list(X.columns) == ["age", "qrs_duration_ms", "male", "lbbb"]
    assert X["male"].tolist()[:3] == [1.0, 0.0, 1.0]
    np.testing.assert_array_equal(X["lbbb"][:3], [1.0, 0.0, np.nan])
    with pytest.raises(ValueError, match=r"names \['Geschlecht'\], absent from the manifest"):
        read_manifest(table, columns={"Geschlecht": "male"}, **ROLES)
    with pytest.raises(ValueError, match=r"names \['response'\], which is the label"):
        read_manifest(table, columns={"response": "lbbb"}, **ROLES)
    with pytest.raises(ValueError, match="Two columns of the manifest would be called 'age'"):
        read_manifest(table, columns={"QRS": "age"}, **ROLES)
    table["Sex"] = "unbekannt"
    with pytest.raises(ValueError, match="'male' holds 'unbekannt' at row 0"):
        read_manifest(table, columns=names, **ROLES)


@pytest.mark.parametrize(
    ("name", "cells", "wanted"),
    [
        ("nyha", ["II", "iii", "IV"], [2, 3, 4]),
        ("paced", ["+", "-", "True"], [1, 0, 1]),
        ("lvef", ["25", "31.5", None], [25, 31.5, np.nan]),
    ],
)
def test_words_of_clinical_columns_become_numbers(make_table, name, cells, wanted):
    table = make_table().assign(**{name: cells * 4})
    np.testing.assert_array_equal(read_manifest(table, **ROLES).X[name][:3], wanted)


@pytest.mark.parametrize("cell", ["160 ms", "<30", "1 200", "\u221230"])
def test_a_clinical_column_that_holds_a_word_names_row_and_word(make_table, cell):
    table = make_table().assign(qrs_duration_ms=["150"] * 11 + [cell])
    with pytest.raises(ValueError, match=f"'qrs_duration_ms' holds .{cell}. at row 11"):
        read_manifest(table, **ROLES)


def test_a_copy_of_the_label_among_the_covariates_is_named(make_table):
    table = make_table()
    table["Response"] = np.where(table["response"] == "yes", 1, 0)
    with pytest.warns(UserWarning, match="covariate 'Response' tells the label 'response'"):
        read_manifest(table, **ROLES)


@pytest.mark.parametrize(
    ("labels", "positive"),
    [(("ja", "nein"), "nein"), (("CRT+", "CRT-"), "CRT-"), (("case", "control"), "control")],
)
def test_no_as_the_positive_class_is_warned_of(make_table, labels, positive):
    table = make_table()
    table["response"] = table["response"].map({"yes": labels[0], "no": labels[1]})
    with pytest.warns(UserWarning, match=f"'{positive.replace('+', '.')}', becomes the positive"):
        read_manifest(table, **ROLES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cohort = read_manifest(table, classes=[labels[1], labels[0]], **ROLES)
    assert cohort.info["classes"] == [labels[1], labels[0]]


@pytest.mark.parametrize("labels", [(1, 2), ("1", "2"), (1.0, 2.0)])
def test_labels_of_1_and_2_are_asked_for(make_table, labels):
    table = make_table()
    table["response"] = table["response"].map({"yes": labels[0], "no": labels[1]})
    with pytest.raises(ValueError, match="either may mean yes"):
        read_manifest(table, **ROLES)


@pytest.fixture
def incomplete(make_table, make_wfdb):
    """Records of eleven leads beside whole ones, and one with a lead of zeros."""
    wfdb = pytest.importorskip("wfdb")
    table = make_table()
    folder = make_wfdb(len(table))
    rng = np.random.default_rng(0)
    for name, leads in (("r2", LEADS_12[:-1]), ("r5", LEADS_12)):
        signal = rng.normal(scale=0.3, size=(1000, len(leads)))
        signal[:, 7] = 0.0 if name == "r5" else signal[:, 7]
        kind = {"fmt": ["16"] * len(leads), "adc_gain": [1000] * len(leads)}
        kind |= {"units": ["mV"] * len(leads), "baseline": [0] * len(leads)}
        names = list(leads)
        wfdb.wrsamp(name, 500, sig_name=names, p_signal=signal, write_dir=str(folder), **kind)
    table["file"] = [str(folder / f"r{i}") for i in range(len(table))]
    return table


def test_missing_leads_are_refused_left_out_or_nan(incomplete):
    with pytest.raises(ValueError, match=r"r2.*lead\(s\) \['V6'\] are missing"):
        read_manifest(incomplete, signal="file", **ROLES)
    cohort = read_manifest(incomplete, signal="file", missing_leads="drop", **ROLES)
    assert cohort.info["flow"] == {"in the manifest": 12, "a lead is missing": -2, "read": 10}
    cohort = read_manifest(incomplete, signal="file", missing_leads="nan", **ROLES)
    signals = Select("signal").fit_transform(cohort.X)
    assert np.argwhere(np.isnan(signals).all(axis=-1)).tolist() == [[2, 11], [5, 7]]
    assert np.isfinite(signals).sum() == (12 * 12 - 2) * 1000
    assert cohort.info["missing_leads"] == {"V6": 1, "V2": 1}


def test_short_signals_are_padded_with_nan(manifest):
    with pytest.raises(ValueError, match="2 s long, 3 s are needed"):
        read_manifest(manifest, signal="file", duration=3, **ROLES)
    cohort = read_manifest(manifest, signal="file", duration=3, short="pad", **ROLES)
    signals = Select("signal").fit_transform(cohort.X)
    assert signals.shape == (12, 12, 1500)
    assert np.isfinite(signals[..., :1000]).all()
    assert np.isnan(signals[..., 1000:]).all()


def test_maps_of_two_manifests_of_one_name_share_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "SPILL_BYTES", 1000)
    cohorts = []
    for site in (0, 100):
        folder = tmp_path / f"site{site}"
        folder.mkdir()
        for i in range(4):
            # In two precisions, as two exports of one study have them.
            np.save(folder / f"m{i}.npy", np.full((20, 20), site + i, "f8" if i % 2 else "f4"))
        rows = [f"P{i},{i % 2},m{i}.npy" for i in range(4)]
        (folder / "cohort.csv").write_text("\n".join(["patient,response,map", *rows]))
        where = {"map": "map", "cache_dir": tmp_path / "cache"}
        cohorts.append(read_manifest(folder / "cohort.csv", **where, **ROLES))
    for site, cohort in zip((0, 100), cohorts):
        maps = np.asarray(Select("map").fit_transform(cohort.X))
        assert maps.dtype == np.float64
        np.testing.assert_array_equal(maps[:, 0, 0], site + np.arange(4))


def test_rows_without_samples_are_named(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((4, 12, 0), "f4"))
    rows = [f"P{i},{i % 2},x.npy#{i}" for i in range(4)]
    (tmp_path / "cohort.csv").write_text("\n".join(["patient,response,ecg", *rows]))
    with pytest.raises(ValueError, match=r"got rows of shape \(12, 0\)"):
        read_manifest(tmp_path / "cohort.csv", signal="ecg", fs=500, **ROLES)
