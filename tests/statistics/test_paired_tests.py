"""McNemar against statsmodels; permutation tests against counting every order, and their size."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.contingency_tables import mcnemar

from crtkit.metrics import roc_auc
from crtkit.statistics import mcnemar_test, permutation_test


@pytest.mark.parametrize("seed", range(5))
def test_mcnemar_is_statsmodels(seed):
    rng = np.random.default_rng(seed)
    y, a, b = rng.integers(0, 2, (3, 60))
    got = mcnemar_test(y, a, b).iloc[0]
    table = pd.crosstab(a == y, b == y)
    assert got["p_value"] == pytest.approx(mcnemar(table, exact=True).pvalue)
    assert got["difference"] == pytest.approx((a == y).mean() - (b == y).mean())
    assert got["p_smallest"] <= got["p_value"]


def test_mcnemar_of_equal_answers_and_bad_input():
    assert mcnemar_test(["a", "b"], ["a", "b"], ["a", "b"])["p_value"].iloc[0] == 1
    with pytest.raises(ValueError, match="one length"):
        mcnemar_test([0, 1], [0, 1], [0])


def test_permutations_are_counted_as_all_orders():
    y, score = np.array([0, 0, 0, 1, 1, 1]), np.array([0.1, 0.4, 0.2, 0.3, 0.8, 0.9])
    observed = roc_auc(y, score)
    every = [roc_auc(np.array(order), score) >= observed for order in permutations(y)]
    got = permutation_test(y, score).iloc[0]
    assert got["exact"]
    assert got["p_value"] == pytest.approx(np.mean(every), rel=1e-12)
    assert got["p_smallest"] == 1 / 20
    assert got["auc_a"] == pytest.approx(observed)
    drawn = permutation_test(y, score, n_permutations=19, random_state=0).iloc[0]
    assert not drawn["exact"]
    assert drawn["p_smallest"] == 1 / 20


def test_exchanges_are_counted_as_all_sets():
    rng = np.random.default_rng(3)
    y, a, b = np.arange(8) % 2, rng.permutation(8), rng.permutation(8)
    apart = []
    for k in range(2**8):
        swap = np.array([(k >> i) & 1 for i in range(8)], dtype=bool)
        apart.append(roc_auc(y, np.where(swap, b, a)) - roc_auc(y, np.where(swap, a, b)))
    observed = abs(roc_auc(y, a) - roc_auc(y, b))
    got = permutation_test(y, a, b).iloc[0]
    assert got["p_value"] == pytest.approx(np.mean(np.abs(apart) >= observed - 1e-12))
    assert got["p_smallest"] == 2 / 256


def test_the_tests_keep_their_size_by_patient():
    """Records of a patient are alike: by record the error would be many times five per cent."""
    rng = np.random.default_rng(0)
    wrong = {"one": 0, "two": 0}
    for k in range(200):
        label = rng.permutation(np.arange(24) % 2)
        patient = np.repeat(np.arange(24), 5)
        a, b = (rng.normal(size=24)[patient] + 0.1 * rng.normal(size=120) for _ in range(2))
        options = {"groups": patient, "n_permutations": 99, "random_state": k}
        wrong["one"] += permutation_test(label[patient], a, **options)["p_value"].iloc[0] <= 0.05
        wrong["two"] += permutation_test(label[patient], a, b, **options)["p_value"].iloc[0] <= 0.05
    assert wrong["one"] <= 22
    assert wrong["two"] <= 22


def test_a_better_score_is_found_and_two_labels_are_refused():
    rng = np.random.default_rng(1)
    y = np.arange(100) % 2
    good, poor = y + 0.5 * rng.normal(size=100), rng.normal(size=100)
    row = permutation_test(y, good, poor, n_permutations=199, random_state=0).iloc[0]
    assert row["p_value"] == row["p_smallest"] == 1 / 200
    with pytest.raises(ValueError, match="each must have one label"):
        permutation_test(y, good, groups=np.zeros(100))
    with pytest.raises(ValueError, match="finite scores"):
        permutation_test(y, [np.nan] * 100)


def test_answers_of_another_type_than_the_truth_are_refused():
    """1 and "1" are never equal: both models would be wrong on everybody, and p would be 1."""
    with pytest.raises(ValueError, match="mixed types"):
        mcnemar_test([1, 0, 1], ["1", "0", "1"], ["0", "0", "1"])
