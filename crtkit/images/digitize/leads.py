"""Which lead is printed where: layouts that fit the rows, told apart by what the leads must obey.

No text is read. The limb leads are sums of each other (Einthoven, Goldberger), and a rhythm strip
repeats what its own lead shows in its column, so the signals say which layout is right.
"""

from dataclasses import dataclass

import numpy as np

from crtkit._leads import LEADS_12, LIMB_LAWS, limb_weights
from crtkit.images.digitize.ink import UnreadablePageError
from crtkit.images.render.layout import page_layout

LAYOUTS = {
    3: ("3x4",),
    4: ("3x4+1",),
    5: ("3x4+2",),
    6: ("3x4+3", "6x2"),
    7: ("6x2+1",),
    8: ("6x2+2",),
    12: ("12x1",),
    13: ("12x1+1",),
}
"""Layouts by the number of rows; "+n" are n rhythm strips whose leads are not known yet."""


@dataclass(frozen=True)
class Arrangement:
    """Rows and columns of a page.

    Parameters
    ----------
    rows, columns : int
        Of the twelve leads.
    n_rhythm : int
        Rows below that show one lead each.
    """

    rows: int
    columns: int
    n_rhythm: int

    @classmethod
    def from_name(cls, name):
        """Read ``"3x4+1"``; rhythm leads may be named too, as in ``"3x4+II"``."""
        grid, *rhythm = name.split("+")
        if len(rhythm) == 1 and rhythm[0].isdigit():
            rhythm = [""] * int(rhythm[0])
        rows, columns = (int(part) for part in grid.split("x"))
        return cls(rows, columns, len(rhythm))

    @property
    def n_rows(self):
        """All rows, rhythm strips included."""
        return self.rows + self.n_rhythm

    def strips(self, seconds):
        """Row, column, lead (empty for a rhythm strip), first and last second of each strip."""
        layout = page_layout(f"{self.rows}x{self.columns}", seconds)
        strips = [(s.row, s.column, s.lead, s.start, s.stop) for s in layout.strips]
        for i in range(self.n_rhythm):
            strips.append((self.rows + i, 0, "", 0.0, seconds))
        return strips

    def name(self, rhythm_leads):
        """Name with the rhythm leads, such as ``"3x4+II"``."""
        return "+".join([f"{self.rows}x{self.columns}", *rhythm_leads])


def check_layout(layout):
    """Raise ValueError unless a layout is None or one that the digitizer reads."""
    if layout is None:
        return
    try:
        good = Arrangement.from_name(layout)
    except ValueError:
        good = None
    if good is None or good.rows * good.columns != 12:
        raise ValueError(
            "layout must be None or 'RxC' with R x C = 12 and rhythm leads after '+', such as "
            f"'3x4+II', '6x2' or '3x4+1', got {layout!r}."
        )


def candidates(n_rows, stated=None):
    """Arrangements that a number of rows allows.

    Parameters
    ----------
    n_rows : int
    stated : str, optional
        Layout that the caller states.

    Returns
    -------
    list of Arrangement

    Raises
    ------
    UnreadablePageError
        None is known, or the stated one has another number of rows.
    """
    if stated is not None:
        arrangement = Arrangement.from_name(stated)
        if arrangement.n_rows != n_rows:
            raise UnreadablePageError(
                f"{n_rows} rows were found, layout {stated!r} has {arrangement.n_rows}"
            )
        return [arrangement]
    # Guessing a layout from a number of rows that no device prints would name leads at random.
    if n_rows not in LAYOUTS:
        known = ", ".join(map(str, LAYOUTS))
        raise UnreadablePageError(f"{n_rows} rows were found, known layouts have {known}")
    return [Arrangement.from_name(name) for name in LAYOUTS[n_rows]]


def limb_agreement(signals):
    """Agreement in dB of the limb leads with Einthoven's and Goldberger's laws.

    Parameters
    ----------
    signals : ndarray of shape (12, n_samples)
        mV, NaN where nothing was printed.

    Returns
    -------
    dict of str to float
        ``"einthoven"`` (I + III = II) and ``"goldberger"`` (aVR + aVL + aVF = 0), and
        ``"augmented"`` (aVR, aVL, aVF from I and II) where all are printed together; NaN where
        they are not.
    """
    out = {
        law: agreement(*_rebuilt_and_read(signals, name, others))
        for law, (name, others) in LIMB_LAWS.items()
    }
    together = [
        agreement(*_rebuilt_and_read(signals, name, ("I", "II"))) for name in ("aVR", "aVL", "aVF")
    ]
    out["augmented"] = float(np.mean(together)) if np.isfinite(together).all() else np.nan
    return out


def _rebuilt_and_read(signals, name, others):
    """A limb lead as its laws make it of two others, and as it was read."""
    one, two = (signals[LEADS_12.index(other)] for other in others)
    (weights,) = limb_weights([name], others)
    return weights[0] * one + weights[1] * two, signals[LEADS_12.index(name)]


def agreement(one, other, least=250):
    """Power of ``other`` over that of the difference in dB, means removed; NaN if too short."""
    # Without means: rows have their own zero, and a wrong one breaks no law.
    both = np.isfinite(one) & np.isfinite(other)
    if both.sum() < least:
        return np.nan
    one, other = one[both] - one[both].mean(), other[both] - other[both].mean()
    rest = ((one - other) ** 2).sum()
    return float(10 * np.log10(max((other**2).sum(), 1e-12) / max(rest, 1e-12)))


