"""A saved model on one new patient and on another hospital's table."""

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import crtkit as ck
from crtkit.readers import ECG
from crtkit.signals import resample_leads


@pytest.fixture(scope="module")
def cohort():
    return ck.datasets.make_cohort("mori2025", n_patients=60, random_state=0)


@pytest.fixture(scope="module")
def model(cohort):
    booster = LGBMClassifier(n_estimators=10, verbosity=-1, n_jobs=1)
    return make_pipeline(ck.Select("signal"), ck.LeadStatistics(), booster).fit(cohort.X, cohort.y)


@pytest.fixture(scope="module")
def bundle(model, cohort, tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "model.crtkit"
    ck.save(model, path, cohort=cohort)
    return path


@pytest.fixture(scope="module")
def clinical(cohort, tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "clinical.crtkit"
    names = ["qrs_duration_ms", "age"]
    ck.save(
        make_pipeline(ck.Select(names), LogisticRegression(max_iter=1000)).fit(cohort.X, cohort.y),
        path,
        cohort=cohort,
    )
    return path


def signal_of(cohort, row):
    return np.asarray(ck.Select("signal").fit_transform(cohort.X.iloc[[row]]))[0]


def ecg_of(cohort, row, **changes):
    options = {"signal": signal_of(cohort, row), "fs": 500.0, "lead_names": ck.signals.LEADS_12}
    return ECG(**{**options, **changes})


def test_a_table_is_answered_as_the_model_itself_answers(bundle, model, cohort):
    table = ck.predict(bundle, cohort.X.iloc[:8])
    np.testing.assert_array_equal(table["risk"], model.predict_proba(cohort.X.iloc[:8])[:, 1])
    np.testing.assert_array_equal(list(table["answer"]), model.predict(cohort.X.iloc[:8]))
    assert (table["threshold"] == 0.5).all()
    assert not table["abstained"].any()
    assert (table["quality"] == 1).all()
    assert (table["reasons"] == "").all()


def test_one_ecg_gives_the_risk_of_its_row(bundle, model, cohort):
    table = ck.predict(bundle, ecg_of(cohort, 3))
    assert table["risk"].iloc[0] == model.predict_proba(cohort.X.iloc[[3]])[0, 1]


def test_the_answer_does_not_depend_on_who_else_is_asked(bundle, cohort):
    alone = pd.concat([ck.predict(bundle, cohort.X.iloc[[i]]) for i in range(5)])
    together = ck.predict(bundle, cohort.X.iloc[:5])
    pd.testing.assert_frame_equal(alone.reset_index(drop=True), together.reset_index(drop=True))


def test_leads_in_another_order_are_put_in_order(bundle, cohort):
    order = np.random.default_rng(0).permutation(12)
    leads = [ck.signals.LEADS_12[i] for i in order]
    shuffled = ecg_of(cohort, 0, signal=signal_of(cohort, 0)[order], lead_names=leads)
    assert (
        ck.predict(bundle, shuffled)["risk"].iloc[0]
        == (ck.predict(bundle, ecg_of(cohort, 0))["risk"].iloc[0])
    )


def test_another_rate_is_resampled(bundle, cohort):
    """Twice the rate and half of it: the same heart, so nearly the same statistics."""
    x = signal_of(cohort, 1)
    fast = ecg_of(cohort, 1, signal=resample_leads(x[None], 500, 1000)[0], fs=1000.0)
    table = ck.predict(bundle, [ecg_of(cohort, 1), fast])
    assert not table["abstained"].any()
    assert abs(table["risk"].diff().iloc[1]) < 0.1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"lead_names": ("X", *ck.signals.LEADS_12[1:])}, r"lead\(s\) I are absent"),
        ({"signal": np.zeros((12, 5000), "f4")}, r"12 lead\(s\) are unusable"),
        ({"signal": np.ones((12, 1000), "f4")}, "2 s long, the model was fitted on 10 s"),
    ],
)
def test_what_cannot_be_answered_says_why(bundle, cohort, change, reason):
    table = ck.predict(bundle, [ecg_of(cohort, 0), ecg_of(cohort, 0, **change)])
    assert list(table["abstained"]) == [False, True]
    assert np.isnan(table["risk"].iloc[1])
    assert table["answer"].iloc[1] is None
    assert pd.Series(table["reasons"].iloc[1:]).str.contains(reason).all()


