import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from crtkit._leads import LEADS_12
from crtkit.readers import read_ecg


def test_reads_by_any_of_its_names(make_wfdb):
    folder = make_wfdb(1, fs=400, comments=["Age: 71", "Sex: Female", "Dx: 1,2", "Name: X"])
    reads = [read_ecg(folder / name) for name in ("r0", "r0.hea", "r0.dat")]
    for ecg in reads:
        assert ecg.format == "wfdb"
        assert ecg.fs == 400
        assert ecg.signal.shape == (12, 800)
        assert ecg.signal.dtype == np.float32
        np.testing.assert_array_equal(ecg.signal, reads[0].signal)
    assert reads[0].header == {"age": 71.0, "sex": "Female", "diagnoses": ["1", "2"]}
    assert "Name: X" in read_ecg(folder / "r0", identifiers=True).header["comments"]
    assert "10 s" not in repr(reads[0])
    assert "2 s at 400 Hz" in repr(reads[0])


def test_microvolt_becomes_millivolt(make_wfdb):
    folder = make_wfdb(1)
    header = folder / "r0.hea"
    want = read_ecg(header).signal
    header.write_text(header.read_text().replace("1000(0)/mV", "1(0)/uV"))
    np.testing.assert_allclose(read_ecg(header).signal, want, atol=1e-6)
    header.write_text(header.read_text().replace("/uV", "/mmHg"))
    with pytest.raises(ValueError, match=r"I \(mmHg\).*an ECG is in mV"):
        read_ecg(header)


def test_missing_and_damaged_files(make_wfdb):
    folder = make_wfdb(3)
    (folder / "r0.dat").unlink()
    with pytest.raises(FileNotFoundError, match="signal file that is missing"):
        read_ecg(folder / "r0")
    (folder / "r1.dat").write_bytes(b"")
    with pytest.raises(ValueError, match="r1.hea cannot be read"):
        read_ecg(folder / "r1")
    (folder / "r2.hea").write_text("")
    with pytest.raises(ValueError, match="r2.hea cannot be read"):
        read_ecg(folder / "r2")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_ecg(folder / "r9")
    with pytest.raises(ValueError, match="is a directory"):
        read_ecg(folder)
    (folder / "lonely.dat").write_bytes(b"\0")
    with pytest.raises(FileNotFoundError, match="needs its WFDB header lonely.hea"):
        read_ecg(folder / "lonely.dat")
    (folder / "ecg.xyz").write_bytes(b"\0")
    with pytest.raises(ValueError, match="the format .xyz is not supported"):
        read_ecg(folder / "ecg.xyz")


def test_duplicate_leads_are_refused(make_wfdb):
    folder = make_wfdb(1, lead_names=["I", "II", "i"])
    with pytest.raises(ValueError, match="occurs twice"):
        read_ecg(folder / "r0").standard_leads()


def test_free_text_behind_known_keys_stays_behind(make_wfdb):
    comments = ["Age: 64", "Sex: Male, John Smith", "Dx: seen by Dr. Who,426783006", "Id: 4711"]
    folder = make_wfdb(1, comments=comments)
    assert read_ecg(folder / "r0").header == {"age": 64.0, "diagnoses": ["426783006"]}
    full = read_ecg(folder / "r0", identifiers=True).header
    assert full["sex"] == "Male, John Smith"
    assert full["comments"] == comments


def test_limb_leads_come_from_one_and_two(make_wfdb):
    folder = make_wfdb(1, lead_names=["V1", "II", "I"])
    ecg = read_ecg(folder / "r0")
    assert ecg.lead_names == ("I", "II", "III", "aVR", "aVL", "aVF", "V1")
    assert ecg.header["derived_leads"] == ["III", "aVR", "aVL", "aVF"]
    np.testing.assert_allclose(ecg.signal[2], ecg.signal[1] - ecg.signal[0], atol=1e-6)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("12 500 1000", "12 500 9999999999", r"9999999999 samples .* has 1000 \(24000 bytes\)"),
        ("12 500 1000", "12 0 1000", r"r0\.hea gives a sampling rate of"),
        ("1000(0)/mV", "1e-300(0)/mV", "a step of the samples is worth 1e[+]300 mV"),
    ],
)
def test_headers_that_promise_what_cannot_be(make_wfdb, old, new, words):
    header = make_wfdb(1) / "r0.hea"
    text = header.read_text()
    assert old in text
    header.write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=words):
        read_ecg(header)


