"""EDF, ISHNE, CardioSoft, Schiller, Mortara, CSV and HDF5: what is written is read."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from crtkit._leads import LEADS_12
from crtkit.readers import read_ecg

NEW = ("cardiosoft", "schiller", "mortara", "edf", "ishne", "csv")
QUIET = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture],
}


@pytest.fixture
def read(make, tmp_path):
    def one(kind, identifiers=False, **changes):
        path = tmp_path / ("ecg.csv" if kind == "csv" else f"ecg.{kind}")
        path.write_bytes(make(kind, **changes))
        return read_ecg(path, identifiers=identifiers)

    return one


@pytest.mark.parametrize("kind", NEW)
def test_every_format_holds_the_same_signal(kind, read, counts):
    ecg = read(kind)
    assert ecg.format == kind
    assert ecg.fs == 500
    assert ecg.lead_names == LEADS_12
    assert ecg.signal.dtype == np.float32
    one, two = counts[:2] * 0.005
    limb = [one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2]
    # Limits in EDF are decimal numbers of eight characters.
    atol = 2e-3 if kind == "edf" else 1e-6
    np.testing.assert_allclose(ecg.signal, np.stack([*limb, *(counts[2:] * 0.005)]), atol=atol)
    assert ecg.header["derived_leads"] == ["III", "aVR", "aVL", "aVF"]
    printed = ecg.header.get("printed", {})
    assert printed.get("qrs_duration_ms", 160) == 160
    assert "pr_ms" not in printed  # 0: it could not be measured


@pytest.mark.parametrize("kind", NEW)
def test_identifiers_only_where_asked(kind, read):
    plain, full = str(read(kind).header), str(read(kind, identifiers=True).header)
    for word in ("4711", "Müller", "Clark", "Dr. Who", "2020", "1950"):
        assert word not in plain
    assert "4711" in full or kind == "csv"


# Per format: what it can say of a gain, and the microvolts of a step.
GAINS = {
    "cardiosoft": ("step", ["5", "4.88", "1", "0.25"], float),
    "schiller": ("step", ["5", "1.0", "2.5"], float),
    "mortara": ("per_mv", ["200", "1000", "400"], lambda v: 1000 / float(v)),
    "edf": ("step", [5.0, 1.0, 0.5, 2.44], float),
    "ishne": ("nanovolt", [5000, 1000, 305, 2500], lambda v: v / 1000),
    "csv": ("step", [5e-3, 1e-3, 4.88e-3], lambda v: v * 1000),
}


@pytest.mark.parametrize("kind", NEW)
@settings(max_examples=25, **QUIET)
@given(data=st.data())
def test_what_is_written_is_read(kind, make, tmp_path, data):
    n_leads = data.draw(st.integers(1, 12))
    names = data.draw(st.permutations(LEADS_12))[:n_leads]
    fs = data.draw(st.sampled_from([100, 250, 500, 512, 1000]))
    option, values, microvolt = GAINS[kind]
    gain = data.draw(st.sampled_from(values))
    n_samples = (
        fs * data.draw(st.integers(1, 3)) if kind == "edf" else data.draw(st.integers(4, 600))
    )
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    counts = rng.integers(-2000, 2000, (n_leads, n_samples))
    counts[:, 0] = np.arange(n_leads) + 1  # no lead is constant
    rate = fs if kind in ("edf", "ishne", "csv") else str(fs)
    path = tmp_path / "ecg.csv"
    path.write_bytes(make(kind, counts=counts, names=names, fs=rate, **{option: gain}))
    ecg = read_ecg(path)
    assert ecg.fs == fs
    want = counts * microvolt(gain) / 1000
    atol = np.abs(want).max() * (2e-4 if kind == "edf" else 1e-6) + (0.003 if kind == "edf" else 0)
    for name, lead in zip(names, want):
        np.testing.assert_allclose(ecg.signal[ecg.lead_names.index(name)], lead, atol=atol)


# Per format: how it says its rate, and what a step is worth in microvolt.
OLD = {
    "muse": (lambda fs: {"fs": fs}, "step", ["5", "4.88", "1"], float),
    "aecg": (lambda fs: {"increment": repr(1 / fs)}, "step", ["5", "2.5", "0.5"], float),
    "scp": (
        lambda fs: {"micros": round(1e6 / fs)},
        "nanovolt",
        [5000, 1000, 4880],
        lambda v: v / 1e3,
    ),
}


@pytest.mark.parametrize("kind", OLD)
@settings(max_examples=25, **QUIET)
@given(data=st.data())
def test_older_formats_too(kind, make, tmp_path, data):
    rate, option, values, microvolt = OLD[kind]
    n_leads = data.draw(st.integers(1, 12))
    names = data.draw(st.permutations(LEADS_12))[:n_leads]
    fs, gain = data.draw(st.sampled_from([250, 500, 600, 1000])), data.draw(st.sampled_from(values))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    counts = rng.integers(-2000, 2000, (n_leads, data.draw(st.integers(4, 300))))
    path = tmp_path / "ecg.bin"
    path.write_bytes(make(kind, counts=counts, names=names, **rate(fs), **{option: gain}))
    ecg = read_ecg(path)
    assert ecg.fs == pytest.approx(fs, rel=1e-9)
    for name, lead in zip(names, counts * microvolt(gain) / 1000):
        np.testing.assert_allclose(ecg.signal[ecg.lead_names.index(name)], lead, atol=2e-6)


@settings(max_examples=8, **QUIET)  # each file is tried in a child process first
@given(data=st.data())
def test_hdf5_too(tmp_path, data):
    h5py = pytest.importorskip("h5py")
    n_leads, n_samples = data.draw(st.integers(1, 12)), data.draw(st.integers(13, 300))
    names = data.draw(st.permutations(LEADS_12))[:n_leads]
    unit, scale = data.draw(st.sampled_from([("mV", 1.0), ("uV", 1e3), ("V", 1e-3)]))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    signal = rng.uniform(-3, 3, (n_leads, n_samples))
    with h5py.File(tmp_path / "ecg.h5", "w") as file:
        file["ecg"] = signal.T * scale if data.draw(st.booleans()) else signal * scale
        file["ecg"].attrs.update({"sampling_rate": 360, "units": unit, "leads": names})
    ecg = read_ecg(tmp_path / "ecg.h5")
    assert ecg.fs == 360
    for name, lead in zip(names, signal):
        np.testing.assert_allclose(ecg.signal[ecg.lead_names.index(name)], lead, atol=1e-6)


@settings(max_examples=30, **QUIET)
@given(data=st.data())
def test_edf_against_pyedflib(tmp_path, data):
    pyedflib = pytest.importorskip("pyedflib")
    n_leads = data.draw(st.integers(1, 5))
    names = data.draw(st.permutations(LEADS_12))[:n_leads]
    fs = data.draw(st.sampled_from([128, 250, 500, 1000]))
    high = data.draw(st.sampled_from([3.0, 5.0, 8.738, 32.767]))
    unit, scale = data.draw(st.sampled_from([("mV", 1.0), ("uV", 1000.0)]))
    bdf = data.draw(st.booleans())
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    signal = rng.uniform(-2.9, 2.9, (n_leads, 3 * fs))
    kind = pyedflib.FILETYPE_BDFPLUS if bdf else pyedflib.FILETYPE_EDFPLUS
    path = tmp_path / "ecg.edf"
    writer = pyedflib.EdfWriter(str(path), n_leads, file_type=kind)
    bits = 2**23 if bdf else 2**15
    writer.setSignalHeaders(
        [
            {
                **{"label": name, "dimension": unit, "sample_frequency": fs, "transducer": ""},
                **{"physical_max": high * scale, "physical_min": -high * scale, "prefilter": ""},
                **{"digital_max": bits - 1, "digital_min": -bits},
            }
            for name in names
        ]
    )
    writer.writeSamples(list(signal * scale))
    writer.close()
    ecg = read_ecg(path)
    assert (ecg.fs, ecg.format) == (fs, "bdf" if bdf else "edf")
    with pyedflib.EdfReader(str(path)) as second:
        for i, name in enumerate(names):
            got = ecg.signal[ecg.lead_names.index(name)]
            np.testing.assert_allclose(got, second.readSignal(i) / scale, atol=1e-5)
            np.testing.assert_allclose(got, signal[i], atol=2 * high / bits + 1e-5)


def test_gaps_of_a_discontinuous_edf_are_nan(tmp_path, make, counts):
    plain = make("edf", counts=counts[:2], names=("I", "II"))
    head = bytearray(plain[: 256 * 3])
    # A third signal, of annotations: 30 samples a record that say its time.
    head[192:197] = b"EDF+D"
    head[252:256] = b"3   "
    head[184:192] = b"1024    "
    fields, at = bytearray(), 256
    for width, value in zip(
        (16, 80, 8, 8, 8, 8, 8, 80, 8, 32),
        ("EDF Annotations", "", "", "-1", "1", "-32768", "32767", "", "30", ""),
    ):
        fields += head[at : at + 2 * width] + f"{value:{width}s}".encode()
        at += 2 * width
    body, out = plain[256 * 3 :], bytes(head[:256]) + bytes(fields)
    for number, onset in enumerate((0, 1, 5)):
        record = body[number * 2000 : (number + 1) * 2000]
        out += record + f"+{onset}\x14\x14".encode().ljust(60, b"\0")
    path = tmp_path / "ecg.edf"
    path.write_bytes(out)
    ecg = read_ecg(path)
    assert ecg.signal.shape == (6, 3000)
    assert np.isnan(ecg.signal[:, 1000:2500]).all()
    np.testing.assert_allclose(ecg.signal[0, 2500:], counts[0, 1000:] * 0.005, atol=2e-3)


def test_other_channels_of_an_edf_are_named(make, tmp_path, counts):
    names = ("I", "II", "x1", "x2", "x3", "V4", "V5", "V6")
    content = make("edf", names=names)
    for old, new in ((b"ECG x1", b"EEG C3"), (b"ECG x2", b"F3-M2 "), (b"ECG x3", b"RESP  ")):
        assert old in content
        content = content.replace(old, new)
    path = tmp_path / "ecg.edf"
    path.write_bytes(content)
    ecg = read_ecg(path)
    assert ecg.lead_names == (*LEADS_12[:6], "V4", "V5", "V6")
    assert ecg.header["left_out"] == ["EEG C3 (uV)", "F3-M2 (uV)", "RESP (uV)"]


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        ("cardiosoft", {"n": 7}, "7 samples are announced, 1500 there"),
        ("cardiosoft", {"step": "0"}, "is worth 0; above 0"),
        ("cardiosoft", {"step": "1e-30"}, "is worth 1e-33 mV"),
        ("schiller", {"n": 7}, "7 samples are announced, 1500 there"),
        ("schiller", {"unit": "MMHG"}, "is in 'MMHG'"),
        ("mortara", {"duration": 77}, "a duration of 77 does not fit 1500 samples"),
        ("mortara", {"per_mv": "0"}, "0 units per millivolt"),
        ("mortara", {"bits": "8"}, "16 signed bits in Base64 are read, not 8"),
        ("edf", {"n": 9}, "announces 9 data records and has 3"),
        ("edf", {"n": 0}, "announces 0 data records"),
        ("edf", {"seconds": 0}, "gives a sampling rate of (nan|0) Hz"),
        ("edf", {"unit": "mmHg"}, "an ECG is in mV, uV or V"),
        ("edf", {"unit": "V", "step": 1.0}, "mV"),
        ("ishne", {"n": 10**8}, "announces 100000000 samples and has 1500"),
        ("ishne", {"nanovolt": 0}, "is worth 0; above 0"),
        ("ishne", {"nanovolt": -5}, "is worth -5e-06; above 0"),
        ("csv", {"unit": "furlong"}, "unit='furlong' is not read"),
        ("csv", {"fs": 0}, "gives a sampling rate of (nan|0) Hz"),
    ],
)
def test_damaged_files_are_named(kind, changes, words, read):
    with pytest.raises(ValueError, match=words):
        read(kind, **changes)


def test_the_checksum_of_an_ishne_header(make, tmp_path):
    content = bytearray(make("ishne"))
    content[30] ^= 1
    path = tmp_path / "ecg.ecg"
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match="the checksum of its header does not fit"):
        read_ecg(path)


@pytest.mark.parametrize(
    ("separator", "decimal"), [(",", "."), (";", "."), (";", ","), ("\t", "."), ("\t", ",")]
)
def test_tables_as_spreadsheets_write_them(make, tmp_path, counts, separator, decimal):
    path = tmp_path / "ecg.csv"
    path.write_bytes(make("csv", separator=separator, decimal=decimal))
    np.testing.assert_allclose(read_ecg(path).signal[1], counts[1] * 0.005, atol=1e-6)


def test_tables_that_say_less(tmp_path, counts):
    path = tmp_path / "ecg.csv"
    table = counts[:2].T * 0.005
    np.savetxt(path, table, delimiter=",")
    with pytest.raises(ValueError, match="does not say its fs, unit, lead_names: give read_ecg"):
        read_ecg(path)
    ecg = read_ecg(path, fs=500, unit="mV", lead_names=["I", "II"])
    np.testing.assert_allclose(ecg.signal[:2], table.T, atol=1e-6)
    seconds = np.arange(len(table)) / 500
    np.savetxt(path, np.column_stack([seconds, table * 1000]), delimiter=",", comments="",
               header="time,DI (uV),lead II (uV)")  # fmt: skip
    ecg = read_ecg(path)
    assert (ecg.fs, ecg.lead_names[:2]) == (500, ("I", "II"))
    np.testing.assert_allclose(ecg.signal[:2], table.T, atol=1e-6)
    with pytest.raises(ValueError, match="says 500 Hz; fs=250 was given"):
        read_ecg(path, fs=250)
    with pytest.raises(ValueError, match="unit='mV' was given"):
        read_ecg(path, unit="mV")
    seconds[900:] += 2
    np.savetxt(path, np.column_stack([seconds, table]), delimiter=",", comments="",
               header="time_s,I,II")  # fmt: skip
    with pytest.raises(ValueError, match="a time column whose steps differ"):
        read_ecg(path, unit="mV")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I,II\n1,2\n3,4,5\n", "not a table of numbers"),
        ("I,II\n1,two\n", "not a table of numbers"),
        ("I,II\n", "not a table of numbers|has no rows"),
        ("I (mV),II (uV)\n1,2\n2,3\n", r"has leads in \['mV', 'uV'\]"),
        ("time\n0\n1\n", "has no column of a lead"),
        ("I,I\n1,2\n2,3\n", "a lead without a name, or twice: 'I'"),
        ("I,II\n1,inf\n2,3\n", "infinite"),
        ("", "no table|does not say|no rows"),
    ],
)
def test_tables_that_are_none(tmp_path, text, words):
    path = tmp_path / "ecg.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        read_ecg(path, fs=500, unit=None if "uV" in text else "mV")


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i2"])
def test_hdf5_says_everything_or_is_told(tmp_path, counts, turned, dtype):
    h5py = pytest.importorskip("h5py")
    names = ["I", "II", *LEADS_12[6:]]
    path = tmp_path / "ecg.h5"
    array = counts.astype(dtype) if dtype == "i2" else (counts * 0.005).astype(dtype)
    unit = 0.005 if dtype == "i2" else "mV"
    array = array.T if turned else array
    with h5py.File(path, "w") as file:
        file["signal"] = array
    with pytest.raises(ValueError, match="does not say its fs, unit, lead_names"):
        read_ecg(path)
    told = read_ecg(path, fs=500, unit=unit, lead_names=names)
    np.testing.assert_allclose(told.signal[0], counts[0] * 0.005, atol=1e-6)
    with h5py.File(path, "a") as file:
        file["signal"].attrs["fs"] = 500.0
        file["signal"].attrs["lead_names"] = names
        if unit == "mV":
            file.attrs["unit"] = "mV"
    said = read_ecg(path) if unit == "mV" else read_ecg(path, unit=unit)
    np.testing.assert_array_equal(said.signal, told.signal)
    assert said.format == "hdf5"


def test_hdf5_of_many_records_and_hostile_ones(tmp_path, counts):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "exams.hdf5"
    names = ["I", "II", *LEADS_12[6:]]
    with h5py.File(path, "w") as file:
        file["exam_id"] = np.arange(3)
        file["tracings"] = np.stack([counts.T * 0.005] * 3) + np.arange(3)[:, None, None]
        file.attrs.update({"fs": 400, "unit": "mV", "lead_names": names})
    with pytest.raises(ValueError, match=r"Name a record of many as 'exams\.hdf5#0'"):
        read_ecg(path)
    ecg = read_ecg(f"{path}#2")
    np.testing.assert_allclose(ecg.signal[0], counts[0] * 0.005 + 2, atol=1e-6)
    with pytest.raises(ValueError, match="has 3 records; record 3 is asked for"):
        read_ecg(f"{path}#3")
    link = tmp_path / "link.h5"
    with h5py.File(link, "w") as file:
        file["signal"] = h5py.ExternalLink(str(path), "tracings")
    with pytest.raises(ValueError, match=r"has the datasets \[\]"):
        read_ecg(link)
    bomb = tmp_path / "bomb.h5"
    with h5py.File(bomb, "w") as file:
        file.create_dataset("signal", (12, 10**9), "f4", chunks=True, compression="gzip")
    with pytest.raises(ValueError, match="holds over 30000000 samples"):
        read_ecg(bomb, fs=500, unit="mV", lead_names=LEADS_12)


def test_the_schiller_file_against_its_own_measurements(data_dir):
    path = data_dir / "vendor_files" / "schiller_xml" / "cardio_sample_schiller.xml"
    ecg = read_ecg(path)
    assert (ecg.fs, ecg.signal.shape, ecg.lead_names) == (500, (12, 5000), LEADS_12)
    assert ecg.header["printed"]["qrs_duration_ms"] == 94
    assert ecg.header["printed"]["qrs_axis_deg"] == 0
    np.testing.assert_allclose(ecg.signal[2], ecg.signal[1] - ecg.signal[0], atol=0.011)
    from crtkit.signals import measure_qrs

    measured = measure_qrs(ecg.signal, ecg.fs)
    assert measured["heart_rate_bpm"] == pytest.approx(69, abs=1.5)
    assert measured["qrs_duration_ms"] == pytest.approx(94, abs=12)


def test_a_table_keeps_every_sample_in_its_place(tmp_path):
    path = tmp_path / "ecg.csv"
    told = {"fs": 500, "unit": "mV"}
    path.write_text("I\n" + "0.1\n0.2\n\n0.4\n" * 50)
    signal = read_ecg(path, **told).signal
    assert signal.shape == (1, 200)
    assert np.isnan(signal[0, 2::4]).all()
    for row in ("0.1\n", "\n"):  # cut short, or blank
        path.write_text("I,II\n" + "0.1,0.2\n" * 50 + row + "0.1,0.3\n" * 50)
        with pytest.raises(ValueError, match=r"ecg.csv .*row 51 of its samples has 1 cell"):
            read_ecg(path, **told)
    path.write_text("# fs: 499,5\nI;II\n" + "0,1;0,2\n" * 50 + "\n\n")
    ecg = read_ecg(path, unit="mV")
    assert ecg.fs == 499.5
    assert ecg.signal.shape == (6, 50)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"lead_names": "II"}, "sequence of names, got the text 'II'"),
        ({"fs": "500"}, "above 0, got '500'"),
        ({"fs": float("nan")}, "above 0, got nan"),
        ({"fs": True}, "above 0, got True"),
    ],
)
def test_what_is_told_is_checked(tmp_path, told, words):
    path = tmp_path / "ecg.csv"
    path.write_text("0.1,0.2\n" * 50)
    with pytest.raises(ValueError, match=words):
        read_ecg(path, **{"fs": 500, "unit": "mV", "lead_names": ["I", "II"], **told})


@pytest.mark.parametrize(
    ("rate", "words"), [("500 Hz", "'500 Hz' as its sampling rate"), (None, "does not say its fs")]
)
def test_the_rate_of_an_hdf5_file_is_a_number(tmp_path, rate, words):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "ecg.h5", "w") as file:
        file["ecg"] = np.random.default_rng(0).normal(size=(2, 500)) / 10
        file["ecg"].attrs["fs"] = h5py.Empty("f8") if rate is None else rate
    with pytest.raises(ValueError, match=rf"ecg.h5 .*{words}"):
        read_ecg(tmp_path / "ecg.h5", unit="mV", lead_names=["I", "II"])


def test_a_module_beside_an_hdf5_file_is_not_run(tmp_path, monkeypatch):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "ecg.h5", "w") as file:
        file["ecg"] = np.random.default_rng(0).normal(size=(2, 500)) / 10
    (tmp_path / "h5py.py").write_text("open('was_run', 'w')\n")
    monkeypatch.chdir(tmp_path)
    assert read_ecg("ecg.h5", fs=500, unit="mV", lead_names=["I", "II"]).signal.shape == (6, 500)
    assert not (tmp_path / "was_run").exists()


def test_attributes_by_default_are_refused(make, tmp_path):
    text = make("mortara").decode()
    path = tmp_path / "ecg.xml"
    for encoding in ("utf-8", "utf-16"):
        prologue = f'<?xml version="1.0" encoding="{encoding}"?>'
        declared = f'{prologue}<!DOCTYPE ECG [<!ATTLIST a b CDATA "{"x" * 1000}">]>'
        path.write_bytes((declared + text[text.index("<ECG") :]).encode(encoding))
        with pytest.raises(ValueError, match=r"ecg.xml declares attributes"):
            read_ecg(path)


def test_interruptions_of_many_channels_do_not_fill_the_memory(make, tmp_path, counts):
    # Twelve channels of two data records, 100,000 s apart: 2.4 GB of NaN in 20 kB.
    from crtkit.readers import edf

    signal = edf._Signal("I", "mV", (-1.0, 1.0), (-100.0, 100.0), 500)
    starts = np.array([0.0, 100_000.0])
    with pytest.raises(ValueError, match="lie too far apart"):
        edf._placed(np.zeros((2, 500)), signal, starts, 1.0, edf._MOST_SAMPLES // 12, tmp_path)
    alone = edf._placed(np.zeros((2, 500)), signal, starts / 1e4, 1.0, edf._MOST_SAMPLES, tmp_path)
    assert np.isnan(alone.samples).sum() == 9 * 500
