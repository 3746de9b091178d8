"""GE MUSE, Philips Sierra, HL7 aECG and SCP-ECG: made files, hostile files, and real ones."""

import base64
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from crtkit import read_manifest
from crtkit.readers import read_ecg
from crtkit.signals import LEADS_12

FORMATS = ("muse", "sierra", "aecg", "scp")
ALL = (*FORMATS, "cardiosoft", "schiller", "mortara", "edf", "ishne", "csv")


@pytest.fixture
def read(make, tmp_path):
    def one(kind, identifiers=False, **changes):
        path = tmp_path / f"ecg.{kind}"
        path.write_bytes(make(kind, **changes))
        return read_ecg(path, identifiers=identifiers)

    return one


def expected(counts):
    """Twelve leads in millivolt of eight in steps of 5 microvolt."""
    one, two = counts[:2] * 0.005
    limb = [one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2]
    return np.stack([*limb, *(counts[2:] * 0.005)])


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_holds_the_same_signal(kind, read, counts):
    ecg = read(kind)
    assert ecg.format == kind
    assert ecg.fs == 500
    assert ecg.lead_names == LEADS_12
    assert ecg.signal.dtype == np.float32
    # Sierra keeps its own augmented leads, rounded to a step.
    np.testing.assert_allclose(
        ecg.signal, expected(counts), atol=0.0051 if kind == "sierra" else 1e-6
    )
    assert ecg.header["printed"]["qrs_duration_ms"] == 160
    assert ecg.header["sex"] == "Female"
    derived = ecg.header.get("derived_leads", [])
    assert derived == ([] if kind == "sierra" else ["III", "aVR", "aVL", "aVF"])
    np.testing.assert_array_equal(ecg.standard_leads(), ecg.signal)


@pytest.mark.parametrize("kind", FORMATS)
def test_identifiers_only_where_asked(kind, read):
    plain, full = read(kind), read(kind, identifiers=True)
    assert full.header["patient_id"] == "4711"
    for word in ("4711", "Müller", "Clark", "Dr. Who", "2020"):
        assert word not in str(plain.header)
    if kind == "muse":
        assert full.header["statements"] == ["Confirmed by Dr. Who"]
        assert full.header["last_name"] == "Müller"


def test_printed_values(read):
    assert read("scp").header["printed"] == {
        **{"heart_rate_bpm": 75, "pr_ms": 160, "qrs_duration_ms": 160, "qt_ms": 440},
        **{"qrs_axis_deg": -20},
    }
    assert read("muse").header["filters_hz"] == {"high_pass": 0.05}
    assert read("muse").header["age"] == read("sierra").header["age"] == 63


def test_variants_of_formats(read, counts):
    want = expected(counts)
    for changes in (
        {"order": 0},
        {"order": 1},
        {"table": False, "order": 0},
        {"own_table": True},
        {"subtracted": True},
        {"subtracted": True, "table": False, "order": 0},
        {"first": 0},
        {"first": 0, "n": 1499},
    ):
        np.testing.assert_allclose(read("scp", **changes).signal, want, atol=1e-6)
    np.testing.assert_allclose(read("sierra", compression="").signal, want, atol=0.0051)
    np.testing.assert_allclose(read("sierra", encoding="utf-16").signal, want, atol=0.0051)
    # The calibration pulse behind the record is not a heart beat.
    assert read("sierra", pulse=True).signal.shape == want.shape
    assert read("aecg", increment="0.001667").fs == 600
    nanovolt = read("aecg", unit="nV").signal
    np.testing.assert_allclose(nanovolt, want / 1000, rtol=1e-5, atol=1e-9)
    with pytest.raises(ValueError, match="mV; no ECG exceeds 50"):
        read("aecg", unit="mV")


