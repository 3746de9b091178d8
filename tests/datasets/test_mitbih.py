import functools
import http.server
import lzma
import threading

import numpy as np
import pytest

from crtkit.datasets import fetch_mitbih, load_mitbih
from crtkit.datasets.mitbih import AAMI_CLASSES, DS1, DS2, PACED, RECORDS, known_sums

wfdb = pytest.importorskip("wfdb")

SYMBOLS = ("+", "N", "L", "V", "!", "[", "]", "f", "~")


@pytest.fixture
def make_record(tmp_path):
    """Write a record as MIT-BIH stores them: two signals of 12 bits at 360 Hz, with beats."""

    def make(name="100", leads=("MLII", "V5"), symbols=SYMBOLS, fs=360, n_samples=3600, **header):
        rng = np.random.default_rng(int(name))
        counts = rng.integers(-2000, 2000, size=(n_samples, 2))
        wfdb.wrsamp(
            name,
            fs=fs,
            units=["mV", "mV"],
            sig_name=list(leads),
            d_signal=counts,
            fmt=["212", "212"],
            adc_gain=[200, 200],
            baseline=[1024, 0],
            comments=["69 M 1085 1629 x1"],
            write_dir=str(tmp_path),
        )
        samples = np.linspace(100, n_samples - 100, len(symbols)).astype(int)
        wfdb.wrann(name, "atr", samples, symbol=list(symbols), write_dir=str(tmp_path))
        return tmp_path, (counts - [1024, 0]).T / 200

    return make


def test_a_record_comes_back(make_record):
    folder, millivolt = make_record()
    cohort = load_mitbih(folder, subset=["100"], lead="both")
    np.testing.assert_allclose(cohort.X["signal"].iloc[0], millivolt, atol=1e-6)
    assert cohort.X["signal"].iloc[0].dtype == np.float32
    assert cohort.X["symbols"].iloc[0].tolist() == ["N", "L", "V", "f"]
    assert len(cohort.X["beats"].iloc[0]) == 4
    assert cohort.X["flutter"].iloc[0].shape == (1, 2)
    assert (cohort.X["age"].iloc[0], cohort.X["male"].iloc[0]) == (69, 1)
    assert (cohort.y.tolist(), cohort.groups.tolist()) == (["DS2"], ["100"])
    assert cohort.info["sampling_rate"] == 360


def test_xz_is_read_in_memory(make_record):
    folder, millivolt = make_record()
    plain = folder / "100.dat"
    filters = [{"id": lzma.FILTER_DELTA, "dist": 3}, {"id": lzma.FILTER_LZMA2}]
    (folder / "100.dat.xz").write_bytes(lzma.compress(plain.read_bytes(), filters=filters))
    plain.unlink()
    cohort = load_mitbih(folder, subset=["100"])
    np.testing.assert_allclose(cohort.X["signal"].iloc[0][0], millivolt[0], atol=1e-6)
    assert not plain.exists()


def test_lead_rule(make_record):
    folder, swapped = make_record("114", leads=("V5", "MLII"))
    _, chest = make_record("102", leads=("V5", "V2"))
    names = ["114", "102"]
    limb = load_mitbih(folder, subset=names)
    assert limb.X["leads"].tolist() == ["MLII", "V5"]
    np.testing.assert_allclose(limb.X["signal"].iloc[0][0], swapped[1], atol=1e-6)
    np.testing.assert_allclose(limb.X["signal"].iloc[1][0], chest[0], atol=1e-6)
    assert "102" in limb.info["assumed"][0]
    first = load_mitbih(folder, subset=names, lead="first")
    assert first.X["leads"].tolist() == ["V5", "V5"]


def test_partition_is_de_chazals():
    assert len(RECORDS) == 48
    assert len(DS1) == len(DS2) == 22
    assert not set(DS1) & set(DS2)
    assert set(RECORDS) - set(DS1) - set(DS2) == set(PACED)
    assert len(AAMI_CLASSES) == 15
    assert set(AAMI_CLASSES.values()) == set("NSVFQ")


