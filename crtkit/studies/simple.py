"""Two simple models that every ECG study is compared with: logistic regression on features.

A network that does not beat them has learnt nothing that a table of measurements does not hold.
"""

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from crtkit.cohort import Cohort, Select
from crtkit.signals import LeadStatistics, QRSMeasurements

#: Names of the rows, and the column of features that each reads.
ROWS = {"Logistic on measurements": "measurements", "Logistic on 60 statistics": "statistics"}


def with_features(cohort, n_jobs=None):
    """Cohort with a column of QRS measurements and one of lead statistics.

    Neither is learned from the cohort, so both are computed once, for all fits.

    Parameters
    ----------
    cohort : Cohort
        With ``signal`` (12 leads, millivolt) and ``info["sampling_rate"]``.
    n_jobs : int, optional
        Processes that measure.

    Returns
    -------
    Cohort
        The same cohort where its signals have other than twelve leads, or where it has none.

    Examples
    --------
    >>> from crtkit.datasets import make_cohort
    >>> from crtkit.studies.simple import with_features
    >>> cohort = with_features(make_cohort("mori2025", n_patients=4, random_state=0))
    >>> cohort.X["statistics"].iloc[0].shape
    (60,)
    """
    if "signal" not in cohort.X:
        return cohort
    signals = Select("signal").fit_transform(cohort.X)
    # Measurements need named standard leads; a single lead or a splice has none.
    if signals.ndim != 3 or signals.shape[1] != 12:
        return cohort
    fs = cohort.info["sampling_rate"]
    features = {
        "measurements": QRSMeasurements(fs=fs, n_jobs=n_jobs).fit_transform(signals),
        "statistics": LeadStatistics().fit_transform(signals),
    }
    cells = {
        name: pd.Series(list(np.asarray(values, dtype=float)), index=cohort.X.index, dtype=object)
        for name, values in features.items()
    }
    return Cohort(cohort.X.assign(**cells), cohort.y, cohort.groups, cohort.info)


def pipelines():
    """Logistic regression on QRS measurements, and on 60 lead statistics.

    Returns
    -------
    dict of str to Pipeline
        Unfitted; each takes the ``X`` of a cohort from :func:`with_features`. The penalty is ours
        (C = 0.1), as both studies with few patients need one; missing measurements become the
        training median.

    Examples
    --------
    >>> from crtkit.studies import simple
    >>> list(simple.pipelines())
    ['Logistic on measurements', 'Logistic on 60 statistics']
    """
    return {
        name: make_pipeline(
            Select(column),
            # A measurement that no training patient has, QRS area without V leads say, must keep
            # its place.
            SimpleImputer(strategy="median", keep_empty_features=True),
            StandardScaler(),
            LogisticRegression(C=0.1, max_iter=2000),
        )
        for name, column in ROWS.items()
    }