def test_an_ecg_file_and_one_that_cannot_be_read(bundle, make_wfdb, tmp_path):
    folder = make_wfdb(n_records=1, seconds=10.0)
    broken = tmp_path / "broken.xml"
    broken.write_text("<not an ecg")
    table = ck.predict(bundle, [folder / "r0.hea", broken], max_bad_leads=None)
    assert np.isfinite(table["risk"].iloc[0])
    assert "cannot be read" in table["reasons"].iloc[1]


def test_clinical_columns_by_any_name_and_out_of_range(clinical, cohort, tmp_path):
    path = tmp_path / "theirs.csv"
    theirs = pd.DataFrame({"QRS": [150.0, 40.0], "age": [65, 66], "unrelated": ["a", "b"]})
    theirs.to_csv(path, index=False)
    table = ck.predict(clinical, path, columns={"QRS": "qrs_duration_ms"})
    assert list(table["abstained"]) == [False, True]
    assert "qrs_duration_ms is 40, outside the training cohort" in table["reasons"].iloc[1]
    told = ck.predict(clinical, path, columns={"QRS": "qrs_duration_ms"}, allow_outside=True)
    assert not told["abstained"].any()
    assert "outside" in told["reasons"].iloc[1]
    with pytest.raises(ValueError, match=r"\['qrs_duration_ms'\] are absent from the table"):
        ck.predict(clinical, path)


def test_flags_in_words_are_understood_where_a_column_is_named(cohort, tmp_path):
    names = ["qrs_duration_ms", "male"]
    model = make_pipeline(ck.Select(names), LogisticRegression(max_iter=1000))
    ck.save(model.fit(cohort.X, cohort.y), tmp_path / "m.crtkit", cohort=cohort)
    theirs = pd.DataFrame({"QRS": [150.0, 150.0], "Sex": ["M", "F"]})
    named = {"QRS": "qrs_duration_ms", "Sex": "male"}
    table = ck.predict(tmp_path / "m.crtkit", theirs, columns=named)
    ours = pd.DataFrame({"qrs_duration_ms": [150.0, 150.0], "male": [1, 0]})
    np.testing.assert_allclose(table["risk"], model.predict_proba(ours)[:, 1])


def test_one_file_for_a_model_of_several_columns_says_what_to_pass(clinical):
    with pytest.raises(ValueError, match="Pass a table"):
        ck.predict(clinical, "ecg.xml")


def test_a_page_for_a_model_of_signals_names_the_digitizer(bundle):
    assert "ECGDigitizer" in ck.predict(bundle, "page.jpg")["reasons"].iloc[0]


def test_arrays_without_select(tmp_path):
    X, y = np.arange(20.0)[:, None], np.arange(20) // 10
    ck.save(LogisticRegression().fit(X, y), tmp_path / "m.crtkit")
    table = ck.predict(tmp_path / "m.crtkit", X[:3])
    np.testing.assert_allclose(
        table["risk"], LogisticRegression().fit(X, y).predict_proba(X[:3])[:, 1]
    )


def test_no_row_of_a_patient_is_in_the_bundle(cohort, bundle, clinical):
    """No identifier, and no value of a continuous variable to the digits that the table has."""
    for path in (bundle, clinical):
        manifest = ck.persistence.read_bundle(path).manifest
        text = str(manifest)
        assert not any(f"'{group}'" in text for group in cohort.groups)
        for name, known in manifest["training"]["columns"].items():
            if known["kind"] == "number":
                values = set(cohort.X[name].round(6))
                assert known["mean"] not in values or len(values) < 10
        assert manifest["training"]["n_patients"] == 60


