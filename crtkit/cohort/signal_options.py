"""What a caller says of the signals of a manifest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class SignalOptions:
    """What ``read_manifest`` was told about its signals; see there."""

    fs: float | None = None
    duration: float | None = None
    short: str = "raise"
    on_error: str = "raise"
    missing: str = "raise"
    missing_leads: str = "raise"
    unit: str | float | None = None
    lead_names: Sequence[str] | None = None