def test_large_steps_survive_compression(read):
    rng = np.random.default_rng(0)
    wild = rng.integers(-3000, 3000, (8, 400))
    for kind, changes in (("scp", {"order": 1}), ("sierra", {})):
        found = read(kind, counts=wild, **changes).signal
        np.testing.assert_allclose(found[6:], wild[2:] * 0.005, atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        ("muse", {"checksum": 5}, "lead I: the checksum does not fit"),
        ("muse", {"n": 7}, "7 samples are announced, 1500 are there"),
        ("muse", {"unit": "MMHG"}, "is in 'MMHG'; mV, uV or V"),
        ("muse", {"wave": "Median"}, "has 0 rhythm waveforms"),
        ("muse", {"names": ("I", "II", "V1", "V1")}, "twice: 'V1'"),
        ("sierra", {"compression": "ZIP"}, "compressed by 'ZIP' are not supported"),
        ("sierra", {"cut": 900}, "of the waveforms is cut short"),
        ("sierra", {"duration": 99_000}, "49500 samples expected"),
        ("sierra", {"duration": -5}, "lacks its sampling rate, resolution or duration"),
        ("sierra", {"compression": "", "cut": 1}, "are not 12 leads of 16 bits"),
        ("aecg", {"code": "REPRESENTATIVE_BEAT"}, "has no rhythm series"),
        ("aecg", {"increment": "often"}, "no sampling interval"),
        ("aecg", {"increment": "0"}, "a sampling rate of"),
        ("aecg", {"digits": "1 2 x"}, "lead I is not a list of numbers"),
        ("aecg", {"digits": ""}, "lead I is empty"),
        ("scp", {"damage": 900}, "the checksum does not fit"),
        ("scp", {"n": 1501}, "lead I: 1501 samples are not there"),
        ("scp", {"first": 0, "n": 1501}, "lead I: 1502 samples are not there"),
        ("scp", {"n": 10**9}, "1000000000 samples are not there"),
        ("scp", {"n": 0}, "ends at sample 0, before it begins"),
        ("sierra", {"duration": "inf"}, "lacks its sampling rate, resolution or duration"),
        ("sierra", {"duration": "1e308"}, "a resting ECG has under"),
        ("aecg", {"digits": "1 inf 2"}, r"ecg\.aecg, lead I holds samples that are infinite"),
        ("aecg", {"digits": "1 1e300 2"}, "too large for float32"),
    ],
)
def test_damaged_files_are_named(kind, changes, words, read):
    with pytest.raises(ValueError, match=words):
        read(kind, **changes)


@pytest.mark.parametrize(
    ("kind", "old", "new", "words"),
    [
        ("aecg", b'<scale value="5"', b'<scale value="0"', "is worth 0; above 0"),
        ("aecg", b'<origin value="0"', b'<origin value="inf"', "no origin that is a number"),
        ("sierra", b"<resolution>5", b"<resolution>-5", "is worth -0.005; above 0"),
        ("sierra", b"<samplingrate>500", b"<samplingrate>0", "a sampling rate of"),
        ("sierra", b'"I II III aVR aVL aVF V1 V2 V3 V4 V5 V6"', b'""', "names no leads"),
        ("muse", b"UnitsPerBit>5", b"UnitsPerBit>1e300", "is worth 1e[+]297 mV"),
        ("muse", b"<WaveFormData>", b"<WaveFormData>\xfc", "lead I is not Base64"),
    ],
)
def test_impossible_values_are_named(kind, old, new, words, make, tmp_path):
    content = make(kind)
    assert old in content
    path = tmp_path / "ecg.xml"
    path.write_bytes(content.replace(old, new))
    with pytest.raises(ValueError, match=rf"ecg\.xml.*{words}"):
        read_ecg(path)


