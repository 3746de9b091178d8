"""Gated short-axis stacks from DICOM NM files, through pydicom."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from crtkit._io import import_optional

# What may leave a file: nothing that names a patient, a place or a date.
HEADER = ("Modality", "Manufacturer", "ManufacturerModelName", "ImageType", "NumberOfFrames")


@dataclass(frozen=True)
class GatedSPECT:
    """A gated short-axis stack.

    Parameters
    ----------
    counts : ndarray of shape (n_frames, n_slices, height, width)
        float32.
    spacing : tuple of float
        Between slices, rows and columns, in mm.
    rr_ms : float or None
        Length of the cardiac cycle in milliseconds, where the file says it.
    header : dict
        Acquisition fields without identifiers.
    """

    counts: np.ndarray
    spacing: tuple
    rr_ms: float | None = None
    header: dict = field(default_factory=dict)


def read_gated_spect(path):
    """Read a gated reconstructed SPECT study (NM, RECON GATED TOMO) of one R-R interval.

    Parameters
    ----------
    path : path-like
        A DICOM file.

    Returns
    -------
    GatedSPECT

    Raises
    ------
    ImportError
        pydicom is not installed.
    FileNotFoundError
        There is no such file.
    ValueError
        No DICOM file, not nuclear medicine, not gated or not reconstructed, several R-R intervals,
        detectors or energy windows, frames that are missing or twice there, no spacing, pixels that
        cannot be read.

    Notes
    -----
    Which time slot and slice a frame belongs to is read from TimeSlotVector and SliceVector; a file
    without them is read in the order of NumberOfTimeSlots x NumberOfSlices (standard PS3.3,
    C.8.4.8). Slices are given in the file's order. Identifiers are not read.

    Examples
    --------
    >>> from crtkit.spect import read_gated_spect, sample_polar_maps
    >>> study = read_gated_spect("gated_short_axis.dcm")  # doctest: +SKIP
    >>> maps = sample_polar_maps(study.counts, spacing=study.spacing)  # doctest: +SKIP
    """
    pydicom = import_optional("pydicom", extra="readers", purpose="read_gated_spect")
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file.")
    try:
        dataset = pydicom.dcmread(path)
    except (pydicom.errors.InvalidDicomError, EOFError, OSError) as error:
        raise ValueError(f"{path.name} cannot be read as a DICOM file: {error}") from error
    kind = [str(word).upper() for word in dataset.get("ImageType", [])]
    modality = dataset.get("Modality", "none")
    # GATED TOMO without RECON are projections, whose frames are angles of view and no slices.
    if modality != "NM" or "RECON GATED TOMO" not in kind:
        raise ValueError(
            f"{path.name} is no reconstructed gated nuclear study: Modality {modality}, ImageType "
            f"{'/'.join(kind) or 'none'}; NM and RECON GATED TOMO are expected."
        )
    for name in ("NumberOfRRIntervals", "NumberOfDetectors", "NumberOfEnergyWindows"):
        if int(dataset.get(name, 1) or 1) > 1:
            raise ValueError(
                f"{path.name} has {name} = {dataset.get(name)}; one is expected. Export the study "
                "reconstructed, of one R-R interval and one energy window."
            )
    try:
        pixels = np.asarray(dataset.pixel_array)
    except (AttributeError, ValueError, RuntimeError, NotImplementedError) as error:
        raise ValueError(f"The pixels of {path.name} cannot be read: {error}") from error
    if pixels.ndim != 3:
        raise ValueError(
            f"{path.name} has pixels of shape {pixels.shape}; several grey frames are expected."
        )
    slots, slices = _vectors(dataset, len(pixels), path.name)
    n_slots, n_slices = slots.max() + 1, slices.max() + 1
    place = slots * n_slices + slices
    if len(np.unique(place)) != len(place) or len(place) != n_slots * n_slices:
        raise ValueError(
            f"{path.name}: {len(place)} frames do not fill {n_slots} time slots x {n_slices} "
            "slices once each."
        )
    counts = np.empty((n_slots * n_slices, *pixels.shape[1:]), dtype=np.float32)
    slope, shift = (dataset.get(name) for name in ("RescaleSlope", "RescaleIntercept"))
    slope, shift = 1.0 if slope is None else float(slope), 0.0 if shift is None else float(shift)
    counts[place] = pixels * np.float32(slope) + np.float32(shift)
    header = {name: str(dataset.get(name)) for name in HEADER if name in dataset}
    return GatedSPECT(
        counts.reshape(n_slots, n_slices, *pixels.shape[1:]),
        _spacing(dataset, path.name),
        _rr(dataset),
        header,
    )


def _vectors(dataset, n_frames, name):
    """Time slot and slice of every frame, from 0."""
    vectors = [dataset.get("TimeSlotVector"), dataset.get("SliceVector")]
    if all(v is not None for v in vectors):
        slots, slices = (np.atleast_1d(np.asarray(v, dtype=np.int64)) - 1 for v in vectors)
        if len(slots) == len(slices) == n_frames and min(slots.min(), slices.min()) >= 0:
            return slots, slices
        raise ValueError(
            f"{name}: TimeSlotVector ({len(slots)}) and SliceVector ({len(slices)}) do not number "
            f"the {n_frames} frames from 1."
        )
    n_slots = int(dataset.get("NumberOfTimeSlots", 0) or 0)
    if n_slots < 1 or n_frames % n_slots:
        raise ValueError(
            f"{name} does not say which time slot its {n_frames} frames belong to "
            f"(NumberOfTimeSlots {n_slots or 'missing'})."
        )
    number = np.arange(n_frames)
    n_slices = n_frames // n_slots
    if int(dataset.get("NumberOfSlices", 0) or n_slices) != n_slices:
        raise ValueError(
            f"{name} says NumberOfSlices {dataset.NumberOfSlices} and NumberOfTimeSlots {n_slots}, "
            f"but has {n_frames} frames."
        )
    return number // n_slices, number % n_slices


def _spacing(dataset, name):
    pixel = dataset.get("PixelSpacing")
    if pixel is None:
        raise ValueError(f"{name} has no PixelSpacing.")
    between = dataset.get("SpacingBetweenSlices") or dataset.get("SliceThickness")
    if not between:
        raise ValueError(f"{name} has neither SpacingBetweenSlices nor SliceThickness.")
    # Some cameras write a negative spacing for the direction of the slices.
    spacing = (abs(float(between)), float(pixel[0]), float(pixel[1]))
    if min(spacing) <= 0:
        raise ValueError(f"{name} has a spacing of {spacing} mm; positive numbers are expected.")
    return spacing


def _rr(dataset):
    """Length of the cycle: what the file says, or its frame time times its frames."""
    for gated in dataset.get("GatedInformationSequence") or []:
        for data in gated.get("DataInformationSequence") or []:
            if data.get("NominalInterval"):
                return float(data.NominalInterval)
            if data.get("FrameTime") and dataset.get("NumberOfTimeSlots"):
                return float(data.FrameTime) * int(dataset.NumberOfTimeSlots)
    return None
