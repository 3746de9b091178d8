"""Mutated files: every one is read plausibly or refused by name, soon and in little memory."""

import binascii
import resource
import struct
import time
import warnings

import numpy as np
import pytest

from crtkit._leads import LEADS_12
from crtkit.readers import read_ecg

KINDS = (
    *("muse", "sierra", "aecg", "scp", "cardiosoft", "schiller", "mortara"),
    *("edf", "ishne", "csv", "wfdb", "dicom", "hdf5"),
)
SECONDS, MEGABYTES = 10, 1000


def with_checksums(kind, content):
    """The mutated file with checksums that fit, so that what lies behind them is tried too."""
    if kind == "scp" and len(content) > 200:
        out = bytearray(content)
        for at in range(22, 142, 10):  # the pointers of section 0
            _, length, index = struct.unpack_from("<HII", out, at)
            if length >= 16 and index - 1 > 0 and index - 1 + length <= len(out):
                body = bytes(out[index + 1 : index - 1 + length])
                out[index - 1 : index + 1] = struct.pack("<H", binascii.crc_hqx(body, 0xFFFF))
        out[2:6] = struct.pack("<I", len(out))
        out[:2] = struct.pack("<H", binascii.crc_hqx(bytes(out[2:]), 0xFFFF))
        return bytes(out)
    if kind == "ishne" and len(content) > 526:
        end = struct.unpack_from("<i", content, 22)[0]
        crc = binascii.crc_hqx(content[10 : max(end, 10)], 0xFFFF)
        return content[:8] + struct.pack("<H", crc) + content[10:]
    return content


def files(kind, make, counts, folder):
    """Path to read, and the files to mutate, written once."""
    names = ["I", "II", *LEADS_12[6:]]
    if kind == "wfdb":
        counts.T.astype("<i2").tofile(folder / "r.dat")
        lines = [f"r 8 500 {counts.shape[1]}"]
        lines += [f"r.dat 16 200(0)/mV 16 0 {lead[0]} 0 0 {n}" for n, lead in zip(names, counts)]
        (folder / "r.hea").write_text("\n".join(lines) + "\n#Age: 63\n#Sex: Female\n#Dx: 1\n")
        return folder / "r.hea", (folder / "r.hea").read_bytes()
    path = folder / {"csv": "ecg.csv", "hdf5": "ecg.h5"}.get(kind, "ecg.bin")
    if kind == "hdf5":
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w") as file:
            file["signal"] = counts * 0.005
            file.attrs.update({"fs": 500.0, "unit": "mV", "lead_names": names})
        return path, path.read_bytes()
    if kind == "dicom":
        pydicom = pytest.importorskip("pydicom")
        path.write_bytes(_dicom(pydicom, counts, path))
        return path, path.read_bytes()
    changes = {"checksum": 0} if kind == "muse" else {}
    return path, make(kind, **changes)


def _dicom(pydicom, counts, path):
    def code(value):
        item = pydicom.Dataset()
        item.CodeValue, item.CodeMeaning, item.CodingSchemeDesignator = value, "Lead", "SCPECG"
        return pydicom.Sequence([item])

    group = pydicom.Dataset()
    group.MultiplexGroupLabel, group.WaveformOriginality = "RHYTHM", "ORIGINAL"
    group.NumberOfWaveformChannels, group.NumberOfWaveformSamples = counts.shape
    group.SamplingFrequency, group.WaveformBitsAllocated = 500, 16
    group.WaveformSampleInterpretation = "SS"
    channels = []
    for number in (1, 2, *range(3, 9)):
        channel = pydicom.Dataset()
        channel.ChannelSourceSequence = code(f"5.6.3-9-{number}")
        channel.ChannelSensitivity, channel.ChannelSensitivityCorrectionFactor = 5, 1
        channel.ChannelSensitivityUnitsSequence = code("uV")
        channel.ChannelBaseline, channel.WaveformBitsStored = 0, 16
        channels.append(channel)
    group.ChannelDefinitionSequence = pydicom.Sequence(channels)
    group.add_new(0x54001010, "OW", counts.T.astype("<i2").tobytes())
    file = pydicom.Dataset()
    file.file_meta = pydicom.dataset.FileMetaDataset()
    file.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    file.SOPClassUID = file.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.9.1.1"
    file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    file.PatientAge, file.PatientSex = "063Y", "F"
    file.WaveformSequence = pydicom.Sequence([group])
    file.save_as(path, enforce_file_format=True)
    return path.read_bytes()


def try_one(path, label):
    start = time.process_time()
    ecg, message = None, path.name
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ecg = read_ecg(path)
    except (ValueError, FileNotFoundError) as error:
        message = str(error)
    assert path.name in message, (label, message)
    assert time.process_time() - start < SECONDS, label
    if ecg is not None:
        assert ecg.signal.shape == (len(ecg.lead_names), ecg.signal.shape[1]), label
        assert 10 <= ecg.fs <= 100_000, label
        assert np.isfinite(ecg.signal).any(), label
        assert np.nanmax(np.abs(ecg.signal)) <= 50, label
    return ecg is not None


def fuzz(kind, make, counts, folder, mutate, seeds):
    path, content = files(kind, make, counts[:, :300], folder)
    path.write_bytes(content)
    assert try_one(path, "the file itself")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    n_read = 0
    for seed in seeds:
        changed = mutate(content, np.random.default_rng(seed))
        if seed % 2:
            changed = with_checksums(kind, changed)
        path.write_bytes(changed)
        n_read += try_one(path, f"{kind}, seed {seed}")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < MEGABYTES * 1000, f"{kind}: {grown / 1000:.0f} MB"
    return n_read


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_files(kind, make, counts, tmp_path, mutate):
    fuzz(kind, make, counts, tmp_path, mutate, range(5 if kind == "hdf5" else 24))


@pytest.mark.slow
def test_a_file_that_the_hdf5_library_does_not_survive(make, counts, tmp_path, mutate):
    path, content = files("hdf5", make, counts[:, :300], tmp_path)
    path.write_bytes(mutate(content, np.random.default_rng(5019)))
    try_one(path, "an endless loop in its attributes, with h5py 3.16")


# Slices, so that a run can be resumed; 13 kinds x 500 files.
@pytest.mark.slow
@pytest.mark.parametrize("start", range(1000, 1500, 100))
@pytest.mark.parametrize("kind", KINDS)
def test_many_mutated_files(kind, start, make, counts, tmp_path, mutate):
    fuzz(kind, make, counts, tmp_path, mutate, range(start, start + 100))


def test_what_is_no_file_is_refused(tmp_path):
    import os

    pipe = tmp_path / "pipe.xml"
    os.mkfifo(pipe)
    with pytest.raises(ValueError, match="is not a regular file"):
        read_ecg(pipe)
    (tmp_path / "r.hea").write_text("r 1 500 10\nr.dat 16 200/mV 16 0 0 0 0 I\n")
    os.mkfifo(tmp_path / "r.dat")
    with pytest.raises(ValueError, match=r"r\.dat', which is not a regular file"):
        read_ecg(tmp_path / "r")
    with pytest.raises(ValueError, match="is not a regular file"):
        read_ecg("/dev/zero")