def test_small_files_do_not_take_the_memory(make, tmp_path):
    # Sixty kilobytes of LZW codes that stand for 14 MB, and a duration that asks for all of it.
    codes = [65, *range(256, 1024), *[1023] * 50_000]
    bits = "".join(f"{code:010b}" for code in codes)
    block = int(bits + "0" * (-len(bits) % 8), 2).to_bytes((len(bits) + 7) // 8, "big")
    raw = base64.b64encode(struct.pack("<IHh", len(block), 1, 0) + block)
    content = make("sierra", duration="2e12")
    path = tmp_path / "ecg.xml"
    path.write_bytes(content[: content.index(b"2e12") + 6] + raw + END_OF_SIERRA)
    with pytest.raises(ValueError, match=r"announces 2e\+09 s at 500 Hz"):
        read_ecg(path)
    path.write_bytes(b"<RestingECG>" + b"<a/>" * 500_001 + b"</RestingECG>")
    with pytest.raises(ValueError, match="has over 500000 tags"):
        read_ecg(path)
    with path.open("wb") as file:
        file.write(b"<RestingECG>")
        file.truncate(30_000_001)
    with pytest.raises(ValueError, match="an ECG in XML has under 30"):
        read_ecg(path)
    with path.open("wb") as file:
        file.write(bytes(16) + b"SCPECG")
        file.truncate(30_000_001)
    with pytest.raises(ValueError, match="no SCP-ECG file is"):
        read_ecg(path)


END_OF_SIERRA = b"</parsedwaveforms></waveforms></restingecgdata>"


def test_codes_that_stand_for_more_than_memory(make, tmp_path):
    # Thirty blocks of some kilobytes, a million samples each.
    codes = [65, *range(256, 1024), *[1023] * 2_800]
    bits = "".join(f"{code:010b}" for code in codes)
    block = int(bits + "0" * (-len(bits) % 8), 2).to_bytes((len(bits) + 7) // 8, "big")
    raw = base64.b64encode((struct.pack("<IHh", len(block), 1, 0) + block) * 30)
    content = make("sierra", duration="2e6")
    path = tmp_path / "ecg.xml"
    path.write_bytes(content[: content.index(b"2e6") + 5] + raw + END_OF_SIERRA)
    with pytest.raises(ValueError, match="block 21 of the waveforms: a resting ECG has under"):
        read_ecg(path)


def test_reference_beats_at_the_ends_of_a_record():
    from crtkit.readers.scp_codes import add_reference_beats

    lead = np.arange(10.0)
    beat = np.array([100.0, 200.0, 300.0])
    got = add_reference_beats(lead, beat, 2, [(1, 1, 2), (5, 6, 7), (10, 10, 99)])
    want = lead + [200, 300, 0, 0, 100, 200, 300, 0, 0, 200]
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("suffix", [".dat", ".mat"])
def test_a_suffix_of_another_format_does_not_matter(kind, suffix, make, tmp_path):
    path = tmp_path / f"ecg{suffix}"
    path.write_bytes(make(kind))
    assert read_ecg(path).format == kind


def test_nobody_is_older_than_130(make, tmp_path):
    path = tmp_path / "ecg.xml"
    for age in (b"-3", b"999", b"1e300"):
        path.write_bytes(make("muse").replace(b"Age>63<", b"Age>" + age + b"<"))
        assert "age" not in read_ecg(path).header


BOMB = b"""<?xml version="1.0"?><!DOCTYPE RestingECG [<!ENTITY a "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">
<!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;">
<!ENTITY e "&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;">
<!ENTITY f "&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;">
]><RestingECG>&f;</RestingECG>"""


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (BOMB, "declares XML entities"),
        (
            b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><RestingECG>&e;</RestingECG>',
            "declares XML entities",
        ),
        (b"<RestingECG><Waveform>", "is not well-formed XML"),
        (b"<restingecgdata/>", "has no parsedwaveforms"),
        (b"<svg/>", "XML that begins with <svg> is not supported"),
        (b'<?xml version="1.0" encoding="klingon"?><RestingECG/>', "is not well-formed XML"),
        (b"", "is not supported"),
        (b"%PDF-1.7", "is not supported"),
        (bytes(128) + b"DICM" + bytes(40), "DICOM"),
    ],
)
def test_hostile_and_foreign_files(content, words, tmp_path):
    path = tmp_path / "ecg.xml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words):
        read_ecg(path)


