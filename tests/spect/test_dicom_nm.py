"""Gated NM files that the test writes itself."""

import numpy as np
import pytest

from crtkit.datasets import simulate_gated_spect
from crtkit.spect import read_gated_spect, sample_polar_maps

pydicom = pytest.importorskip("pydicom")


@pytest.fixture
def write(tmp_path):
    """Write a stack (n_frames, n_slices, height, width) as RECON GATED TOMO."""

    def make(stack, order=None, vectors=True, **changes):
        from pydicom.dataset import Dataset, FileMetaDataset
        from pydicom.sequence import Sequence
        from pydicom.uid import ExplicitVRLittleEndian, NuclearMedicineImageStorage, generate_uid

        n_slots, n_slices, height, width = stack.shape
        slots, slices = (v.ravel() for v in np.indices((n_slots, n_slices)))
        order = np.arange(len(slots)) if order is None else order
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = NuclearMedicineImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds = Dataset()
        ds.file_meta = meta
        ds.SOPClassUID = meta.MediaStorageSOPClassUID
        ds.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
        ds.PatientName, ds.PatientID = "Secret^Name", "SECRET-1"
        ds.Modality = "NM"
        ds.Manufacturer = "crtkit tests"
        ds.ImageType = ["DERIVED", "PRIMARY", "RECON GATED TOMO", "EMISSION"]
        ds.Rows, ds.Columns, ds.NumberOfFrames = height, width, len(order)
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
        ds.PixelSpacing, ds.SpacingBetweenSlices = [6.4, 6.4], -5.0
        ds.NumberOfTimeSlots, ds.NumberOfRRIntervals, ds.NumberOfSlices = n_slots, 1, n_slices
        if vectors:
            ds.TimeSlotVector = (slots[order] + 1).tolist()
            ds.SliceVector = (slices[order] + 1).tolist()
        data = Dataset()
        data.NominalInterval = 857
        gated = Dataset()
        gated.DataInformationSequence = Sequence([data])
        ds.GatedInformationSequence = Sequence([gated])
        pixels = np.rint(stack).astype(np.uint16).reshape(-1, height, width)[order]
        ds.PixelData = pixels.tobytes()
        for name, value in changes.items():
            if value is None:
                delattr(ds, name)
            else:
                setattr(ds, name, value)
        path = tmp_path / "gated.dcm"
        ds.save_as(path, enforce_file_format=True)
        return path

    return make


@pytest.fixture(scope="module")
def stack():
    return simulate_gated_spect(random_state=0)[0]


def test_frames_go_to_their_time_slot_and_slice(write, stack):
    order = np.random.default_rng(0).permutation(stack.shape[0] * stack.shape[1])
    study = read_gated_spect(write(stack, order))
    np.testing.assert_array_equal(study.counts, np.rint(stack))
    assert study.counts.dtype == np.float32
    assert study.spacing == (5.0, 6.4, 6.4)
    assert study.rr_ms == 857
    assert sample_polar_maps(study.counts, spacing=(6.4, 6.4, 6.4)).shape == (8, 12, 24)


def test_files_without_vectors_are_read_in_the_standard_order(write, stack):
    study = read_gated_spect(write(stack, vectors=False))
    np.testing.assert_array_equal(study.counts, np.rint(stack))


def test_rescaled_counts(write, stack):
    study = read_gated_spect(write(stack, RescaleSlope=0.5, RescaleIntercept=0))
    np.testing.assert_allclose(study.counts, 0.5 * np.rint(stack))


def test_fields_that_are_there_but_empty_are_as_if_absent(write, stack):
    study = read_gated_spect(write(stack, RescaleSlope="", RescaleIntercept=""))
    np.testing.assert_array_equal(study.counts, np.rint(stack))


def test_slices_that_contradict_the_time_slots(write, stack):
    with pytest.raises(ValueError, match="NumberOfSlices 9 and NumberOfTimeSlots 8"):
        read_gated_spect(write(stack, vectors=False, NumberOfSlices=9))


def test_identifiers_stay_in_the_file(write, stack):
    study = read_gated_spect(write(stack))
    assert "SECRET" not in repr(study.header).upper()
    assert study.header["Manufacturer"] == "crtkit tests"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Modality": "CT"}, "not a reconstructed gated nuclear study: Modality CT"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "STATIC"]}, "STATIC"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "GATED TOMO", "EMISSION"]}, "RECON GATED TOMO are"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "GATED", "EMISSION"]}, "RECON GATED TOMO are"),
        ({"NumberOfRRIntervals": 2}, "NumberOfRRIntervals = 2"),
        ({"NumberOfEnergyWindows": 2}, "NumberOfEnergyWindows = 2; one is expected"),
        ({"PixelSpacing": [0.0, 6.4]}, "0.5 to 50 are expected"),
        ({"PixelSpacing": None}, "no PixelSpacing"),
        ({"SpacingBetweenSlices": None}, "neither SpacingBetweenSlices"),
        ({"SliceVector": [1] * 144}, "once each"),
        ({"SliceVector": [1, 2]}, "do not number"),
        ({"PixelData": b"\0\0"}, "gated.dcm: the pixels cannot be read"),
    ],
)
def test_files_that_cannot_be(write, stack, changes, message):
    with pytest.raises(ValueError, match=message):
        read_gated_spect(write(stack, **changes))


