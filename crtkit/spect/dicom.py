"""Gated short-axis stacks from DICOM NM files, through pydicom."""

import math
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from crtkit._io import import_optional
from crtkit.readers.dicom import CountedFile

LARGEST = 500_000_000
# 64 frames of 128 slices of 256 x 256 pixels, which no camera makes.
MOST_PIXELS = 64 * 128 * 256 * 256
SMALLEST_MM, LARGEST_MM = 0.5, 50.0
# A frame below this part of the two beside it has lost beats. Simulated studies stay above 0.92.
LOST = 0.8
_SIZES = ("NumberOfFrames", "Rows", "Columns")

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

    Warns
    -----
    UserWarning
        A frame has lost counts, as the last ones do in an irregular rhythm.

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
    size = path.stat().st_size
    if size > LARGEST:
        raise ValueError(f"{path.name} has {size / 1e6:.0f} MB; a gated study has under 500.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of values that are checked below
            dataset = pydicom.dcmread(CountedFile(path.read_bytes()))
            study = _read(dataset, path.name)
    except Exception as error:  # pydicom raises whatever its parser stumbles over
        if isinstance(error, ValueError) and str(error).startswith(path.name):
            raise
        why = error if isinstance(error, ValueError) else repr(error)
        raise ValueError(f"{path.name} cannot be read as a DICOM file: {why}") from error
    for problem in lost_gates(study.counts):
        warnings.warn(f"{path.name}: {problem}", UserWarning, stacklevel=2)
    return study


def _read(dataset, name):
    """Study of a data set: what kind it is, then its pixels, frame by frame in its place."""
    kind = [str(word).upper() for word in _listed(dataset.get("ImageType"))]
    modality = dataset.get("Modality", "none")
    # GATED TOMO without RECON are projections, whose frames are angles of view and no slices.
    if modality != "NM" or "RECON GATED TOMO" not in kind:
        raise ValueError(
            f"{name} is not a reconstructed gated nuclear study: Modality {modality}, ImageType "
            f"{'/'.join(kind) or 'none'}; NM and RECON GATED TOMO are expected."
        )
    for tag in ("NumberOfRRIntervals", "NumberOfDetectors", "NumberOfEnergyWindows"):
        if _whole(dataset, tag, name, default=1) > 1:
            raise ValueError(
                f"{name} has {tag} = {dataset.get(tag)}; one is expected. Export the study "
                "reconstructed, of one R-R interval and one energy window."
            )
    n_pixels = [_whole(dataset, tag, name, default=0) for tag in _SIZES]
    if math.prod(n_pixels) > MOST_PIXELS:
        raise ValueError(
            f"{name} announces {n_pixels[0]} frames of {n_pixels[1]} x {n_pixels[2]} pixels, more "
            "than a gated study has: it is damaged."
        )
    try:
        pixels = np.asarray(dataset.pixel_array)
    except Exception as error:  # as many kinds as there are encodings
        raise ValueError(f"{name}: the pixels cannot be read: {error}") from error
    if pixels.ndim != 3:
        raise ValueError(
            f"{name} has pixels of shape {pixels.shape}; several grey frames are expected."
        )
    slots, slices = _vectors(dataset, len(pixels), name)
    n_slots, n_slices = int(slots.max()) + 1, int(slices.max()) + 1
    place = slots * n_slices + slices
    if len(np.unique(place)) != len(place) or len(place) != n_slots * n_slices:
        raise ValueError(
            f"{name}: {len(place)} frames do not fill {n_slots} time slots x {n_slices} slices "
            "once each."
        )
    slope = _number(dataset, "RescaleSlope", name, default=1.0)
    shift = _number(dataset, "RescaleIntercept", name, default=0.0)
    if not 0 < slope < 1e6 or abs(shift) > 1e9:
        raise ValueError(
            f"{name} has RescaleSlope {slope:g} and RescaleIntercept {shift:g}: counts need a "
            "slope above 0. Export the study again."
        )
    counts = np.empty((n_slots * n_slices, *pixels.shape[1:]), dtype=np.float32)
    counts[place] = pixels * np.float32(slope) + np.float32(shift)
    header = {tag: str(dataset.get(tag)) for tag in HEADER if tag in dataset}
    return GatedSPECT(
        counts.reshape(n_slots, n_slices, *pixels.shape[1:]),
        _spacing(dataset, name),
        _rr(dataset, name),
        header,
    )


def lost_gates(counts):
    """Sentences on the frames that lost counts, as an irregular rhythm does to the last ones.

    Beats shorter than the mean fill no late frames. A frame is compared with the two beside it
    in the cycle: the heart thickens smoothly, so that their mean is near.

    Parameters
    ----------
    counts : array-like of shape (n_frames, ...)

    Returns
    -------
    list of str
        One sentence per frame below `LOST` of its neighbours; empty for fewer than four frames.

    Examples
    --------
    >>> from crtkit.datasets import simulate_gated_spect
    >>> from crtkit.spect.dicom import lost_gates
    >>> stack, _ = simulate_gated_spect(random_state=0)
    >>> lost_gates(stack)
    []
    >>> stack[-1] *= 0.3
    >>> print(lost_gates(stack)[0][:59])
    frame 8 of 8 has 29 % of the counts of the frames beside it
    """
    counts = np.asarray(counts, dtype=np.float64)
    totals = counts.reshape(len(counts), -1).sum(axis=1)
    beside = (np.roll(totals, 1) + np.roll(totals, -1)) / 2
    if len(totals) < 4 or not (beside > 0).all():
        return []
    return [
        f"frame {k + 1} of {len(totals)} has {100 * totals[k] / beside[k]:.0f} % of the counts of "
        "the frames beside it, as after an irregular rhythm (or in another order of frames): "
        "phases of this study are not reliable. Scale the frame to its neighbours, or leave the "
        "study out."
        for k in np.flatnonzero(totals < LOST * beside)
    ]


def _listed(value):
    if value is None or isinstance(value, str):
        return [] if value is None else [value]
    return list(value)


def _number(dataset, tag, name, default=None):
    """A number of the file; the file and the tag are named where it is none."""
    try:
        value = dataset.get(tag)
        value = default if value is None or value == "" else float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"{name}: {tag} is not a number ({error}). Export the study again."
        ) from error
    if value is None:
        raise ValueError(f"{name} has no {tag}. Export the study again.")
    if not math.isfinite(value):
        raise ValueError(f"{name}: {tag} is {value}; a finite number is expected.")
    return value


