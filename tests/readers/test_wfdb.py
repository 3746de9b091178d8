import numpy as np
import pytest

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
    with pytest.raises(ValueError, match="mmhg"):
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
    with pytest.raises(ValueError, match="the format .xyz is not read"):
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
        ("12 500 1000", "12 500 9999999999", "samples are announced, the signal files have 24000"),
        ("12 500 1000", "12 0 1000", r"r0\.hea gives no sampling rate that could be one"),
        ("1000(0)/mV", "1e-300(0)/mV", "too large for float32"),
    ],
)
def test_headers_that_promise_what_cannot_be(make_wfdb, old, new, words):
    header = make_wfdb(1) / "r0.hea"
    text = header.read_text()
    assert old in text
    header.write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=words):
        read_ecg(header)
