"""DICOM ECGs as devices write them: codes, groups, padding, calibration, no preamble."""

import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from crtkit._leads import LEADS_12
from crtkit.readers import read_ecg

pydicom = pytest.importorskip("pydicom")

N = 700
SIGNAL = np.cumsum(np.random.default_rng(0).integers(-30, 31, (12, N)), axis=1) / 1000.0
SIGNAL[2] = SIGNAL[1] - SIGNAL[0]
NUMBERS = (1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8)


def code(value, meaning="", scheme="MDC"):
    item = pydicom.Dataset()
    item.CodeValue, item.CodeMeaning, item.CodingSchemeDesignator = value, meaning, scheme
    return pydicom.Sequence([item])


def group(signal, *, label="RHYTHM", fs=500, names=LEADS_12, codes=None, step=1.0, **changes):
    """A multiplex group; ``step`` and ``baseline`` are in ``unit``."""
    unit, baseline = changes.get("unit", "uV"), changes.get("baseline", 0.0)
    correction, kind = changes.get("correction", 1.0), changes.get("kind", "SS")
    item = pydicom.Dataset()
    if label is not None:
        item.MultiplexGroupLabel = label
    item.WaveformOriginality = "DERIVED" if label == "MEDIAN BEAT" else "ORIGINAL"
    item.NumberOfWaveformChannels, item.NumberOfWaveformSamples = signal.shape
    item.SamplingFrequency, item.WaveformBitsAllocated = fs, 16
    item.MultiplexGroupTimeOffset = changes.get("start", 0)
    item.WaveformSampleInterpretation = kind
    channels = []
    for i, name in enumerate(names):
        channel = pydicom.Dataset()
        meaning = changes.get("meaning", "Lead {}").format(name)
        channel.ChannelSourceSequence = code(codes[i] if codes else "", meaning)
        channel.ChannelSensitivity = step
        channel.ChannelSensitivityCorrectionFactor = correction
        channel.ChannelSensitivityUnitsSequence = code(unit, unit, "UCUM")
        channel.ChannelBaseline, channel.WaveformBitsStored = baseline, 16
        channels.append(channel)
    item.ChannelDefinitionSequence = pydicom.Sequence(channels)
    if "padding" in changes:
        item.add_new(0x5400100A, "OW", np.int16(changes["padding"]).tobytes())
    scale = 1000.0 if unit == "uV" else 1.0
    stored = np.round((signal * scale - baseline) / (step * correction))
    item.add_new(0x54001010, "OW", stored.T.astype("<i2" if kind == "SS" else "<u2").tobytes())
    return item


def write(path, *groups, notes=(), preamble=True):
    file = pydicom.Dataset()
    file.file_meta = pydicom.dataset.FileMetaDataset()
    implicit, explicit = pydicom.uid.ImplicitVRLittleEndian, pydicom.uid.ExplicitVRLittleEndian
    file.file_meta.TransferSyntaxUID = explicit if preamble else implicit
    file.SOPClassUID = file.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.9.1.1"
    file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    file.WaveformSequence = pydicom.Sequence(list(groups))
    annotations = []
    for value, meaning, number in notes:
        note = pydicom.Dataset()
        note.ConceptNameCodeSequence, note.NumericValue = code(value, meaning), number
        annotations.append(note)
    if annotations:
        file.WaveformAnnotationSequence = pydicom.Sequence(annotations)
    if preamble:
        file.save_as(path, enforce_file_format=True)
    else:
        with path.open("wb") as handle:
            writer = pydicom.filebase.DicomFileLike(handle)
            writer.is_little_endian = writer.is_implicit_VR = True
            pydicom.filewriter.write_dataset(writer, file)
    return path


@pytest.fixture
def check(tmp_path):
    """Read the groups of one file and compare them with the signal."""

    def one(*groups, want=SIGNAL, atol=0.0006, **options):
        ecg = read_ecg(write(tmp_path / "ecg.dcm", *groups, **options))
        np.testing.assert_allclose(ecg.standard_leads(), want, atol=atol)
        return ecg

    return one


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"baseline": 500.0, "step": 2.0, "correction": 1.25},
        {"unit": "mV", "step": 0.00488},
        {"meaning": "{}"},
        {"meaning": "Lead {} (Einthoven)"},
        {"meaning": "{}, augmented voltage"},
        {"codes": [f"5.6.3-9-{n}" for n in NUMBERS]},
        {"codes": [f"5.6.3-9-{n} " for n in NUMBERS], "meaning": "?"},
        {"codes": [f"2:{n}" for n in NUMBERS], "meaning": "?"},
        {"names": ("DI", "DII", "DIII", *LEADS_12[3:])},
        {"kind": "US", "baseline": -40_000.0, "step": 2.5},
        {"label": "Rhythm"},
        {"label": None},
    ],
)
def test_variants(check, changes):
    check(group(SIGNAL, **changes), atol=0.003)


def test_without_a_preamble(check):
    check(group(SIGNAL), preamble=False)


def test_median_beats_are_passed_over(check):
    median = group(SIGNAL[:, :200] * 0.5, label="MEDIAN BEAT")
    check(median, group(SIGNAL))
    check(group(SIGNAL, label=None), median)
    check(group(SIGNAL, label="RHYTHM"), group(SIGNAL[:, :200], label="Median Beat"))