def choose(arrangements, read):
    """The arrangement whose limb leads and rhythm strips agree best.

    Parameters
    ----------
    arrangements : list of Arrangement
    read : callable
        Arrangement -> (signals (12, n_samples), rhythm strips (n_rhythm, n_samples)).

    Returns
    -------
    Arrangement
    """
    if len(arrangements) == 1:
        return arrangements[0]
    scores = []
    for arrangement in arrangements:
        signals, rhythm = read(arrangement)
        checks = list(limb_agreement(signals).values())
        checks += [max(repeats(strip, signals).values(), default=np.nan) for strip in rhythm]
        # Clipped, so that one very good check cannot outvote two bad ones.
        checks = np.clip([c for c in checks if np.isfinite(c)], -5, 20)
        scores.append(checks.mean() if len(checks) else -np.inf)
    return arrangements[int(np.argmax(scores))]


def repeats(strip, signals):
    """Agreement in dB of a rhythm strip with each lead's own piece.

    Parameters
    ----------
    strip : ndarray of shape (n_samples,)
    signals : ndarray of shape (12, n_samples)

    Returns
    -------
    dict of str to float
        Only leads that are printed for long enough.
    """
    fits = {name: agreement(strip, lead, 100) for name, lead in zip(LEADS_12, signals)}
    return {name: value for name, value in fits.items() if np.isfinite(value)}


def name_rhythm(rhythm, signals):
    """Lead of each rhythm strip, and how well it repeats that lead.

    Parameters
    ----------
    rhythm : ndarray of shape (n_rhythm, n_samples)
    signals : ndarray of shape (12, n_samples)

    Returns
    -------
    list of (str, float)
        Lead and dB; an empty name where no lead is repeated.
    """
    out, taken = [], set()
    for strip in rhythm:
        fits = {k: v for k, v in repeats(strip, signals).items() if k not in taken}
        best = max(fits, key=lambda name: fits[name] + _USUAL.get(name, 0), default="")
        if best and fits[best] < _LEAST_REPEAT:
            best = ""
        # A lead is printed as a strip once: a second one that looks like it is another lead.
        taken.add(best)
        out.append((best, fits.get(best, np.nan)))
    return out


_USUAL = {"II": 4.0, "V1": 2.0, "V5": 1.0, "III": 1.0}
"""dB in favour of the leads that devices print as rhythm strips, where leads look alike."""
_LEAST_REPEAT = 3.0  # dB: less is chance


def limb_residuals(signals):
    """How far the limb leads are from Einthoven's and Goldberger's laws.

    Parameters
    ----------
    signals : ndarray of shape (12, n_samples)
        mV.

    Returns
    -------
    dict of str to float
        Root mean square in microvolts, ``"einthoven"`` and ``"goldberger"``; without those that
        are not printed together.
    """
    rest = {}
    for law, (name, others) in LIMB_LAWS.items():
        rebuilt, read = _rebuilt_and_read(signals, name, others)
        rest[law] = (rebuilt - read)[np.isfinite(rebuilt - read)]
    return {name: 1000 * float(value.std()) for name, value in rest.items() if len(value) > 250}


_MOST_SHIFT = 15  # samples
_WORTH_DB, _GOOD_DB = 2.0, 5.0  # gain and agreement from which a shift is believed


def row_shifts(signals):
    """By how much rows I and III of a 3x4 page are late beside row II, as Einthoven's law tells.

    A photographed page that was straightened may still lean by a pixel from row to row; a QRS
    complex that is half a pixel late in one of three leads breaks the law.

    Parameters
    ----------
    signals : ndarray of shape (12, n_samples)

    Returns
    -------
    tuple of int
        Samples for the first and the third row; zeros unless the law then holds clearly better.
    """
    one, two, three = signals[:3]
    seen = np.flatnonzero(np.isfinite(one) & np.isfinite(two) & np.isfinite(three))
    if len(seen) < 500:
        return 0, 0
    # All shifts are compared on the same samples, or the shortest would win.
    inner = np.arange(seen[0] + _MOST_SHIFT, seen[-1] - _MOST_SHIFT)
    steps = range(-_MOST_SHIFT, _MOST_SHIFT + 1)
    firsts, thirds = ([lead[inner + k] for k in steps] for lead in (one, three))
    fits = np.array([[agreement(a + c, two[inner]) for c in thirds] for a in firsts])
    i, j = np.unravel_index(np.nanargmax(fits), fits.shape)
    before = fits[_MOST_SHIFT, _MOST_SHIFT]
    # Two free shifts always gain a little; leads in the wrong order never gain this much.
    if fits[i, j] < max(before + _WORTH_DB, _GOOD_DB):
        return 0, 0
    return int(steps[i]), int(steps[j])


def strip_shift(strip, signals):
    """By how much a rhythm strip is late beside the lead that it repeats.

    Parameters
    ----------
    strip : ndarray of shape (n_samples,)
    signals : ndarray of shape (12, n_samples)

    Returns
    -------
    int
        Samples; 0 unless it then repeats clearly better.
    """
    best, shift = -np.inf, 0
    before = max(repeats(strip, signals).values(), default=-np.inf)
    for step in range(-2 * _MOST_SHIFT, 2 * _MOST_SHIFT + 1):
        # What is rolled in at the ends lies outside the windows of all leads but two.
        moved = np.roll(strip, -step)
        fit = max(repeats(moved, signals).values(), default=-np.inf)
        if fit > best:
            best, shift = fit, step
    return shift if best >= max(before + _WORTH_DB, _GOOD_DB) else 0
