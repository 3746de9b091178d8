"""Which channels of a recorder of many signals are the ECG, and at which rate."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from crtkit._leads import LIMB_FROM_I_II, lead_name
from crtkit.readers.assemble import assemble_ecg
from crtkit.readers.calibration import MILLIVOLT, check_millivolt, check_rate
from crtkit.readers.ecg import ECG

# Channels of monitors and sleep laboratories, some of which are stored in volts too: pressures,
# respiration, and montages of the EEG such as F3-M2.
_NO_ECG = re.compile(
    r"(ABP|ART|BP|CVP|PAP|ICP|UAP|P\d|PPG|RR|SPO2|SAO2|CO2|ETCO2|FLOW|TEMP|LOC|ROC|POSITION)\b"
    r"|PRESS|RESP|PLETH|EEG|EOG|EMG|CHIN|LEG|THOR|ABDO|SNORE|EDF ANNOT|STATUS|MARKER"
    r"|(E\d|(FP|F|C|P|O|T)(PZ|Z|\d+))-",
    re.IGNORECASE,
)


class Channel(NamedTuple):
    """One ECG channel, in millivolt."""

    name: str
    fs: float
    samples: np.ndarray


def is_ecg_channel(name: str, unit: str) -> bool:
    """Whether a channel is in volts and not named as another signal."""
    return unit.strip().lower() in MILLIVOLT and not _NO_ECG.match(name.strip())


def ecg_of_channels(
    channels: Sequence[Channel], left_out: Sequence[str], header: dict[str, Any], kind: str, path
) -> ECG:
    """ECG of the channels at the rate that most of them have; the others are named.

    Parameters
    ----------
    channels : sequence of Channel
    left_out : sequence of str
        Channels that are not an ECG.
    header : dict
    kind : str
        Name of the format.
    path : Path
        Only named in messages.

    Returns
    -------
    ECG
        Leads in the usual order, with all limb leads, where two of these are there; else in the
        order of the file. ``header["left_out"]`` names what was not taken.
    """
    # Monitors keep respiration at a lower rate beside the leads.
    fs = Counter(channel.fs for channel in channels).most_common(1)[0][0]
    check_rate(fs, path)
    kept = [channel for channel in channels if channel.fs == fs]
    others = [f"{c.name} ({c.fs:g} Hz)" for c in channels if c.fs != fs]
    if left_out or others:
        header = {**header, "left_out": [*left_out, *others]}
    names = tuple(channel.name for channel in kept)
    if not all(names):
        raise ValueError(f"{path} has a lead without a name: {list(names)}.")
    leads = {lead_name(channel.name): channel.samples for channel in kept}
    if len(leads) == len(kept):
        names = tuple(leads)
        if len(leads.keys() & LIMB_FROM_I_II.keys()) >= 2:
            return assemble_ecg(leads, fs, header, kind, path)
    signal = check_millivolt(np.stack([channel.samples for channel in kept]), path, names)
    return ECG(signal, fs, names, header, kind)