def test_an_array_is_one_record_or_several(bundle, model, cohort):
    """A signal has no rate or leads of its own: it must have the shape of those of the fit."""
    several = np.stack([signal_of(cohort, row) for row in range(3)])
    expected = model.predict_proba(cohort.X.iloc[:3])[:, 1]
    np.testing.assert_array_equal(ck.predict(bundle, several)["risk"], expected)
    assert ck.predict(bundle, several[0])["risk"].tolist() == [expected[0]]
    wrong = ck.predict(bundle, several[:, :8])
    assert wrong["reasons"].str.contains(r"has shape \(8, 5000\)").all()


def test_a_model_fitted_on_arrays_takes_files_and_ecgs(cohort, make_wfdb, tmp_path):
    X = np.stack([signal_of(cohort, row) for row in range(40)])
    booster = LGBMClassifier(n_estimators=5, verbosity=-1, n_jobs=1)
    steps = (ck.LeadFilter(fs=500), ck.LeadStatistics(), booster)
    bare = make_pipeline(*steps).fit(X, np.asarray(cohort.y)[:40])
    ck.save(bare, tmp_path / "m.crtkit")
    table = ck.predict(tmp_path / "m.crtkit", ecg_of(cohort, 1))
    assert table["risk"].iloc[0] == bare.predict_proba(X[1:2])[0, 1]
    folder = make_wfdb(n_records=1, seconds=10.0)
    read = ck.predict(tmp_path / "m.crtkit", folder / "r0.hea", max_bad_leads=None)
    assert np.isfinite(read["risk"].iloc[0])


@pytest.mark.parametrize("factor", [1000.0, 0.001])
def test_signals_of_another_unit_are_refused_by_their_height(bundle, cohort, factor):
    """Microvolt taken for millivolt: nothing in the shape tells."""
    table = ck.predict(bundle, ecg_of(cohort, 0, signal=factor * signal_of(cohort, 0)))
    assert table["abstained"].all()
    assert "outside twice or half of the training cohort" in table["reasons"].iloc[0]
    told = ck.predict(
        bundle,
        ecg_of(cohort, 0, signal=factor * signal_of(cohort, 0)),
        allow_outside=True,
        max_bad_leads=None,
    )
    assert not told["abstained"].any()


def test_nearly_nobody_of_the_same_kind_is_out_of_range(bundle, clinical):
    """Other patients of the same distribution: the measure must not refuse them."""
    others = ck.datasets.make_cohort("mori2025", n_patients=60, random_state=9)
    assert ck.predict(bundle, others)["reasons"].str.contains("outside").mean() < 0.05
    assert ck.predict(clinical, others)["reasons"].str.contains("outside").mean() < 0.1


def test_a_value_that_is_missing_costs_only_its_own_record(clinical, cohort):
    rows = cohort.X.iloc[:3].copy()
    rows.loc[rows.index[1], "age"] = np.nan
    table = ck.predict(clinical, rows)
    assert list(table["abstained"]) == [False, True, False]
    assert "the model refused it" in table["reasons"].iloc[1]


def test_pages_are_read_for_a_model_of_signals_that_takes_blanks(cohort, tmp_path):
    """The QRS of a printed page: no lead is there for ten seconds."""
    from PIL import Image
    from sklearn.impute import SimpleImputer

    rows = cohort.take(np.arange(24))
    model = make_pipeline(
        ck.Select("signal"),
        ck.QRSMeasurements(fs=500),
        SimpleImputer(keep_empty_features=True),
        LogisticRegression(max_iter=5000),
    ).fit(rows.X, rows.y)
    ck.save(model, tmp_path / "m.crtkit", cohort=rows)
    page = ck.ECGRenderer(fs=500, px_per_mm=7.874).fit_transform(signal_of(cohort, 0)[None])[0]
    Image.fromarray(page).save(tmp_path / "page.png")
    Image.fromarray(np.full((200, 300, 3), 255, np.uint8)).save(tmp_path / "blank.png")
    files = [tmp_path / "page.png", tmp_path / "blank.png", tmp_path / "absent.png"]
    table = ck.predict(tmp_path / "m.crtkit", files, digitizer=ck.ECGDigitizer())
    assert list(table["abstained"]) == [False, True, True]
    assert table["quality"].iloc[0] > 0.5
    assert "cannot be digitised" in table["reasons"].iloc[1]
    assert "no such file" in table["reasons"].iloc[2]


