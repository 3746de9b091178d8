"""A module of "the user's own", as a bundle sees it."""

import sys
import types

import pytest
from sklearn.base import BaseEstimator, TransformerMixin


@pytest.fixture(autouse=True)
def own_module(monkeypatch):
    module = types.ModuleType("tests_own_estimator")

    class Shift(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            self.mean_ = X.mean(axis=0)
            return self

        def transform(self, X):
            return X - self.mean_

    Shift.__module__, Shift.__qualname__ = "tests_own_estimator", "Shift"
    module.Shift = Shift
    monkeypatch.setitem(sys.modules, "tests_own_estimator", module)