def test_what_is_no_dicom_file(tmp_path):
    (tmp_path / "page.dcm").write_bytes(b"no DICOM" * 40)
    with pytest.raises(ValueError, match="cannot be read as a DICOM file"):
        read_gated_spect(tmp_path / "page.dcm")
    with pytest.raises(FileNotFoundError, match="absent.dcm is not a file"):
        read_gated_spect(tmp_path / "absent.dcm")


def test_time_slots_that_nobody_says(write, stack):
    path = write(stack, vectors=False, NumberOfTimeSlots=7)
    with pytest.raises(ValueError, match="which time slot"):
        read_gated_spect(path)


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        ("SpacingBetweenSlices", "6,0"),
        ("SpacingBetweenSlices", "nan"),
        ("SpacingBetweenSlices", "1e9"),
        ("PixelSpacing", ["6,4", "6,4"]),
        ("PixelSpacing", ["6.4"]),
        ("PixelSpacing", ["nan", "6.4"]),
        ("RescaleSlope", "nan"),
        ("RescaleSlope", "inf"),
        ("RescaleSlope", "0"),
        ("RescaleSlope", "-1"),
        ("RescaleIntercept", "nan"),
        ("NumberOfRRIntervals", "x"),
        ("NumberOfEnergyWindows", "-2"),
    ],
)
def test_numbers_that_no_camera_writes_name_file_and_tag(write, stack, tag, value):
    with pydicom.config.disable_value_validation():
        path = write(stack)
        dataset = pydicom.dcmread(path)
        text = "\\".join(value) if isinstance(value, list) else value
        text += " " * (len(text) % 2)
        known = pydicom.datadict.tag_for_keyword(tag)
        vr = pydicom.datadict.dictionary_VR(known)
        # The bytes as a camera wrote them: pydicom would refuse to convert them.
        raw = (pydicom.tag.Tag(known), "DS" if vr == "US" else vr, len(text), text.encode())
        dataset[known] = pydicom.dataelem.RawDataElement(*raw, 0, False, True)
        dataset.save_as(path)
    with pytest.raises(ValueError, match=rf"gated\.dcm.*({tag}|frames of|spacing of)"):
        read_gated_spect(path)


@pytest.mark.parametrize("frame", [3, 7])
def test_a_frame_that_lost_counts_is_named(write, stack, frame):
    low = stack.copy()
    low[frame] *= 0.3
    with pytest.warns(UserWarning, match=rf"gated.dcm: frame {frame + 1} of 8 has \d+ %"):
        counts = read_gated_spect(write(low)).counts
    with pytest.warns(UserWarning, match=f"sample_polar_maps: frame {frame + 1} of 8"):
        sample_polar_maps(counts)


def test_ordinary_studies_pass_without_a_word(write, stack, recwarn):
    sample_polar_maps(read_gated_spect(write(stack)).counts)
    assert not [w for w in recwarn if "frame" in str(w.message)]


def test_zeros_behind_a_preamble_end_soon(tmp_path):
    (tmp_path / "zeros.dcm").write_bytes(bytes(128) + b"DICM" + bytes(30_000_000))
    with pytest.raises(ValueError, match="zeros.dcm"):
        read_gated_spect(tmp_path / "zeros.dcm")


@pytest.mark.parametrize(
    "seed", [*range(3), *(pytest.param(k, marks=pytest.mark.slow) for k in range(3, 40))]
)
def test_damaged_files_are_read_or_refused_by_name(write, stack, seed):
    data = write(stack).read_bytes()
    rng = np.random.default_rng(seed)
    for i in range(40):
        damaged = bytearray(data if i % 4 else data[: rng.integers(len(data))])
        # The header is some 1,300 bytes: flips in the pixels would change counts only.
        for at in rng.integers(0, min(1400, len(damaged)), size=rng.integers(1, 6)):
            damaged[at] = rng.integers(256)
        path = write(stack)
        path.write_bytes(damaged)
        try:
            counts = read_gated_spect(path).counts
        except ValueError as error:
            counts = np.zeros(1) if "gated.dcm" in str(error) else np.array([np.nan])
        assert np.isfinite(counts).all()