def test_an_ecg_as_csv_is_no_table(bundle, cohort, tmp_path):
    lines = [",".join(f"{v:.6f}" for v in sample) for sample in signal_of(cohort, 2).T]
    head = ["# fs: 500", "# unit: mV", ",".join(ck.signals.LEADS_12)]
    (tmp_path / "ecg.csv").write_text("\n".join([*head, *lines]))
    table = ck.predict(bundle, tmp_path / "ecg.csv")
    assert len(table) == 1
    assert np.isfinite(table["risk"].iloc[0])


def test_what_is_no_bundle_is_refused():
    with pytest.raises(TypeError, match="path of a bundle"):
        ck.predict(object(), "x.xml")


def test_rows_of_arrays_are_read_one_by_one(bundle, cohort, tmp_path):
    signals = np.stack([signal_of(cohort, row) for row in range(3)])
    np.save(tmp_path / "x.npy", signals)
    np.save(tmp_path / "short.npy", signals[:, :, :100])
    cells = ["x.npy#0", "absent.npy#0", "x.npy#9", "x.npy#two", "short.npy#0", "x.npy#2"]
    table = ck.predict(bundle, pd.DataFrame({"signal": [str(tmp_path / cell) for cell in cells]}))
    answered = table["risk"].notna().tolist()
    assert answered == [True, False, False, False, False, True]
    np.testing.assert_array_equal(
        table["risk"].iloc[[0, 5]], ck.predict(bundle, cohort.X.iloc[[0, 2]])["risk"]
    )
    for row, words in ((1, "cannot be read"), (2, "asks for row 9"), (4, "has shape (12, 100)")):
        assert words in table["reasons"].iloc[row]


def test_paths_under_another_name_count_from_the_tables_folder(bundle, cohort, tmp_path):
    np.save(tmp_path / "x.npy", np.stack([signal_of(cohort, row) for row in range(2)]))
    (tmp_path / "new.csv").write_text("ecg\nx.npy#0\nx.npy#1\n")
    table = ck.predict(bundle, tmp_path / "new.csv", columns={"ecg": "signal"})
    np.testing.assert_array_equal(table["risk"], ck.predict(bundle, cohort.X.iloc[:2])["risk"])


def test_a_table_of_polars_and_columns_that_repeat(clinical, cohort):
    polars = pytest.importorskip("polars")
    names = ["qrs_duration_ms", "age"]
    table = cohort.X[names].iloc[:4].reset_index(drop=True)
    expected = ck.predict(clinical, table)
    pd.testing.assert_frame_equal(ck.predict(clinical, polars.from_pandas(table)), expected)
    both = table.assign(QRS=table["qrs_duration_ms"])
    with pytest.raises(ValueError, match=r"column\(s\) \['qrs_duration_ms'\] more than once"):
        ck.predict(clinical, both, columns={"QRS": "qrs_duration_ms"})


def test_a_page_may_have_a_hash_in_its_name(tmp_path):
    from crtkit.persistence.records import gather

    (tmp_path / "page#1.png").write_bytes(b"x")
    contract = {"columns": ["image"], "fs": [], "unit": None, "shape": None}
    records = gather([tmp_path / "page#1.png", tmp_path / "page#2.png"], contract, None)
    assert records.reasons == [[], ["there is no such file"]]