def test_deep_nesting_ends(tmp_path):
    path = tmp_path / "deep.xml"
    path.write_bytes(
        b"<restingecgdata>" + b"<a>" * 50_000 + b"</a>" * 50_000 + b"</restingecgdata>"
    )
    with pytest.raises(ValueError, match=r"deep\.xml"):
        read_ecg(path)


@pytest.mark.parametrize("kind", ALL)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damage_raises_a_named_error_or_reads(kind, make, tmp_path, data):
    content = bytearray(make(kind))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(100, len(content))) :]
    path = tmp_path / "damaged"
    path.write_bytes(bytes(content))
    try:
        ecg = read_ecg(path)
    except ValueError:
        return  # any other error, or none in time, fails
    assert ecg.signal.shape == (len(ecg.lead_names), ecg.signal.shape[1])


def test_a_manifest_of_vendor_files(make, tmp_path):
    import pandas as pd

    for number, kind in enumerate(FORMATS):
        (tmp_path / f"{number}.ecg").write_bytes(make(kind))
    table = pd.DataFrame(
        {"file": [f"{i}.ecg" for i in range(4)], "y": [0, 1, 0, 1], "id": list("abcd")}
    )
    cohort = read_manifest(table, label="y", group="id", signal="file", root=tmp_path)
    assert cohort.X["signal"][0].shape == (12, 1500)
    assert cohort.info["sampling_rate"] == 500


def test_dicom_of_a_made_file(counts, tmp_path):
    pydicom = pytest.importorskip("pydicom")
    path = tmp_path / "ecg.dcm"
    make_dicom(pydicom, counts).save_as(path, enforce_file_format=True)
    ecg = read_ecg(path)
    want = expected(counts)
    want[6, 5] = np.nan  # V1: marked by the padding value
    np.testing.assert_allclose(ecg.signal, want, atol=1e-6)
    assert ecg.header["printed"] == {"qrs_duration_ms": 160, "heart_rate_bpm": 75}
    assert (ecg.header["age"], ecg.header["sex"]) == (63, "Female")
    for word in ("4711", "Doe", "1950", "2020", "Dr. Who", "1.2.3"):
        assert word not in str(ecg.header) + repr(ecg) + str(ecg.lead_names)
    assert read_ecg(path, identifiers=True).header["patient_id"] == "4711"
    for change, words in (
        (lambda file: delattr(file, "WaveformSequence"), "it holds no waveform"),
        (lambda file: setattr(file.WaveformSequence[1], "WaveformData", b"ab"), "cannot be read"),
        (lambda file: delattr(file.WaveformSequence[1], "ChannelDefinitionSequence"), "Channel"),
        (
            lambda file: delattr(
                file.WaveformSequence[1].ChannelDefinitionSequence[0],
                "ChannelSensitivityUnitsSequence",
            ),
            "lead I has no unit",
        ),
        (
            lambda file: delattr(
                file.WaveformSequence[1].ChannelDefinitionSequence[0], "ChannelSensitivity"
            ),
            "lead I: a step of the samples is worth nan",
        ),
        (
            lambda file: setattr(
                file.file_meta, "TransferSyntaxUID", pydicom.uid.DeflatedExplicitVRLittleEndian
            ),
            "it is deflated",
        ),
    ):
        file = make_dicom(pydicom, counts)
        change(file)
        file.save_as(path, enforce_file_format=True)
        with pytest.raises(ValueError, match=words):
            read_ecg(path)


