"""What happens to ECGs and pages on their way to a model, as functions of arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from crtkit._leads import LEADS_12, limb_weights
from crtkit._resample import resample_leads

#: (signals, fs, rng) -> signals, or (page, rng) -> page.
Change = Callable[..., np.ndarray]

LIMB = LEADS_12[:6]


def resampled(rate: float) -> Change:
    """Recorded at another rate, and brought back by straight lines, as lvsd2026 did."""

    def change(signals: np.ndarray, fs: float, rng: Any) -> np.ndarray:
        coarse = resample_leads(signals, fs, rate)
        return _fitted(resample_leads(coarse, rate, fs, method="linear"), signals.shape[-1])

    return change


def mains(frequency: float, amplitude: float) -> Change:
    """Hum of ``amplitude`` mV, another phase in each record and lead."""

    def change(signals: np.ndarray, fs: float, rng: Any) -> np.ndarray:
        time = np.arange(signals.shape[-1]) / fs
        # Leads share the mains but not the way to the amplifier, so that phases differ.
        phase = rng.uniform(0, 2 * np.pi, (*signals.shape[:-1], 1))
        hum = amplitude * np.sin(2 * np.pi * frequency * time + phase)
        return (signals + hum).astype(signals.dtype)

    return change


def noise(sd: float) -> Change:
    """White noise of ``sd`` mV, as of muscles and amplifiers."""

    def change(signals: np.ndarray, fs: float, rng: Any) -> np.ndarray:
        return (signals + rng.normal(0, sd, signals.shape)).astype(signals.dtype)

    return change


def drift(amplitude: float, frequency: float = 0.3) -> Change:
    """A baseline that breathes: ``amplitude`` mV at ``frequency`` Hz."""
    return mains(frequency, amplitude)


def without(lead: str) -> Change:
    """One electrode lead flat."""

    def change(signals: np.ndarray, fs: float, rng: Any) -> np.ndarray:
        out = _twelve(signals).copy()
        out[:, LEADS_12.index(lead)] = 0
        return out

    return change


def four_channels(kept: tuple[str, ...] = ("I", "II", "V1", "V5")) -> Change:
    """Four leads of twelve: limb leads follow from two of them, other precordial leads are flat."""
    known = [name for name in kept if name in LIMB]

    def change(signals: np.ndarray, fs: float, rng: Any) -> np.ndarray:
        signals = _twelve(signals)
        out = np.zeros_like(signals)
        for name in kept:
            out[:, LEADS_12.index(name)] = signals[:, LEADS_12.index(name)]
        # A recorder of four channels computes the limb leads that it prints.
        weights = limb_weights(LIMB, known)
        rows = [LEADS_12.index(name) for name in known]
        out[:, :6] = np.einsum("wk,nkt->nwt", weights, signals[:, rows])
        return out

    return change


def arms_swapped(signals: np.ndarray, fs: float, rng: Any) -> np.ndarray:
    """Right and left arm exchanged: I upside down, II and III trade places, aVR and aVL too."""
    order = [LEADS_12.index(name) for name in ("I", "III", "II", "aVL", "aVR", "aVF")]
    out = _twelve(signals).copy()
    out[:, :6] = signals[:, order]
    out[:, 0] *= -1
    return out


def scaled(factor: float) -> Change:
    """Read at the wrong gain: every voltage times ``factor``."""
    return lambda signals, fs, rng: (signals * factor).astype(signals.dtype)


def stretched(factor: float) -> Change:
    """Read at the wrong paper speed: time times ``factor``; what is then too short is held."""

    def change(signals: np.ndarray, fs: float, rng: Any) -> np.ndarray:
        # A reader that is wrong about the paper draws straight lines between what it measured.
        longer = resample_leads(signals, fs, fs * factor, method="linear")
        return _fitted(longer, signals.shape[-1])

    return change


def _twelve(signals: np.ndarray) -> np.ndarray:
    if signals.ndim != 3 or signals.shape[1] != len(LEADS_12):
        raise ValueError(
            f"This change is of twelve leads, (n_records, 12, n_samples); got {signals.shape}."
        )
    return signals


def _fitted(signals: np.ndarray, n_samples: int) -> np.ndarray:
    """Cut, or hold the last sample, to a length that a model was fitted on."""
    lacking = n_samples - signals.shape[-1]
    if lacking <= 0:
        return np.ascontiguousarray(signals[..., :n_samples])
    pad = [(0, 0)] * (signals.ndim - 1) + [(0, lacking)]
    return np.pad(signals, pad, mode="edge")


def spoiled(**dials: float) -> Change:
    """What happens to paper, by the dials of :func:`crtkit.images.spoil`; drawn by chance."""

    def change(page: np.ndarray, rng: Any) -> np.ndarray:
        from crtkit.images import spoil

        return spoil(page, dials, random_state=int(rng.integers(2**31)))

    return change


def shrunk(share: float) -> Change:
    """A smaller picture, as of a coarser scan."""
    return spoiled(low_resolution=1 - share)


def compressed(quality: int) -> Change:
    """Stored as a JPEG of this quality, and read again."""
    return spoiled(jpeg=quality)


def tilted(degrees: float) -> Change:
    """Laid askew on the scanner, to either side by chance; the corners are white."""

    def change(page: np.ndarray, rng: Any) -> np.ndarray:
        # To one side only, a model trained on pages that lean that way would look robust.
        angle = degrees * rng.choice([-1.0, 1.0])
        turned = Image.fromarray(page).rotate(
            angle, Image.Resampling.BICUBIC, fillcolor=(255, 255, 255)
        )
        return np.asarray(turned)

    return change


def text_erased(page: np.ndarray, rng: Any) -> np.ndarray:
    """Everything outside the grid white: a model that changes its mind has read the text."""
    from crtkit.images import erase_identity

    try:
        return erase_identity(page)
    except ValueError:  # no grid: nothing tells text from traces, and the page stays as it is
        return page


def greyed(page: np.ndarray, rng: Any) -> np.ndarray:
    """Scanned in grey: the colour of the grid is lost."""
    return np.asarray(Image.fromarray(page).convert("L").convert("RGB"))


class Reprint(NamedTuple):
    """The same signals printed on other paper, by the renderer that made the cohort's pages."""

    speed: float = 25.0
    gain: float = 10.0
    layout: str | None = None


