"""
A page that answers for one ECG
===============================

An example to build on, not a medical device: a web page on this computer that takes an ECG file or
a photograph of a page, and shows what was read, the risk with its interval, the rule's answer
beside it, and what the model looked at::

    python serve.py model.crtkit --port 8765

It needs nothing beyond crtkit with its extras ``persistence``, ``plots`` and, for photographs,
``pages``. It listens on 127.0.0.1 only, answers no other site's pages, keeps a file no longer than
it takes to answer, and writes no log of names. The bundle must be of a model of signals; for
photographs, of one that takes blanks, as :class:`crtkit.QRSMeasurements` does.

.. image:: /_static/serve.png
   :alt: The page after it was given a simulated patient's ECG as a picture.
"""

# sphinx_gallery_thumbnail_path = '_static/serve_thumb.png'

import argparse
import base64
import io
import json
import tempfile
import threading
import warnings
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

import crtkit as ck

MAX_BYTES = 20 * 2**20
PAGES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"}
# Those that the ECG alone can answer.
RULES = {"QRS150": "QRS duration of 150 ms or more", "LBBB": "left bundle-branch block"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}

# %%
# The answer
# ----------
# Everything is crtkit: :func:`crtkit.predict` with pictures, the measurements, two rules.


def answer(bundle, path):
    """Facts and pictures of one ECG, ready for JSON."""
    is_page = path.suffix.lower() in PAGES
    digitizer = ck.ECGDigitizer() if is_page else None
    pictures = path.parent / "pictures"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        row = ck.predict(bundle, path, digitizer=digitizer, pictures=pictures).iloc[0]
    label = bundle.manifest["label"]
    facts = {key: _number(row[key]) for key in ("risk", "low", "high", "threshold", "quality")}
    facts |= {
        "model": bundle.manifest["name"],
        "positive": str(label["positive"]),
        "answer": None if row["answer"] is None else str(row["answer"]),
        "possible": None if row["possible"] is None else [str(x) for x in row["possible"]],
        "reasons": row["reasons"].replace(str(path), "the file"),
        "attribution": _png(row["picture"]) if row["picture"] else None,
    }
    try:
        ecg, facts["trace"] = _read_page(path) if is_page else _read_file(path)
    except (ValueError, OSError) as error:
        return facts | {"trace": None, "rules": {}, "error": str(error).replace(str(path), "")}
    measured = ck.signals.measure_qrs(ecg[0], ecg[1], lead_names=ecg[2])
    facts["qrs_duration_ms"] = _number(measured["qrs_duration_ms"])
    return facts | {"rules": _rules(measured)}


def _rules(measured):
    """Each rule in words, with its answer; unknown where the ECG could not be measured."""
    names = {"qrs_duration_ms": "qrs_duration_ms", "lbbb_conventional": "lbbb"}
    values = {ours: measured.get(theirs, np.nan) for theirs, ours in names.items()}
    row = pd.DataFrame([values])
    if row.isna().any(axis=None):
        return dict.fromkeys(RULES.values(), "unknown")
    fitted = {
        rule: ck.GuidelineClassifier(rule=rule).fit(row.iloc[[0, 0]], [0, 1]) for rule in RULES
    }
    return {
        RULES[rule]: ("no", "yes")[int(model.predict(row)[0])] for rule, model in fitted.items()
    }


def _read_file(path):
    ecg = ck.readers.read_ecg(path)
    signal = ecg.standard_leads()
    n = round(10 * ecg.fs)
    padded = np.zeros((12, n), dtype=np.float32)
    padded[:, : signal.shape[1]] = np.nan_to_num(signal[:, :n])
    page = ck.ECGRenderer(fs=ecg.fs, px_per_mm=5.0).fit_transform(padded[None])[0]
    image = io.BytesIO()
    Image.fromarray(page).save(image, "PNG")
    return (ecg.signal, ecg.fs, ecg.lead_names), _base64(image.getvalue())


def _read_page(path):
    """What was traced, drawn over the page."""
    from matplotlib.figure import Figure

    with Image.open(path) as image:
        page = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    reading = ck.images.digitize_page(page)
    figure = Figure(figsize=(11, 11 * page.shape[0] / page.shape[1]), layout="constrained")
    ck.images.plot_digitised(page, reading, ax=figure.add_subplot())
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=100)
    return (reading.signal, reading.fs, ck.signals.LEADS_12), _base64(buffer.getvalue())


def _number(value):
    return None if value is None or not np.isfinite(value) else round(float(value), 4)


def _png(path):
    return _base64(Path(path).read_bytes())


def _base64(data):
    return "data:image/png;base64," + base64.b64encode(data).decode()


# %%
# The server
# ----------


