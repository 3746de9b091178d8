"""What holds of every study: pipelines, printed figures and remarks under the same names."""

import inspect

import pandas as pd
import pytest
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

import crtkit as ck
from crtkit.metrics import SCORERS
from crtkit.studies import run

ODDS = {"odds_ratio", "ci_low", "ci_high", "p_value"}
BEST = {"roc_auc_best_seed"}


@pytest.fixture(params=run.STUDIES)
def study(request):
    return getattr(ck.studies, request.param)


def test_every_study_of_the_package_can_be_run():
    assert sorted(ck.studies.__all__) == sorted(run.STUDIES)
    for name in run.STUDIES:
        module = run.study_module(name)
        assert callable(module.run)
        assert callable(module.add_arguments)


def test_pipelines_are_unfitted_classifiers_by_name(study):
    models = study.pipelines()
    assert len(models) >= 3
    for name, model in models.items():
        assert isinstance(name, str)
        assert is_classifier(clone(model))
        with pytest.raises(NotFittedError):
            check_is_fitted(model)
    kinds = {p.kind for p in inspect.signature(study.pipelines).parameters.values()}
    assert kinds == {inspect.Parameter.KEYWORD_ONLY}


def test_printed_figures_are_indexed_by_model_in_the_vocabulary_of_the_metrics(study):
    table = study.PUBLISHED
    assert isinstance(table, pd.DataFrame)
    assert table.index.names[0] == "model"
    assert table.index.is_unique
    assert table.notna().any(axis=None)
    if set(table.columns) == ODDS:
        assert (table["ci_low"] <= table["ci_high"]).all()
        return
    metrics = {name.removesuffix("_sd") for name in set(table.columns) - BEST}
    assert metrics <= set(SCORERS)
    assert table.stack().between(0, 1).all()  # per cent nowhere


def test_printed_models_are_those_of_the_pipelines(study):
    if study is ck.studies.he2021:
        pytest.skip("its printed models are logistic regressions on features of another fit")
    given = {
        "mori2025": {"weights": "resnet18.pth"},
        "he2023": {"weights": dict.fromkeys(ck.studies.he2023.DEPTHS, "resnet.safetensors")},
        "lvsd2026": {"checkpoint": "pretrained.pt", "finetuned_checkpoint": "finetuned.pt"},
    }
    names = list(study.pipelines(**given[study.__name__.rpartition(".")[2]]))
    printed = list(dict.fromkeys(study.PUBLISHED.index.get_level_values("model")))
    # The printed Sq-PF does not say how many layers train.
    unnamed = {"ECG-FM (Sq-PF)"}
    assert set(printed) - set(names) <= unnamed
    shared = [name for name in printed if name in names]
    assert shared == printed or set(printed) - set(shared) == unnamed


def test_table_1_is_text_as_printed(study):
    table = study.PUBLISHED_TABLE1
    assert table.index.name == "variable"
    assert table.index.is_unique
    assert {"kind", "p"} <= set(table.columns)
    assert table.index[0] == "n"
    for column in table:
        assert table[column].dropna().map(type).eq(str).all()


def test_remarks_are_sentences(study):
    assert isinstance(study.REMARKS, tuple)
    assert len(study.REMARKS) >= 5
    assert all(text.endswith(".") and len(text) > 40 for text in study.REMARKS)


def test_an_unknown_size_is_named(study):
    with pytest.raises(ValueError, match=r"size must be one of .*'small'.*, got 'huge'"):
        study.pipelines(size="huge")