ECG = np.cumsum(np.random.default_rng(1).integers(-40, 41, (2000, 3)), axis=0) % 900 - 450


def write(folder, name, digital, *, gain="1000/mV", leads=("I", "II", "V1"), fs=500, **changes):
    """A record of interleaved 16-bit samples, written without any package."""
    comments, checksums = changes.pop("comments", ()), changes.pop("checksums", None)
    encoding, newline = changes.pop("encoding", "utf-8"), changes.pop("newline", "\n")
    first = changes.pop("first", None)
    assert not changes
    digital = np.asarray(digital)
    digital.astype("<i2").tofile(folder / f"{name}.dat")
    sums = digital.astype(np.int64).sum(axis=0).astype(np.int16) if checksums is None else checksums
    lines = [first or f"{name} {len(leads)} {fs} {len(digital)}"]
    for lead, total in zip(leads, sums):
        lines.append(f"{name}.dat 16 {gain} 16 0 0 {total} 0 {lead}")
    lines += [f"#{comment}" for comment in comments]
    (folder / f"{name}.hea").write_bytes((newline.join(lines) + newline).encode(encoding))
    return folder / name


@pytest.mark.parametrize("fmt", ["16", "24", "32", "61", "80", "160", "212", "310", "311"])
@pytest.mark.parametrize("n_samples", [999, 1000, 1001])
def test_every_format_against_the_wfdb_package(fmt, n_samples, tmp_path):
    wfdb = pytest.importorskip("wfdb")
    raw = np.random.default_rng(0).integers(0, 256, n_samples * 3 * 4 + 16, dtype=np.uint8)
    if fmt == "311":
        raw[3::4] &= 0x3F  # the two bits above three samples are zero
    raw.tofile(tmp_path / "r.dat")
    names, gains = ("I", "II", "V1"), (2e3, 1e4, 3e3)
    gains = [gain * 2**16 for gain in gains] if fmt in ("24", "32") else gains
    lines = [f"r 3 500 {n_samples}"]
    lines += [f"r.dat {fmt} {gain}(7)/mV 16 0 0 0 0 {lead}" for gain, lead in zip(gains, names)]
    (tmp_path / "r.hea").write_text("\n".join(lines) + "\n")
    ecg = read_ecg(tmp_path / "r")
    want = wfdb.rdrecord(str(tmp_path / "r")).p_signal.T
    order = [ecg.lead_names.index(name) for name in names]
    np.testing.assert_allclose(ecg.signal[order], want, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("fmt", ["508", "516", "524"])
def test_compressed_records(fmt, tmp_path):
    wfdb = pytest.importorskip("wfdb")
    pytest.importorskip("soundfile")
    digital = np.clip(ECG, -120, 120)
    wfdb.wrsamp(
        "r",
        fs=500,
        units=["mV"] * 3,
        sig_name=["I", "II", "V1"],
        d_signal=digital,
        fmt=[fmt] * 3,
        adc_gain=[200] * 3,
        baseline=[3] * 3,
        write_dir=str(tmp_path),
    )
    ecg = read_ecg(tmp_path / "r")
    np.testing.assert_allclose(ecg.signal[1], (digital[:, 1] - 3) / 200, atol=1e-6)


def test_missing_samples_are_nan(tmp_path):
    digital = ECG.copy()
    digital[5, 2] = -(2**15)
    ecg = read_ecg(write(tmp_path, "r", digital))
    assert np.isnan(ecg.signal[ecg.lead_names.index("V1")]).nonzero()[0].tolist() == [5]
    digital[:] = -(2**15)
    with pytest.raises(ValueError, match="holds no valid sample"):
        read_ecg(write(tmp_path, "r", digital))


@pytest.mark.parametrize(
    "gain", ["1000", "1000.0/mV", "1e3/mV", "1000(0)/mV", "1000/mV(0)", "1/uV"]
)
def test_spellings_of_one_gain(tmp_path, gain):
    got = read_ecg(write(tmp_path, "r", ECG, gain=gain)).signal[1]
    np.testing.assert_allclose(got, ECG[:, 1] / 1000, atol=1e-6)


@pytest.mark.parametrize("gain", ["0", "0/mV", "0(0)/mV"])
def test_uncalibrated_records_are_refused(tmp_path, gain):
    with pytest.raises(ValueError, match="lead I is not calibrated: its gain is 0"):
        read_ecg(write(tmp_path, "r", ECG, gain=gain))
    path = write(tmp_path, "r", ECG)
    path.with_suffix(".hea").write_text("r 3 500 2000\n" + "r.dat 16\n" * 3)
    with pytest.raises(ValueError, match="is not calibrated: its gain is not given"):
        read_ecg(path)


@pytest.mark.parametrize(
    ("gain", "words"),
    [
        ("-1000/mV", "-1000 steps per mV; above 0"),
        ("1e-30/mV", "a step of the samples is worth 1e[+]30 mV"),
        ("1e30/mV", "a step of the samples is worth 1e-30 mV"),
        ("nan/mV", "nan steps per mV"),
        ("inf/mV", "inf steps per mV"),
        ("1000(99999999999)/mV", "99999999999|1e[+]11"),
        ("1000(100000)/mV", "reaches 100 mV; no ECG exceeds 50"),
        ("2/mV", "reaches 448 mV; no ECG exceeds 50"),
    ],
)
def test_calibrations_that_no_recorder_has(tmp_path, gain, words):
    with pytest.raises(ValueError, match=words):
        read_ecg(write(tmp_path, "r", ECG, gain=gain))


def test_checksums_tell_damage_and_exchanged_files(tmp_path):
    one, two = write(tmp_path, "one", ECG), write(tmp_path, "two", ECG[::-1] + 3)
    (tmp_path / "one.dat").write_bytes((tmp_path / "two.dat").read_bytes())
    with pytest.raises(ValueError, match="the checksum of I does not fit.*another record"):
        read_ecg(one)
    raw = bytearray((tmp_path / "two.dat").read_bytes())
    raw[4000] ^= 4
    (tmp_path / "two.dat").write_bytes(bytes(raw))
    with pytest.raises(ValueError, match="does not fit its samples"):
        read_ecg(two)
    read_ecg(write(tmp_path, "one", ECG, checksums=[0, 0, 0]))  # not computed by its writer


def test_a_stopped_download_says_how_much_is_there(tmp_path):
    path = write(tmp_path, "r", ECG)
    (tmp_path / "r.dat").write_bytes((tmp_path / "r.dat").read_bytes()[:6006])
    with pytest.raises(ValueError, match=r"2000 samples are announced.*r\.dat has 1001 \(6006"):
        read_ecg(path)


@pytest.mark.parametrize(
    "options",
    [
        {"newline": "\r\n"},
        {"encoding": "latin-1", "comments": ["Größe: 180"]},
        {"encoding": "utf-8-sig"},
        {"first": "r 3 500 2000 12:33:59 12-05-2020"},
        {"first": "r 3 500 2000 12-May-2020 12:33:59"},
        {"first": "r 3 500 2000 2006"},
        {"first": "r 3 500/1000(0) 2000"},
        {"first": "r 3 500"},
    ],
)
def test_headers_as_they_are_found(tmp_path, options):
    want = read_ecg(write(tmp_path, "r", ECG)).signal
    options = {"comments": ["Age: 63"], **options}
    options["comments"] = [*options["comments"], "Age: 63"]
    ecg = read_ecg(write(tmp_path, "r", ECG, **options))
    np.testing.assert_array_equal(ecg.signal, want)
    assert ecg.header["age"] == 63


@pytest.mark.parametrize("name", ["1.2.840.10008", "with blank", "ünï"])
def test_names_of_records(tmp_path, name):
    path = write(tmp_path, name, ECG)
    assert read_ecg(str(path)).signal.shape[1] == 2000
    assert read_ecg(f"{path}.hea").signal.shape[1] == 2000


def test_the_first_challenge_headers_leave_out_the_suffix(tmp_path):
    path = write(tmp_path, "r", ECG)
    header = tmp_path / "r.hea"
    want = read_ecg(path).signal
    header.write_text(header.read_text().replace("r.dat", "r"))
    np.testing.assert_array_equal(read_ecg(path).signal, want)
    header.rename(tmp_path / "r.HEA")
    np.testing.assert_array_equal(read_ecg(tmp_path / "r.HEA").signal, want)


@pytest.mark.parametrize(
    ("leads", "standard"),
    [
        (("Lead I", "ECG lead ii", "v1"), ("I", "II", "V1")),
        (("DI", "DII", "V1"), ("I", "II", "V1")),
        (("II", "III", "V1"), ("II", "III", "V1")),
        (("aVL", "aVF", "V1"), ("aVL", "aVF", "V1")),
    ],
)
def test_lead_spellings_and_limb_leads(tmp_path, leads, standard):
    ecg = read_ecg(write(tmp_path, "r", ECG, leads=leads))
    assert ecg.lead_names == ("I", "II", "III", "aVR", "aVL", "aVF", "V1")
    given = {name: ecg.signal[ecg.lead_names.index(name)] for name in ecg.lead_names}
    for name, samples in zip(standard, ECG.T / 1000):
        np.testing.assert_allclose(given[name], samples, atol=1e-6)
    np.testing.assert_allclose(given["III"], given["II"] - given["I"], atol=1e-6)
    np.testing.assert_allclose(given["aVR"] + given["aVL"] + given["aVF"], 0, atol=1e-6)


def test_minus_avr_is_not_avr(tmp_path):
    names = read_ecg(write(tmp_path, "r", ECG, leads=("V1", "-aVR", "V3R"))).lead_names
    assert names == ("V1", "-aVR", "V3R")


def test_several_samples_a_frame_and_other_channels(tmp_path):
    wfdb = pytest.importorskip("wfdb")
    fast = np.repeat(ECG[:, :2], 4, axis=0)[:4000].reshape(1000, 4, 2)
    slow = ECG[:1000, 2:]
    frames = np.concatenate([fast[:, :, 0], fast[:, :, 1], slow, slow], axis=1)
    frames.astype("<i2").tofile(tmp_path / "r.dat")
    lines = ["r 4 125 1000", "r.dat 16x4 1000/mV 16 0 0 0 0 II", "r.dat 16x4 1000/mV 16 0 0 0 0 V",
             "r.dat 16 10/mmHg 16 0 0 0 0 ABP", "r.dat 16 100/mV 16 0 0 0 0 RESP"]  # fmt: skip
    (tmp_path / "r.hea").write_text("\n".join(lines) + "\n")
    ecg = read_ecg(tmp_path / "r")
    assert ecg.fs == 500
    assert ecg.lead_names == ("II", "V")
    assert ecg.header["left_out"] == ["ABP (mmHg)", "RESP (mV)"]
    second = wfdb.rdrecord(str(tmp_path / "r"), smooth_frames=False)
    np.testing.assert_allclose(ecg.signal, np.stack(second.e_p_signal[:2]), atol=1e-6)


def test_ecg_channels_at_another_rate_are_named(tmp_path):
    frames = np.concatenate([ECG[:, :1], ECG[:, 1:2], np.repeat(ECG[:, 2:], 2, axis=1)], axis=1)
    frames.astype("<i2").tofile(tmp_path / "r.dat")
    lines = ["r 3 250 2000", *(f"r.dat 16{x} 1000/mV 16 0 0 0 0 {lead}" for x, lead in
             (("", "II"), ("", "V1"), ("x2", "V5")))]  # fmt: skip
    (tmp_path / "r.hea").write_text("\n".join(lines) + "\n")
    ecg = read_ecg(tmp_path / "r")
    assert (ecg.fs, ecg.lead_names) == (250, ("II", "V1"))
    assert ecg.header["left_out"] == ["V5 (500 Hz)"]


@pytest.mark.parametrize("layout", ["fixed", "variable"])
def test_records_of_segments(tmp_path, layout):
    wfdb = pytest.importorskip("wfdb")
    write(tmp_path, "s1", ECG[:1000], gain="1000/mV", leads=("I", "II", "V1"))
    second = ("I", "II", "V1") if layout == "fixed" else ("II", "V1", "V5")
    write(tmp_path, "s2", ECG[1000:], gain="500/mV", leads=second)
    if layout == "fixed":
        (tmp_path / "r.hea").write_text("r/2 3 500 2000\ns1 1000\ns2 1000\n")
    else:
        leads = ("I", "II", "V1", "V5")
        (tmp_path / "lay.hea").write_text(
            "lay 4 500 0\n" + "".join(f"~ 0 1000/mV 16 0 0 0 0 {lead}\n" for lead in leads)
        )
        (tmp_path / "r.hea").write_text("r/4 4 500 2500\nlay 0\ns1 1000\n~ 500\ns2 1000\n")
    ecg = read_ecg(tmp_path / "r")
    want = wfdb.rdrecord(str(tmp_path / "r"), m2s=True)
    for name, samples in zip(want.sig_name, want.p_signal.T):
        np.testing.assert_allclose(ecg.signal[ecg.lead_names.index(name)], samples, atol=1e-6)
    assert ecg.signal.shape[1] == (2000 if layout == "fixed" else 2500)
    (tmp_path / "s2.hea").unlink()
    with pytest.raises(FileNotFoundError, match=r"a segment that is missing: s2\.hea"):
        read_ecg(tmp_path / "r")


def test_a_header_cannot_reach_elsewhere(tmp_path):
    path = write(tmp_path, "r", ECG)
    header = path.with_suffix(".hea")
    text = header.read_text()
    for name in ("../r.dat", "/etc/passwd", "~"):
        header.write_text(text.replace("r.dat", name))
        with pytest.raises(ValueError, match="must lie beside the header"):
            read_ecg(path)


def test_headers_that_never_end(tmp_path):
    path = write(tmp_path, "r", ECG)
    line = "r.dat 16 1000/mV 16 0 0 0 0 I\n"
    path.with_suffix(".hea").write_text("r 100000 500 2000\n" + line * 50_000)
    with pytest.raises(ValueError, match="announces 100000 signals; an ECG has under 1000"):
        read_ecg(path)
    path.with_suffix(".hea").write_text("r 100000 500 2000\n" + line * 100_000)
    with pytest.raises(ValueError, match="a WFDB header has under 2000000"):
        read_ecg(path)
    path.with_suffix(".hea").write_text("r/2 3 500 9999999999999\nr 1\n~ 9999999999998\n")
    with pytest.raises(ValueError, match="segment|samples"):
        read_ecg(path)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_what_is_written_is_read(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wfdb")
    n_leads = data.draw(st.integers(1, 12))
    leads = tuple(data.draw(st.permutations(LEADS_12)))[:n_leads]
    fs = data.draw(st.sampled_from([100, 250, 360, 500, 512, 1000, 499.99996]))
    gain = data.draw(st.floats(200, 40_000))
    # Leads that are derived from these reach up to four times as much; 50 mV are refused.
    baseline = data.draw(st.integers(-1000, 1000))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    n_samples = data.draw(st.integers(1, 700))
    digital = rng.integers(-1000, 1000, (n_samples, n_leads))
    path = write(folder, "r", digital, gain=f"{gain!r}({baseline})/mV", leads=leads, fs=fs)
    ecg = read_ecg(path)
    assert ecg.fs == fs
    for name, samples in zip(leads, digital.T):
        got = ecg.signal[ecg.lead_names.index(name)]
        np.testing.assert_allclose(got, (samples - baseline) / gain, rtol=1e-6, atol=1e-6)


def test_a_line_of_blanks_ends(tmp_path):
    path = tmp_path / "r.hea"
    for text in ("a" + " " * 500_000 + "x", "r 1 500 100\nf" + " " * 500_000 + "16 x"):
        path.write_text(text)
        with pytest.raises(ValueError, match="has a line of 50000.* characters"):
            read_ecg(path)


def test_a_segment_fills_its_own_place(make_wfdb):
    folder = make_wfdb(1)
    name = "r0"
    whole = read_ecg(folder / name).signal.shape[1]
    record = folder / "both.hea"
    record.write_text(f"both/2 12 500 {whole + 50}\n{name} {whole}\n{name} 50\n")
    with pytest.raises(ValueError, match=rf"announces 50 samples .*for the segment {name}"):
        read_ecg(record)
    # The same where the segment's own header gives no length.
    header = folder / f"{name}.hea"
    lines = header.read_text().splitlines()
    header.write_text("\n".join([" ".join(lines[0].split()[:3]), *lines[1:]]) + "\n")
    with pytest.raises(ValueError, match=rf"announces 50 samples for the segment {name}"):
        read_ecg(record)


def test_skew_is_taken_out_of_compressed_records_once(tmp_path):
    wfdb = pytest.importorskip("wfdb")
    pytest.importorskip("soundfile")
    values = np.random.default_rng(0).integers(-500, 500, (400, 2))
    wfdb.wrsamp(
        "r", fs=500, units=["mV"] * 2, sig_name=["I", "V1"], d_signal=values, fmt=["516"] * 2,
        adc_gain=[1000.0] * 2, baseline=[0] * 2, write_dir=str(tmp_path),
    )  # fmt: skip
    header = tmp_path / "r.hea"
    header.write_text(header.read_text().replace(" 516 ", " 516:10 ", 1))
    signal = read_ecg(tmp_path / "r").signal
    np.testing.assert_allclose(signal[0, :390], values[10:, 0] / 1000, atol=1e-6)
    assert np.isnan(signal[0, 390:]).all()
    np.testing.assert_allclose(signal[1], values[:, 1] / 1000, atol=1e-6)