def test_bad_folders_and_files_are_named(make_record, monkeypatch, tmp_path_factory):
    monkeypatch.delenv("CRTKIT_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match="CRTKIT_DATA"):
        load_mitbih()
    with pytest.raises(FileNotFoundError, match="fetch_mitbih"):
        load_mitbih(tmp_path_factory.mktemp("x") / "absent")
    folder, _ = make_record()
    with pytest.raises(FileNotFoundError, match="lacks 141 file"):
        load_mitbih(folder)
    with pytest.raises(ValueError, match=r"unknown: \['999'\]"):
        load_mitbih(folder, subset=["100", "999"])
    with pytest.raises(ValueError, match="subset to be one of"):
        load_mitbih(folder, subset="DS3")
    with pytest.raises(ValueError, match="lead 'MLII'"):
        load_mitbih(folder, subset=["100"], lead="V1")
    beats = (folder / "100.atr").read_bytes()
    for cut in (b"", beats[:-4]):
        (folder / "100.atr").write_bytes(cut)
        with pytest.raises(ValueError, match=r"100.atr is truncated"):
            load_mitbih(folder, subset=["100"])
    (folder / "100.atr").write_bytes(beats)
    data = (folder / "100.dat").read_bytes()
    (folder / "100.dat").write_bytes(data[:-30])
    with pytest.raises(ValueError, match="truncated"):
        load_mitbih(folder, subset=["100"])
    (folder / "100.dat").unlink()
    with pytest.raises(FileNotFoundError, match="1 file.*100.dat"):
        load_mitbih(folder, subset=["100"])
    (folder / "100.dat.xz").write_bytes(lzma.compress(data)[:-40])
    with pytest.raises(ValueError, match="cannot be decompressed"):
        load_mitbih(folder, subset=["100"])


def test_unknown_symbols_and_rates_are_refused(make_record):
    folder, _ = make_record(symbols=("N", "B"))
    with pytest.raises(ValueError, match=r"symbol\(s\) \['B'\]"):
        load_mitbih(folder, subset=["100"])
    make_record(fs=250)
    with pytest.raises(ValueError, match="250"):
        load_mitbih(folder, subset=["100"])
    (folder / "100.hea").write_text("100 two 360\n")
    with pytest.raises(ValueError, match="damaged"):
        load_mitbih(folder, subset=["100"])


@pytest.fixture
def serve(tmp_path_factory):
    """Serve a folder over HTTP on this machine."""
    folder = tmp_path_factory.mktemp("www")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_wrong_file_is_not_kept(serve, tmp_path):
    pytest.importorskip("pooch")
    folder, url = serve
    (folder / "100.hea").write_text("not PhysioNet's")
    with pytest.raises(ValueError, match="hash|SHA256|sha256"):
        fetch_mitbih(tmp_path / "mitdb", subset=["100"], base_url=url)
    assert not list((tmp_path / "mitdb").glob("*"))


def test_real_files_pass_their_checksums(serve, data_dir, tmp_path):
    pytest.importorskip("pooch")
    folder, url = serve
    for suffix in (".hea", ".atr"):
        (folder / f"207{suffix}").write_bytes((data_dir / "mitdb" / f"207{suffix}").read_bytes())
    with lzma.open(data_dir / "mitdb" / "207.dat.xz") as file:
        (folder / "207.dat").write_bytes(file.read())
    target = fetch_mitbih(tmp_path / "mitdb", subset=["207"], base_url=url)
    cohort = load_mitbih(target, subset=["207"])
    record = wfdb.rdrecord(str(target / "207"))
    np.testing.assert_allclose(cohort.X["signal"].iloc[0][0], record.p_signal[:, 0], atol=1e-6)
    assert len(cohort.X["flutter"].iloc[0]) == 6


def test_sums_are_there_for_every_file():
    sums = known_sums()
    assert set(sums) == {f"{name}{end}" for name in RECORDS for end in (".hea", ".atr", ".dat")}
    assert all(len(digest) == 64 for digest in sums.values())


@pytest.mark.slow
def test_the_whole_database(data_dir):
    cohort = load_mitbih(data_dir / "mitdb")
    assert (len(cohort), cohort.n_patients) == (48, 47)
    assert cohort.groups[cohort.X["record"] == "202"] == ["201"]
    symbols = np.concatenate(cohort.X["symbols"].to_list())
    assert len(symbols) == 109_494  # what PhysioNet's own tables of beats add up to
    assert set(symbols) == set(AAMI_CLASSES)
    classes = np.array([AAMI_CLASSES[symbol] for symbol in symbols])
    assert (classes == "Q").sum() == 7028 + 982 + 33
    assert cohort.X["leads"].value_counts().to_dict() == {"MLII": 46, "V5": 2}