def reprints() -> dict[str, Reprint]:
    """Other paper, by the name that a card prints; needs the signals behind the pages."""
    return {
        "paper at 50 mm/s": Reprint(speed=50.0),
        "gain 5 mm/mV": Reprint(gain=5.0),
        "gain 20 mm/mV": Reprint(gain=20.0),
        "layout 6x2": Reprint(layout="6x2"),
    }


def signal_changes() -> dict[str, Change]:
    """Changes of a signal, by the name that a card prints."""
    return {
        **{f"recorded at {rate} Hz": resampled(rate) for rate in (99, 125, 221)},
        "mains 50 Hz, 0.1 mV": mains(50.0, 0.1),
        "mains 60 Hz, 0.1 mV": mains(60.0, 0.1),
        "white noise, 0.05 mV": noise(0.05),
        "drift 0.3 Hz, 0.5 mV": drift(0.5),
        "4 channels: I, II, V1, V5": four_channels(),
        **{f"lead {lead} flat": without(lead) for lead in ("II", "V1", "V6")},
        "arm leads swapped": arms_swapped,
        "paper at 50 mm/s read as 25": stretched(2.0),
        "gain 5 mm/mV read as 10": scaled(0.5),
        "gain 20 mm/mV read as 10": scaled(2.0),
    }


def page_changes() -> dict[str, Change]:
    """Changes of a page, by the name that a card prints."""
    return {
        "half the resolution": shrunk(0.5),
        "a quarter of the resolution": shrunk(0.25),
        **{f"JPEG quality {quality}": compressed(quality) for quality in (50, 20, 10)},
        **{f"tilted by {degrees}°": tilted(degrees) for degrees in (1, 2, 5)},
        "seen at a slant": spoiled(perspective=0.05),
        "folded": spoiled(crease=0.6),
        "in shadow": spoiled(shadow=0.5),
        "stained": spoiled(stain=0.5),
        "written on": spoiled(handwriting=0.5),
        "out of focus": spoiled(blur=1.5),
        "sent by fax": spoiled(fax=0.5),
        "scanned in grey": greyed,
        "text outside the grid erased": text_erased,
    }
