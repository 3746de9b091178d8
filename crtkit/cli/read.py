"""``crtkit read``: what one ECG file holds."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from crtkit.cli.common import CommandError, check_out, emit_json, emit_lines, printable, say
from crtkit.persistence.suffixes import PAGES

SHOWN = ("heart_rate_bpm", "pr_ms", "qrs_duration_ms", "qtc_ms", "qrs_axis_deg", "lbbb")


def add_commands(commands: Any) -> None:
    """Add ``read``."""
    parser = commands.add_parser(
        "read",
        help="say what an ECG file or a page holds, and draw it",
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
    if options.file.is_dir():
        raise CommandError(f"{options.file} is a folder: crtkit measure reads all of its files")
    if options.file.suffix.lower() in PAGES:
        return _read_page(options)
    ecg = read_ecg(options.file)
    values = measure_qrs(ecg.signal, ecg.fs, lead_names=ecg.lead_names)
    facts = {
        "file": str(options.file),
        "format": ecg.format,
        "leads": list(ecg.lead_names),
        "fs": ecg.fs,
        "seconds": ecg.signal.shape[1] / ecg.fs,
        "missing_samples": int(np.isnan(ecg.signal).sum()),
        "header": dict(ecg.header),
        "measured": {name: values[name] for name in SHOWN if name in values},
    }
    _tell(facts, options)
    if options.png is not None:
        _draw(ecg, options.png)
        say(f"wrote {options.png}")
    return 0


def _tell(facts: dict[str, Any], options: argparse.Namespace) -> None:
    if options.json:
        options.out = None
        emit_json(facts, options)
        return
    for key, value in facts.items():
        if isinstance(value, dict):
            text = ", ".join(f"{k} {_short(v)}" for k, v in value.items())
        else:
            text = ", ".join(value) if isinstance(value, list) else _short(value)
        emit_lines([printable(f"{key:16} {text}")])


def _read_page(options: argparse.Namespace) -> int:
    """What was read from a page; with --png the traces over it."""
    from crtkit.images import ECGDigitizer
    from crtkit.images.decode import read_page
    from crtkit.signals import LEADS_12, measure_qrs

    # As the digitizer sees it: upright, in full size, of any depth; a PDF as it is rendered.
    try:
        page, *_ = read_page(options.file, None, reduced=False)
    except ValueError as error:
        raise CommandError(f"{options.file} is no picture that can be read: {error}") from error
    reading = ECGDigitizer().read([str(options.file)])[0]
    facts: dict[str, Any] = {"file": str(options.file), "format": "page"}
    if reading.reason is not None:
        facts["reason"] = reading.reason
    else:
        values = measure_qrs(reading.signal, reading.fs, lead_names=LEADS_12)
        facts |= {"layout": reading.layout, "speed": reading.speed, "gain": reading.gain}
        facts["confidence"] = {k: round(float(v), 2) for k, v in reading.confidence.items()}
        facts["measured"] = {name: values[name] for name in SHOWN if name in values}
    _tell(facts, options)
    if options.png is not None:
        _draw_reading(page, reading, options.png)
        say(f"wrote {options.png}")
    # A refused page is still drawn, with how far it was followed: that tells what to rescan.
    return 0 if reading.reason is None else 1


def _draw_reading(page: np.ndarray, reading: Any, path: Path) -> None:
    from crtkit._io import import_optional

    import_optional("matplotlib", extra="plots", purpose="Drawing what was read")
    from matplotlib.figure import Figure

    from crtkit._io import atomic_path
    from crtkit.images import plot_digitised

    figure = Figure(figsize=(11, 11 * page.shape[0] / page.shape[1]), layout="constrained")
    plot_digitised(page, reading, ax=figure.add_subplot())
    with atomic_path(path) as part:
        figure.savefig(part, dpi=120)


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
    # Blanks are drawn as a flat line: a page without a trace looks like an empty file.
    page = render_page(np.nan_to_num(padded), ecg.fs)
    image = page[0] if isinstance(page, tuple) else page
    with atomic_path(path) as part:
        Image.fromarray(np.asarray(image)).save(part)
