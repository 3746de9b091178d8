"""How far the bounds of a complex can be trusted, and when they are refused."""

import numpy as np
from scipy.ndimage import uniform_filter1d

from crtkit.signals.medians import median, median_of_known

# A complex as long as this, at a quality as low, is most often one with a P or T wave joined to it,
# and would meet every guideline's duration: it is refused. So is none of the shared records of LUDB
# and PTB-XL, whose four complexes of over 200 ms have qualities of 0.29 to 0.91.
UNBELIEVED_MS, UNBELIEVED_QUALITY = 200.0, 0.2
#: No complex lasts longer, whatever its quality; paced and poisoned ones come near.
LONGEST_MS = 280.0
# Half of the quality is gone where the complex is so much longer than the median lead.
_LONGER_S = 0.02
# A complex that creeps for longer begins with the end of a P wave that touches it, or with a delta
# wave: nobody can tell from its own shape, so it is measured as it stands and trusted less. Of
# LUDB's records 1 % creep for 26 ms, and so does no complete LBBB of PTB-XL.
_SLOW_SHARE, _SLOW_START_S, _SLOWER_S = 0.15, 0.024, 0.012


def record_quality(record) -> float:
    """Share of beats used, their likeness, agreement of leads, and share of time recorded.

    Leads agree where most begin and end with the complex, and where the complex is not longer than
    the median lead: a P wave or an artefact taken for its end stretches the first only. A P wave
    that touches the complex in every lead is told by the slowness with which it begins.
    """
    beat, bounds = record.beat, record.bounds
    usual = float(median(beat.correlation[beat.used]))
    share = beat.n_used / len(beat.positions)
    own = median_of_known(bounds.lead_offset) + 1.0 - median_of_known(bounds.lead_onset)
    longer = max((bounds.offset - bounds.onset - own) / beat.fs, 0.0)
    if not np.isfinite(longer):
        return 0.0
    agreement = bounds.agreement / (1.0 + (longer / _LONGER_S) ** 2)
    slow = max(_slow_start(record) - _SLOW_START_S, 0.0)
    agreement /= 1.0 + (slow / _SLOWER_S) ** 2
    return share * max(usual, 0.0) * agreement * record.prepared.present


def unbelieved(duration, quality) -> str:
    """Why a complex is too long to be believed; empty where it is not.

    Parameters
    ----------
    duration : float
        QRS duration in ms.
    quality : float

    Returns
    -------
    str

    Examples
    --------
    >>> from crtkit.signals.qrs.trust import unbelieved
    >>> unbelieved(230.0, 0.6), unbelieved(230.0, 0.1)[:21], unbelieved(300.0, 0.9)[:21]
    ('', 'a QRS complex of 230 ', 'a QRS complex of 300 ')
    """
    if not duration > UNBELIEVED_MS:
        return ""
    if duration <= LONGEST_MS and quality >= UNBELIEVED_QUALITY:
        return ""
    at = f"a QRS complex of {duration:.0f} ms at a quality of {quality:.2f}"
    return f"{at} may have a P or T wave in it"


def _slow_start(record) -> float:
    """Seconds from QRS onset to where the vector first has 15 % of its top speed."""
    beat, fs = np.nan_to_num(record.beat.beat), record.beat.fs
    step = max(1, round(0.004 * fs))
    first, last = int(max(record.onset, 4 * step)), int(record.bounds.offset)
    part = beat[:, first - 4 * step : last + 4 * step]
    velocity = uniform_filter1d(part[:, 2 * step :] - part[:, : -2 * step], 3 * step, axis=1)
    speed = np.sqrt(np.einsum("lt,lt->t", velocity, velocity))[3 * step : -3 * step]
    return float(np.argmax(speed > _SLOW_SHARE * speed.max(initial=0.0))) / fs