def _whole(dataset, tag, name, default):
    value = _number(dataset, tag, name, default=default)
    if value < 0 or value != int(value):
        raise ValueError(f"{name}: {tag} is {value:g}; a whole number is expected.")
    return int(value)


def _vectors(dataset, n_frames, name):
    """Time slot and slice of every frame, from 0."""
    vectors = [dataset.get("TimeSlotVector"), dataset.get("SliceVector")]
    if all(v is not None for v in vectors):
        slots, slices = (np.atleast_1d(np.asarray(v, dtype=np.int64)) - 1 for v in vectors)
        if len(slots) == len(slices) == n_frames and all(
            v.min() >= 0 and v.max() < n_frames for v in (slots, slices)
        ):
            return slots, slices
        raise ValueError(
            f"{name}: TimeSlotVector ({len(slots)}) and SliceVector ({len(slices)}) do not number "
            f"the {n_frames} frames from 1."
        )
    n_slots = _whole(dataset, "NumberOfTimeSlots", name, default=0)
    if n_slots < 1 or n_frames % n_slots:
        raise ValueError(
            f"{name} does not say which time slot its {n_frames} frames belong to "
            f"(NumberOfTimeSlots {n_slots or 'missing'})."
        )
    number = np.arange(n_frames)
    n_slices = n_frames // n_slots
    if _whole(dataset, "NumberOfSlices", name, default=n_slices) not in (0, n_slices):
        raise ValueError(
            f"{name} says NumberOfSlices {dataset.NumberOfSlices} and NumberOfTimeSlots {n_slots}, "
            f"but has {n_frames} frames."
        )
    return number // n_slices, number % n_slices


def _spacing(dataset, name):
    pixel = dataset.get("PixelSpacing")
    if pixel is None:
        raise ValueError(
            f"{name} has no PixelSpacing (mm between rows and columns). Export the study again."
        )
    try:
        rows, columns = (float(step) for step in pixel)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name}: PixelSpacing must be two numbers in mm, as '6.4\\6.4' ({error})."
        ) from error
    between = _number(dataset, "SpacingBetweenSlices", name, default=0.0)
    between = between or _number(dataset, "SliceThickness", name, default=0.0)
    if not between:
        raise ValueError(f"{name} has neither SpacingBetweenSlices nor SliceThickness.")
    # Some cameras write a negative spacing for the direction of the slices.
    spacing = (abs(between), rows, columns)
    if not all(SMALLEST_MM <= step <= LARGEST_MM for step in spacing):
        raise ValueError(
            f"{name} has a spacing of {spacing} mm between slices, rows and columns; "
            f"{SMALLEST_MM:g} to {LARGEST_MM:g} are expected."
        )
    return spacing


def _rr(dataset, name):
    """Length of the cycle: what the file says, or its frame time times its frames."""
    for gated in dataset.get("GatedInformationSequence") or []:
        for data in gated.get("DataInformationSequence") or []:
            interval = _number(data, "NominalInterval", name, default=0.0)
            if interval > 0:
                return interval
            frame = _number(data, "FrameTime", name, default=0.0)
            n_slots = _whole(dataset, "NumberOfTimeSlots", name, default=0)
            if frame > 0 and n_slots:
                return frame * n_slots
    return None
