"""One record delineated: beat, bounds, leads and their waves, for measuring and explaining."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from crtkit._leads import LEADS_12, LIMB_FROM_I_II, check_lead_names, refuse_exchanged_axes
from crtkit.signals.medians import median
from crtkit.signals.qrs.delineate import AGREEMENT, QRSBounds, qrs_bounds
from crtkit.signals.qrs.incomplete import fill_limb_leads
from crtkit.signals.qrs.median_beats import MedianBeat
from crtkit.signals.qrs.pacing import after_potential_end, locked_spikes, paced_beats
from crtkit.signals.qrs.prepare import PreparedBeat, prepare_beat
from crtkit.signals.qrs.shapes import LeadWaves, lead_waves
from crtkit.signals.qrs.vcg import complete_limb_leads

# The residual of a mean is 1.4826 times its median absolute value, a trimmed mean 1.1 times it.
_NOISE_OF_RESIDUAL = 1.1 * 1.4826


@dataclass(frozen=True)
class Delineation:
    """What is known of a record before anything is measured; times in samples of the beat.

    Attributes
    ----------
    prepared : PreparedBeat
    bounds : QRSBounds or None
        None where there is no beat.
    onset : float
        QRS onset, behind the after-potential of a stimulus.
    paced : bool
        Two beats at least follow a stimulus.
    ventricular : bool
        At least half of the beats follow a stimulus that starts their QRS complex.
    leads : ndarray of shape (12, n_window) or None
        The standard leads, limb leads completed; None where leads have no names.
    waves : dict of str to LeadWaves
        Of the standard leads that are there.
    reason : str
        Why nothing can be measured; empty where something can.
    """

    prepared: PreparedBeat
    bounds: QRSBounds | None = None
    onset: float = float("nan")
    paced: bool = False
    ventricular: bool = False
    leads: np.ndarray | None = None
    waves: dict[str, LeadWaves] = field(default_factory=dict)
    reason: str = ""

    @property
    def beat(self) -> MedianBeat:
        """The median beat."""
        return self.prepared.beat


def record_parts(signal, fs, lead_names) -> tuple[np.ndarray, float, Sequence[str] | None]:
    """Signal, rate and lead names of an array or an ECG object; names as usually spelled.

    Parameters
    ----------
    signal : array-like of shape (n_leads, n_samples), or crtkit.readers.ECG
    fs : float or None
        May be left out for an ECG object, and must not contradict it.
    lead_names : sequence of str or None

    Returns
    -------
    signal : ndarray of shape (n_leads, n_samples)
    fs : float
    lead_names : sequence of str or None
        None where there are no names and not twelve leads.

    Raises
    ------
    ValueError
        Not one record, no rate, a rate below 100 Hz or other than the object's, wrong names.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.readers import ECG
    >>> from crtkit.signals.qrs.record import record_parts
    >>> ecg = ECG(np.zeros((2, 900), np.float32), 250.0, ("LEAD II", "v1"))
    >>> record_parts(ecg, None, None)[1:]
    (250.0, ['II', 'V1'])
    """
    if hasattr(signal, "lead_names") and hasattr(signal, "fs"):
        if fs is not None and fs != signal.fs:
            raise ValueError(
                f"measure_qrs got fs={fs:g} for an ECG that says {signal.fs:g} Hz. Leave fs out, "
                "or correct the ECG."
            )
        fs = signal.fs
        lead_names = signal.lead_names if lead_names is None else lead_names
        signal = signal.signal
    signal = np.asarray(signal, dtype=float)
    if signal.ndim != 2:
        raise ValueError(
            f"measure_qrs expects one record of shape (n_leads, n_samples), got {signal.shape}."
        )
    refuse_exchanged_axes("measure_qrs", (1, *signal.shape))
    if fs is None:
        raise ValueError("measure_qrs needs fs, the sampling rate in hertz, for an array.")
    if not 100 <= fs < np.inf:
        raise ValueError(f"measure_qrs needs a sampling rate of at least 100 Hz, got {fs}.")
    return signal, float(fs), names_of_leads(lead_names, len(signal))


def names_of_leads(lead_names, n_leads) -> Sequence[str] | None:
    """Names of the leads of a record, as usually spelled; None where they are not known."""
    if lead_names is None:
        return LEADS_12 if n_leads == 12 else None
    return check_lead_names(lead_names, n_leads)


def delineate_record(signal, fs, names, *, agreement=AGREEMENT) -> Delineation:
    """Find the beat of a record, its bounds, and the waves of its standard leads.

    Parameters
    ----------
    signal : ndarray of shape (n_leads, n_samples)
    fs : float
    names : sequence of str or None
        As :func:`record_parts` returns them.
    agreement : int, default=2
        As in :func:`qrs_bounds`.

    Returns
    -------
    Delineation

    Examples
    --------
    >>> from crtkit.datasets import simulate_ecg
    >>> from crtkit.signals import LEADS_12
    >>> from crtkit.signals.qrs.record import delineate_record
    >>> signal, _ = simulate_ecg("lbbb", 164, random_state=0)
    >>> delineate_record(signal, 500, LEADS_12).waves["V1"].shape in ("QS", "rS")
    True
    """
    prepared = prepare_beat(signal if names is None else fill_limb_leads(signal, names), fs)
    beat = prepared.beat
    if beat.reason:
        return Delineation(prepared, reason=beat.reason)
    limb = None if names is None else [name in LIMB_FROM_I_II for name in names]
    bounds = qrs_bounds(
        beat.beat, beat.fs, beat.fiducial, beat.residual, agreement=agreement, limb=limb
    )
    if bounds.reason:
        return Delineation(prepared, bounds, reason=bounds.reason)
    onset, ventricular = _onset_after_spike(beat, bounds)
    # Of spikes that stand out by themselves two are enough: pacing may come and go.
    strong = locked_spikes(prepared.strong_spikes, beat.positions[beat.used], beat.fs, share=0.0)
    paced = ventricular or bool(strong.any())
    if names is None:
        return Delineation(prepared, bounds, onset, paced, ventricular)
    # Bounds come from the recorded leads alone: computed ones would repeat an electrode's noise.
    leads = complete_limb_leads(beat.beat, names)
    residual = complete_limb_leads(beat.residual, names)
    noise = np.nan_to_num(_NOISE_OF_RESIDUAL * median(np.abs(residual)))
    waves = {
        name: lead_waves(lead, beat.fs, onset, bounds.offset, noise=sigma)
        for name, lead, sigma in zip(LEADS_12, leads, noise)
        if np.isfinite(lead).all()
    }
    return Delineation(prepared, bounds, onset, paced, ventricular, leads, waves)


def _onset_after_spike(beat, bounds) -> tuple[float, bool]:
    """QRS onset in samples of the beat, behind a stimulus's after-potential; paced or not."""
    positions = beat.positions[beat.used]
    spike = paced_beats(beat.spikes, positions + bounds.onset - beat.fiducial, beat.fs)
    has = spike >= 0
    # Pacing that comes and goes leaves the dominant beat to the patient's own conduction.
    if has.mean() < 0.5:
        return bounds.onset, False
    end = float(np.median(beat.spikes[spike[has], 1] - positions[has])) + beat.fiducial
    after = after_potential_end(beat.beat, beat.fs, end, bounds.offset)
    return (after if after > bounds.onset else bounds.onset), True
