"""The example service, as a real process over HTTP and, where one is installed, in Chromium."""

import http.client
import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import crtkit as ck
from crtkit.datasets import simulate_ecg

EXAMPLE = Path(__file__).parents[1] / "docs" / "examples" / "serve.py"
KINDS = (("narrow", 95), ("lbbb", 165))


def record(i):
    kind, qrs = KINDS[i % 2]
    return np.asarray(simulate_ecg(kind, qrs, random_state=i)[0], dtype=np.float32)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """A model of the QRS, which takes the blanks of a page; sets and interval from others."""
    import pandas as pd

    y = np.arange(28) % 2
    X = pd.DataFrame({"signal": [record(i) for i in range(28)]})
    info = {"sampling_rate": 500.0, "lead_names": list(ck.signals.LEADS_12), "name": "made"}
    cohort = ck.Cohort(X, y, np.array([f"p{i}" for i in range(28)]), info)
    steps = (ck.QRSMeasurements(fs=500), SimpleImputer(keep_empty_features=True))
    model = make_pipeline(ck.Select("signal"), *steps, LogisticRegression(max_iter=5000))
    here, apart = cohort.take(np.arange(14)), cohort.take(np.arange(14, 28))
    path = tmp_path_factory.mktemp("serve") / "model.crtkit"
    ck.save(model.fit(here.X, here.y), path, cohort=here, held_out=apart, name="QRS model")
    return path


@pytest.fixture(scope="module")
def temporary(tmp_path_factory):
    return tmp_path_factory.mktemp("only_for_the_service")


@pytest.fixture(scope="module")
def service(bundle, temporary):
    """Port of the example, started as a user starts it."""
    env = {**os.environ, "PYTHONPATH": str(Path(ck.__file__).parents[1]), "MPLBACKEND": "Agg"}
    env |= {"TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLE), str(bundle), "--port", "0"],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    line = process.stdout.readline()
    assert line.startswith("http://127.0.0.1:"), process.stderr.read()
    yield int(re.search(r":(\d+)/", line)[1])
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "secret-name" not in stderr


def ask(port, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request(method, path, body, headers)
    reply = connection.getresponse()
    data = reply.read()
    connection.close()
    return reply.status, dict(reply.getheaders()), data


def page_bytes(i):
    page = ck.ECGRenderer(fs=500, px_per_mm=7.874).fit_transform(record(i)[None])[0]
    buffer = io.BytesIO()
    Image.fromarray(page).save(buffer, "PNG")
    return buffer.getvalue()


def table_bytes(i):
    rows = [",".join(f"{value:.4f}" for value in sample) for sample in record(i).T]
    return "\n".join(["# fs: 500", "# unit: mV", ",".join(ck.signals.LEADS_12), *rows]).encode()


def is_png(text):
    return text.startswith("data:image/png;base64,") and len(text) > 10_000


@pytest.mark.slow
@pytest.mark.parametrize("i", [40, 41])
def test_a_photographed_page_gets_trace_risk_rule_and_attribution(service, bundle, tmp_path, i):
    body = page_bytes(i)
    status, headers, data = ask(service, "POST", "/answer?name=secret-name.png", body)
    assert status == 200
    assert headers["Cache-Control"] == "no-store"
    got = json.loads(data)
    (tmp_path / "page.png").write_bytes(body)
    row = ck.predict(bundle, tmp_path / "page.png", digitizer=ck.ECGDigitizer()).iloc[0]
    assert got["risk"] == pytest.approx(row["risk"], abs=1e-4)
    assert [got["low"], got["high"]] == pytest.approx([row["low"], row["high"]], abs=1e-4)
    assert is_png(got["trace"])
    assert is_png(got["attribution"])
    assert got["model"] == "QRS model"
    said = "yes" if i % 2 else "no"
    assert set(got["rules"].values()) == {said}
    assert (got["qrs_duration_ms"] > 140) == bool(i % 2)


@pytest.mark.slow
def test_an_ecg_file_too(service):
    status, _, data = ask(service, "POST", "/answer?name=x.csv", table_bytes(43))
    got = json.loads(data)
    assert status == 200, got
    assert got["risk"] > 0.5
    assert is_png(got["trace"])


@pytest.mark.slow
def test_what_is_no_ecg_is_a_reason_and_no_traceback(service):
    for name, body in (("a.xml", b"<nothing"), ("a.png", b"no picture"), ("../../etc/x", b"\0")):
        status, _, data = ask(service, "POST", f"/answer?name={name}", body)
        got = json.loads(data)
        assert status in (200, 422)
        assert got.get("risk") is None
        assert got.get("reasons") or got.get("error")
        assert b"/tmp" not in data
        assert b"Traceback" not in data


@pytest.mark.slow
def test_uploads_have_a_limit_and_other_sites_are_refused(service):
    connection = http.client.HTTPConnection("127.0.0.1", service, timeout=60)
    connection.putrequest("POST", "/answer?name=x.png")
    connection.putheader("Content-Length", str(21 * 2**20))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()
    body = b"x"
    assert ask(service, "POST", "/answer", body, Origin="http://elsewhere.org")[0] == 404
    assert ask(service, "POST", "/answer", body, Host="elsewhere.org")[0] == 404
    assert ask(service, "GET", "/../serve.py")[0] == 404


@pytest.mark.slow
def test_nothing_is_kept(service, temporary):
    ask(service, "POST", "/answer?name=secret-name.png", page_bytes(40))
    left = [p for p in temporary.rglob("*") if p.is_file() and "matplotlib" not in str(p)]
    assert left == []


@pytest.mark.slow
def test_it_listens_on_this_computer_only(service):
    import psutil

    listening = [c for c in psutil.net_connections("tcp") if c.laddr and c.laddr.port == service]
    assert {c.laddr.ip for c in listening if c.status == "LISTEN"} == {"127.0.0.1"}


@pytest.mark.slow
def test_the_page_works_in_a_browser(service, tmp_path):
    """Headless Chromium, as Qt ships it, chooses a file, and the page shows the answer.

    PyQt6-WebEngine is no dependency: CRTKIT_BROWSER names a Python that has it.
    """
    python = os.environ.get("CRTKIT_BROWSER", sys.executable)
    found = subprocess.run([python, "-c", "import PyQt6.QtWebEngineWidgets"], capture_output=True)
    if found.returncode:
        pytest.skip("no PyQt6-WebEngine: pip install PyQt6-WebEngine, or name a CRTKIT_BROWSER")
    (tmp_path / "page.png").write_bytes(page_bytes(41))
    child = Path(__file__).with_name("serving_browser.py")
    done = subprocess.run(
        [python, str(child), f"http://127.0.0.1:{service}/", str(tmp_path / "page.png")],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    shown = json.loads(done.stdout)
    assert shown["state"] == "Done."
    assert "Risk of 1" in shown["text"]
    assert "Rule: left bundle-branch block" in shown["text"]
    assert min(shown["widths"]) > 500
    assert shown["errors"] == []