def test_groups_of_one_recording_are_joined(check):
    parts = [slice(0, 3), slice(3, 6), slice(6, 9), slice(9, 12)]
    groups = [group(SIGNAL[p], names=LEADS_12[p], label=None) for p in parts]
    ecg = check(*groups)
    assert "left_out" not in ecg.header


@pytest.mark.parametrize("change", [{"start": 2500}, {"fs": 250}])
def test_groups_of_other_times_are_named(check, tmp_path, change):
    chest = group(SIGNAL[6:], names=LEADS_12[6:], label=None, **change)
    limb = group(SIGNAL[:6], names=LEADS_12[:6], label=None)
    ecg = read_ecg(write(tmp_path / "ecg.dcm", limb, chest))
    assert ecg.lead_names == LEADS_12[:6]
    assert ecg.header["left_out"] == [f"{name} (group 2)" for name in LEADS_12[6:]]


def test_padding_values(check):
    signal = SIGNAL.copy()
    signal[7, 30:40] = 0.0
    check(group(signal, padding=0), want=signal)  # true zeros stay
    want = signal.copy()
    want[7, 100] = np.nan
    stored = np.where(np.isnan(want), -32.768, signal)
    check(group(stored, padding=-(2**15)), want=want)


def test_printed_by_code_and_by_name(check):
    notes = [("2:15872", "Intervalle PR", 168), ("2:16156", "Durée QRS", 142)]
    notes += [("2:16160", "Intervalle QT", 430), ("x", "QRS Axis", 0), ("x", "RR Interval", 800)]
    printed = check(group(SIGNAL), notes=notes).header["printed"]
    want = {"pr_ms": 168, "qrs_duration_ms": 142, "qt_ms": 430, "qrs_axis_deg": 0}
    assert printed == {**want, "heart_rate_bpm": 75}
    notes = [("2:15872", "PR Interval", 0), ("2:16156", "QRS Duration", 99)]
    assert check(group(SIGNAL), notes=notes).header["printed"] == {"qrs_duration_ms": 99}


@pytest.mark.parametrize(
    ("tag", "value", "words"),
    [
        ("ChannelSensitivity", 0, "lead I: a step of the samples is worth 0; above 0"),
        ("ChannelSensitivity", -1, "a step of the samples is worth -0.001"),
        ("ChannelSensitivity", 1e-30, "a step of the samples is worth 1e-33 mV"),
        ("ChannelSensitivityCorrectionFactor", -1, "is worth -0.001; above 0"),
        ("ChannelBaseline", 1e12, "is not a plausible baseline"),
        ("ChannelBaseline", 1e6, "mV; no ECG exceeds 50"),
    ],
)
def test_calibrations_that_no_recorder_has(tmp_path, tag, value, words):
    item = group(SIGNAL)
    setattr(item.ChannelDefinitionSequence[0], tag, value)
    with pytest.raises(ValueError, match=rf"ecg\.dcm cannot be read.*{words}"):
        read_ecg(write(tmp_path / "ecg.dcm", item))


@pytest.mark.parametrize("head", [bytes(128) + b"DICM", b"\x08\0\x05\0"])
def test_a_file_of_zeros_is_refused_soon(tmp_path, head):
    path = tmp_path / "zeros.dcm"
    with path.open("wb") as file:
        file.write(head)
        file.truncate(30_000_000)
    start = time.process_time()
    with pytest.raises(ValueError, match=r"zeros\.dcm cannot be read as a DICOM ECG"):
        read_ecg(path)
    assert time.process_time() - start < 10  # a minute, with pydicom alone


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_what_is_written_is_read(tmp_path, data):
    n_leads = data.draw(st.integers(1, 12))
    names = data.draw(st.permutations(LEADS_12))[:n_leads]
    fs = data.draw(st.sampled_from([250, 500, 1000]))
    step = data.draw(st.sampled_from([0.5, 1.0, 2.5, 4.88]))
    correction = data.draw(st.sampled_from([0.5, 1.0, 1.25]))
    baseline = data.draw(st.sampled_from([0.0, -120.0, 500.0]))
    counts = np.random.default_rng(data.draw(st.integers(0, 99))).integers(-900, 900, (n_leads, 60))
    signal = (counts * step * correction + baseline) / 1000
    item = group(signal, names=names, fs=fs, step=step, correction=correction, baseline=baseline)
    ecg = read_ecg(write(tmp_path / "ecg.dcm", item))
    assert ecg.fs == fs
    for name, lead in zip(names, signal):
        got = ecg.signal[ecg.lead_names.index(name)]
        np.testing.assert_allclose(got, lead, atol=1e-6)
    second = pydicom.dcmread(tmp_path / "ecg.dcm").waveform_array(0).T / 1000
    np.testing.assert_allclose(second, signal, atol=1e-6)


def test_a_measurement_of_every_lead_is_not_a_global_one(tmp_path):
    notes = [("2:15872", "PR Interval", [160, 162]), ("2:16156", "QRS Duration", 150)]
    ecg = read_ecg(write(tmp_path / "ecg.dcm", group(SIGNAL), notes=notes))
    assert ecg.header["printed"] == {"qrs_duration_ms": 150.0}