def make_dicom(pydicom, counts):
    """A median beat, and after it the rhythm of eight leads."""

    def code(value, meaning):
        item = pydicom.Dataset()
        item.CodeValue, item.CodeMeaning = value, meaning
        item.CodingSchemeDesignator = "SCPECG"
        return pydicom.Sequence([item])

    def group(label, samples):
        item = pydicom.Dataset()
        item.MultiplexGroupLabel, item.SamplingFrequency = label, 500
        item.WaveformOriginality = "ORIGINAL" if label == "RHYTHM" else "DERIVED"
        item.NumberOfWaveformChannels, item.NumberOfWaveformSamples = samples.shape
        item.WaveformBitsAllocated, item.WaveformSampleInterpretation = 16, "SS"
        channels = []
        for number in (1, 2, *range(3, 9)):
            channel = pydicom.Dataset()
            channel.ChannelSourceSequence = code(f"5.6.3-9-{number}", "Lead")
            channel.ChannelSensitivity, channel.ChannelSensitivityCorrectionFactor = 5, 1
            channel.ChannelSensitivityUnitsSequence = code("uV", "microvolt")
            channel.ChannelBaseline, channel.WaveformBitsStored = 0, 16
            channels.append(channel)
        item.ChannelDefinitionSequence = pydicom.Sequence(channels)
        item.add_new(0x5400100A, "OW", np.int16(-32768).tobytes())
        item.add_new(0x54001010, "OW", samples.T.astype("<i2").tobytes())
        return item

    def note(meaning, value):
        item = pydicom.Dataset()
        item.ConceptNameCodeSequence, item.NumericValue = code("1", meaning), value
        return item

    file = pydicom.Dataset()
    file.file_meta = pydicom.dataset.FileMetaDataset()
    file.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    file.SOPClassUID = file.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.9.1.1"
    file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    file.PatientName, file.PatientBirthDate = "Doe^John", "19500102"
    file.AcquisitionDateTime, file.StudyInstanceUID = "20200102", "1.2.3.4"
    file.PatientComments = "Seen by Dr. Who"
    file.PatientID, file.PatientAge, file.PatientSex = "4711", "063Y", "F"
    rhythm = counts.copy()
    rhythm[2, 5] = -32768
    file.WaveformSequence = pydicom.Sequence(
        [group("MEDIAN BEAT", counts[:, :300]), group("RHYTHM", rhythm)]
    )
    file.WaveformAnnotationSequence = pydicom.Sequence(
        [note("QRS Duration", 160), note("RR Interval", 800)]
    )
    return file


@pytest.fixture(scope="module")
def vendor(data_dir):
    folder = data_dir / "vendor_files"
    if not folder.is_dir():
        pytest.skip("needs the folder vendor_files in CRTKIT_DATA")
    return folder


def test_real_files_of_every_format(vendor):
    found = {}
    for path in sorted(vendor.glob("*/*")):
        found[path.name] = read_ecg(path)
    assert {ecg.format for ecg in found.values()} == {*FORMATS, "dicom", "schiller"}
    for name, ecg in found.items():
        # Welch Allyn's is of a child: V3R and V7 in place of V3 and V5.
        leads = ecg.signal if "welch" in name else ecg.standard_leads()
        assert 9.9 <= leads.shape[1] / ecg.fs <= 11, name
        assert 0.2 < np.abs(leads).max() < 6, name
        np.testing.assert_allclose(leads[2], leads[1] - leads[0], atol=0.011)
        np.testing.assert_allclose(leads[5], (leads[1] + leads[2]) / 2, atol=0.011)


def test_one_record_in_two_formats(vendor):
    # The example of the HL7 ballot and of the ECG toolkit are the same recording.
    aecg = read_ecg(vendor / "hl7_aecg" / "HL7_example_aECG.xml")
    scp = read_ecg(vendor / "scp_ecg" / "ecgtoolkit_Example.scp")
    np.testing.assert_array_equal(aecg.signal, scp.signal)
    assert aecg.header["printed"] == scp.header["printed"]
    assert scp.header["printed"]["qrs_duration_ms"] == 120


def test_dicom_against_pydicom(vendor):
    pydicom = pytest.importorskip("pydicom")
    path = vendor / "dicom_waveform" / "pydicom_waveform_ecg.dcm"
    ecg = read_ecg(path)
    np.testing.assert_allclose(
        ecg.signal.T, pydicom.dcmread(path).waveform_array(0) / 1000, atol=1e-5
    )
    assert ecg.header["printed"]["qrs_duration_ms"] == 75