class Handler(BaseHTTPRequestHandler):
    """GET the page, POST an ECG to /answer?name=FILE."""

    server_version, sys_version = "crtkit", ""
    timeout = 60  # a client that stops half-way must not hold a thread for ever

    def __init__(self, bundle, turn, *args):
        self.bundle, self.turn = bundle, turn
        super().__init__(*args)

    def do_GET(self):
        name = {"/": "page.html"}.get(self.path, self.path[1:])
        if not self._is_ours() or name not in STATIC:
            self._send(404, "text/plain", b"not here")
            return
        self._send(200, TYPES[Path(name).suffix], STATIC[name].encode())

    def do_POST(self):
        size = self.headers.get("Content-Length", "")
        if not self._is_ours() or urlsplit(self.path).path != "/answer":
            self._refuse(404, "not here")
        elif not size.isdecimal():
            self._refuse(411, "the length of the file is not stated")
        elif int(size) > MAX_BYTES:
            self._refuse(413, f"files of more than {MAX_BYTES >> 20} MB are refused")
        else:
            self._answer(self.rfile.read(int(size)))

    def _answer(self, data):
        name = parse_qs(urlsplit(self.path).query).get("name", [""])[0]
        # Only the ending of the name is used: it tells the format, and names patients never.
        suffix = "".join(c for c in Path(name).suffix.lower() if c.isalnum() or c == ".")[:8]
        try:
            with self.turn, tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / f"ecg{suffix}"
                path.write_bytes(data)
                body = json.dumps(answer(self.bundle, path), allow_nan=False).encode()
        except Exception as error:
            told = str(error).replace(folder, "").strip() or type(error).__name__
            self._refuse(422, f"the file could not be answered for: {told[:300]}")
            return
        self._send(200, "application/json", body)

    def _is_ours(self):
        """No other site's page, and no other name that was made to lead here, may ask."""
        host = f"{self.server.server_address[0]}:{self.server.server_port}"
        local = {host, f"localhost:{self.server.server_port}"}
        origin = self.headers.get("Origin")
        return self.headers.get("Host") in local and (
            origin is None or origin in {f"http://{name}" for name in local}
        )

    def _refuse(self, code, text):
        self._send(code, "application/json", json.dumps({"error": text}).encode())
        self.close_connection = True  # what is left of the upload is not read

    def _send(self, code, kind, body):
        self.send_response(code)
        headers = {"Content-Type": f"{kind}; charset=utf-8", "Content-Length": str(len(body))}
        headers |= {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
        headers |= {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Nothing: file names may name patients."""


def make_server(path, port=8765):
    """Server for a bundle, on this computer only; port 0 takes a free one."""
    bundle = ck.persistence.read_bundle(path)
    handler = partial(Handler, bundle, threading.Lock())  # one answer at a time
    return ThreadingHTTPServer(("127.0.0.1", port), handler)


# %%
# The page
# --------

STATIC = {
    "page.html": """<!doctype html><html lang="en"><meta charset="utf-8"><title>One ECG</title>
<link rel="stylesheet" href="/page.css"><script src="/page.js" defer></script>
<h1>One ECG</h1>
<p class="warn">Research software, not a medical device. Nothing leaves this computer; nothing is
kept.</p>
<p><label>ECG file, or photograph of a page: <input type="file" id="file"></label></p>
<p id="state" role="status"></p>
<div id="answer" hidden>
<h2>Answer</h2><table id="facts"></table>
<h2>What was read</h2><img id="trace" alt="The ECG as it was read">
<h2>What spoke for it</h2><img id="attribution" alt="Attribution of the risk">
</div></html>""",
    "page.css": """body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;
padding:0 1rem}.warn{background:#fff3cd;padding:.5rem 1rem}img{max-width:100%}
td{padding:.2rem 1.5rem .2rem 0}""",
    "page.js": """const at = id => document.getElementById(id);
const percent = x => x === null || x === undefined ? "unknown" : Math.round(100 * x) + " %";
function row(name, value) {
  const tr = document.createElement("tr");
  for (const text of [name, value]) {
    const td = document.createElement("td");
    td.textContent = text;              // never as HTML: it may come from a file
    tr.append(td);
  }
  at("facts").append(tr);
}
function show(r) {
  at("facts").replaceChildren();
  row("Model", r.model);
  let risk = percent(r.risk);
  if (r.low !== null) risk += " (of similar patients " + percent(r.low) + " to " + percent(r.high)
    + ")";
  row("Risk of " + r.positive, risk);
  row("Answer at " + percent(r.threshold), r.answer === null ? "withheld" : r.answer);
  if (r.possible) row("Cannot be ruled out", r.possible.join(", ") || "neither");
  if (r.reasons) row("Why not", r.reasons);
  row("QRS duration", r.qrs_duration_ms ? Math.round(r.qrs_duration_ms) + " ms" : "unknown");
  for (const [rule, said] of Object.entries(r.rules)) row("Rule: " + rule, said);
  for (const id of ["trace", "attribution"]) {
    at(id).hidden = !r[id];
    if (r[id]) at(id).src = r[id];
  }
  at("answer").hidden = false;
}
at("file").addEventListener("change", async event => {
  const file = event.target.files[0];
  if (!file) return;
  at("answer").hidden = true;
  at("state").textContent = "Reading …";
  try {
    const reply = await fetch("/answer?name=" + encodeURIComponent(file.name),
                              {method: "POST", body: file});
    const r = await reply.json();
    if (r.error && !reply.ok) throw new Error(r.error);
    show(r);
    at("state").textContent = "Done.";
  } catch (error) { at("state").textContent = "No answer: " + error.message; }
});""",
}


def main():
    parser = argparse.ArgumentParser(description="Serve a bundle on this computer.")
    parser.add_argument("bundle")
    parser.add_argument("--port", type=int, default=8765)
    options = parser.parse_args()
    with make_server(options.bundle, options.port) as server:
        print(f"http://127.0.0.1:{server.server_port}/", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("stopped")


if __name__ == "__main__":
    main()
