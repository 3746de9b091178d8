import json
import tarfile

import numpy as np
import pandas as pd
from PIL import Image

from benchmarks import leaks
from crtkit.datasets import make_cohort
from crtkit.images import ECGRenderer


def test_planted_copies_and_strangers_are_counted(tmp_path, monkeypatch, capsys):
    cells = np.stack(make_cohort("mori2025", n_patients=8, random_state=0).X["signal"].tolist())
    # The last record is the first patient's, of another day.
    labels = pd.DataFrame({"patient_id": [*range(7), 0]})
    monkeypatch.setattr(leaks, "read_shards", lambda folder, units: (cells, labels))
    monkeypatch.setattr(
        leaks, "CHANGES", {name: leaks.CHANGES[name] for name in ("JPEG quality 50",)}
    )
    pages = ECGRenderer(fs=500, px_per_mm=3, size=(300, 300)).fit_transform(cells)
    archive = tmp_path / "ecg_images_mendeley" / "images.tar.xz"
    archive.parent.mkdir()
    with tarfile.open(archive, "w:xz") as tar:
        for number, page in enumerate(pages):
            Image.fromarray(page).save(tmp_path / f"{number}.jpg", quality=95)
            tar.add(tmp_path / f"{number}.jpg", f"{number}.jpg")
    command = ["--data", str(tmp_path), "--pool", "5", "--copies", "2", "--out", str(tmp_path)]
    assert leaks.main(command) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    rows = {row["pair"]: row for row in results["signals"]}
    assert rows["second cut of a record"]["pairs"] == 8
    assert rows["second cut of a record"]["named"] >= 7
    assert rows["pairs of records of two patients"] == {
        "pair": "pairs of records of two patients", "pairs": 27, "named": 0, "share": 0.0
    }  # fmt: skip
    assert rows["pairs of cuts of two patients"]["pairs"] == 16 * 15 // 2 - 8 - 4
    assert results["pages"] == [
        {"page": "JPEG quality 50", "pool": 5, "tested": 2, "found": 2, "wrong": 0, "told": 0},
        {"page": "strangers", "pool": 5, "tested": 3, "found": 0, "wrong": 0, "told": 0},
    ]
    assert "strangers" in capsys.readouterr().out