def test_a_table_may_switch_to_another():
    from crtkit.readers.scp_codes import read_tables, unpack_values

    def row(prefix, bits, mode, base, code):
        return struct.pack("<BBBhI", prefix, bits, mode, base, int(code[::-1], 2))

    section = struct.pack("<H", 2)
    section += struct.pack("<H", 2) + row(1, 1, 1, 7, "0") + row(1, 1, 0, 2, "1")
    section += struct.pack("<H", 2) + row(1, 5, 1, 0, "0") + row(1, 1, 0, 1, "1")
    # 7, then table 2: the four bits behind its prefix are -3, then back to table 1: 7.
    bits = "0" + "1" + "01101" + "1" + "0"
    block = int(bits.ljust(16, "1"), 2).to_bytes(2, "big")
    assert unpack_values(block, 3, read_tables(section)).tolist() == [7, -3, 7]
    with pytest.raises(ValueError, match="of 0 codes"):
        read_tables(struct.pack("<HH", 1, 0))


def test_printed_values_of_the_whole_record(vendor):
    # Read off the files' global measurements; the first file's statement is of an IVCD.
    printed = {
        "129DYPRG_v1.03.xml": {"qrs_duration_ms": 135, "pr_ms": 151, "qt_ms": 476},
        "2020-5-18_v1.04.01.xml": {"qrs_duration_ms": 102, "pr_ms": 164, "qt_ms": 399},
        "ZZDEMOPTONLY_v1.04.xml": {"qrs_duration_ms": 84, "pr_ms": 144, "qt_ms": 352},
    }
    for name, values in printed.items():
        header = read_ecg(vendor / "philips_sierra_xml" / name).header
        assert {k: header["printed"][k] for k in values} == values


@pytest.mark.parametrize("kind", ["muse", "sierra", "aecg"])
def test_a_control_character_costs_its_text_only(kind, make, tmp_path, counts):
    content = make(kind)
    path = tmp_path / "ecg.xml"
    for bad in (b"\x0b", b"\x1f", b"&#11;", b"&#x1F;"):
        path.write_bytes(content.replace(b"4711", b"47" + bad + b"11", 1))
        ecg = read_ecg(path, identifiers=True)
        assert ecg.signal.shape == (12, 1500)
        assert "47" in str(ecg.header)


def test_xli_counts_in_16_bits(make, tmp_path):
    counts = np.zeros((8, 400), dtype=np.int64)
    counts[0], counts[1] = 30_000, -30_000
    counts[:, 100] += 5
    path = tmp_path / "ecg.xml"
    path.write_bytes(make("sierra", counts=counts).replace(b"<resolution>5", b"<resolution>1"))
    ecg = read_ecg(path)
    assert np.abs(ecg.signal).max() < 33  # III would be -60 mV
    assert ecg.signal[2, 0] == pytest.approx((-60_000 + 65_536) / 1000)


@pytest.mark.parametrize(
    ("stored", "sex"), [(b"", None), (b"\0", None), (b"\1", "Male"), (b"\1\0", "Male")]
)
def test_a_sex_that_was_not_filled_in(read, stored, sex):
    ecg = read("scp", sex=stored)
    assert ecg.header.get("sex") == sex
    np.testing.assert_array_equal(ecg.signal, read("scp").signal)


def test_plain_samples_are_as_many_as_their_duration_says(make, tmp_path):
    path = tmp_path / "ecg.xml"
    text = make("sierra", compression="Uncompressed").decode()
    path.write_text(text)
    assert read_ecg(path).signal.shape == (12, 1500)
    # Eleven names for the bytes of twelve leads would cut each lead across two others.
    path.write_text(text.replace(" V5 V6", " V5 V6 X Y Z"))
    with pytest.raises(ValueError, match="are not 15 leads of 16 bits and 1500 samples"):
        read_ecg(path)
