"""``crtkit read``: what one ECG file holds."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from crtkit.cli.common import check_out, emit_json, say


def add_commands(commands: Any) -> None:
    """Add ``read``."""
    parser = commands.add_parser(
        "read",
        help="say what an ECG file holds, and draw it",
        description="Format, leads, rate, length, what the device printed, and what crtkit "
        "measures. Nothing that identifies the patient is shown.",
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--png", type=Path, help="draw it as a page into this file")
    parser.add_argument("--json", action="store_true", help="JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Read, describe, and draw."""
    from crtkit.readers import read_ecg
    from crtkit.signals import measure_qrs

    check_out(options.png)
    ecg = read_ecg(options.file)
    values = measure_qrs(ecg.signal, ecg.fs, lead_names=ecg.lead_names)
    shown = ("heart_rate_bpm", "pr_ms", "qrs_duration_ms", "qtc_ms", "qrs_axis_deg", "lbbb")
    facts = {
        "file": str(options.file),
        "format": ecg.format,
        "leads": list(ecg.lead_names),
        "fs": ecg.fs,
        "seconds": ecg.signal.shape[1] / ecg.fs,
        "missing_samples": int(np.isnan(ecg.signal).sum()),
        "header": dict(ecg.header),
        "measured": {name: values[name] for name in shown if name in values},
    }
    if options.json:
        options.out = None
        emit_json(facts, options)
    else:
        for key, value in facts.items():
            text = (
                ", ".join(f"{k} {_short(v)}" for k, v in value.items())
                if isinstance(value, dict)
                else (", ".join(value) if isinstance(value, list) else _short(value))
            )
            print(f"{key:16} {text}")  # noqa: T201 - this is the command line
    if options.png is not None:
        _draw(ecg, options.png)
        say(f"wrote {options.png}")
    return 0


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _draw(ecg: Any, path: Path) -> None:
    """The first ten seconds as a page of twelve leads."""
    from PIL import Image

    from crtkit._io import atomic_path
    from crtkit.images import render_page

    signal = ecg.standard_leads()
    n_samples = round(10 * ecg.fs)
    padded = np.full((12, n_samples), np.nan, dtype=np.float32)
    padded[:, : signal.shape[1]] = signal[:, :n_samples]
    page = render_page(np.nan_to_num(padded), ecg.fs)
    image = page[0] if isinstance(page, tuple) else page
    with atomic_path(path) as part:
        Image.fromarray(np.asarray(image)).save(part)
