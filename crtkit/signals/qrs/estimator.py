"""QRS duration, LBBB and QRS area as features: the rule every model must beat."""

import warnings
from collections.abc import Sequence
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from crtkit._validation import as_leads, check_records, iter_blocks
from crtkit.signals.qrs.conduction import GUIDELINES
from crtkit.signals.qrs.measure import MEASUREMENTS, measure_parts
from crtkit.signals.qrs.record import names_of_leads, record_parts

BLOCK = 32


class QRSMeasurements(TransformerMixin, BaseEstimator):
    """Measure the QRS complex of every record on its median beat, over all leads.

    Nothing is learned: ``fit`` remembers the shape of a record and checks the lead names.

    Parameters
    ----------
    fs : float, default=500
        Sampling rate in hertz, at least 100. Below 250 Hz the complex is rounded off and some 5 to
        20 ms too long; spikes of a pacemaker are looked for from 250 Hz on.
    lead_names : sequence of str, default=None
        Names of the leads. None takes I, II, … V6 for twelve leads; any other number of leads
        is then unnamed, and only what needs no names is measured. Not used for 2-D input, which
        is one nameless lead.
    male : bool, default=None
        Sex of all patients, for the QRS duration that strict LBBB asks for: 140 ms for True and
        for None, 130 ms for False.
    lbbb : {"conventional", "strict"}, default="conventional"
        Criteria behind the column ``lbbb``, which the guideline rules read.
    guideline : {"AHA2009", "AHA2009-summit", "ESC2013"}, default="AHA2009"
        Variant of the criteria of block, see :func:`crtkit.signals.bundle_branch_block`.
    agreement : int, default=2
        Leads that must agree on QRS onset and offset, see :func:`crtkit.signals.qrs_bounds`.
    measurements : sequence of str, default=None
        Names of the columns to return, in order; None takes all of :data:`MEASUREMENTS`.
    n_jobs : int, default=None
        Workers of joblib.

    Attributes
    ----------
    shape_in_ : tuple of int
        Shape of one record: (n_leads, n_samples) or (n_samples,).
    n_features_in_ : int
        Number of leads; of samples for 2-D input.
    feature_names_in_ : ndarray of str
        Columns, when X was a DataFrame with string column names.

    See Also
    --------
    crtkit.signals.measure_qrs : one record, with the reason of every NaN.
    crtkit.signals.median_beat, crtkit.signals.qrs_bounds : the steps.
    crtkit.GuidelineClassifier : rules on these columns; it follows in a pipeline as it is.
    crtkit.guidelines.measure_cohort : add columns to the table of a cohort.

    Notes
    -----
    Columns by the leads they need. NaN stands where one cannot be measured; :meth:`reasons` says
    why. A limb lead that is missing is computed from any two others.

    Any leads, named or not:

    - ``heart_rate_bpm``: from the mean interval of all beats; two beats at least.
    - ``qrs_duration_ms``: global, from where two leads leave their surroundings to where two are
      back, as machines print it (``agreement``); fewer leads see a shorter QRS. The thresholds of
      guidelines (120, 130, 150 ms) belong to this one.
    - ``qrs_duration_any_ms``: from the earliest onset to the latest offset of any one lead, to the
      letter of the definition; longer, and it follows noise.
    - ``qrs_duration_median_ms``: from the median onset to the median offset of single leads, as
      readers mark them; shorter in noise.
    - ``qrs_onset_ms, qrs_offset_ms``: of the first beat used, from the start of the record.
    - ``pr_ms``: P onset to QRS onset; NaN without a P wave.
    - ``qt_ms, qtc_ms``: QTc by Fridericia.
    - ``paced``: a spike starts at least half of the beats used, or two beats follow, at the same
      interval, spikes that stand out by themselves (intermittent or atrial pacing).
    - ``n_beats, n_beats_used``: found; averaged, with ectopic beats left out.
    - ``noise_uv``: left in the median beat, median over leads.
    - ``qrs_confidence``: 0 to 1, agreement of the leads on onset and offset.
    - ``quality``: 0 to 1, share of beats used x their correlation x agreement of leads x share of
      the record in which any lead was recorded; a quarter of it where a measurement is one that
      no heart has.

    Any two limb leads: ``qrs_axis_deg``, from net QRS areas in I and aVF.

    I, II and V1 to V6 (any limb leads that give I and II):

    - ``qrs_area_uVs, qrs_area_x_uVs, …_y_…, …_z_…``: Kors; zero before the complex.
    - ``qrs_azimuth_deg, qrs_elevation_deg``: of the area; from left (0) to the back (90), and down.
    - ``qrst_angle_deg``: between the areas of QRS and T.

    Certain leads:

    - ``rpeak_time_v5_ms, rpeak_time_v6_ms``: QRS onset to the last summit of R; V5, V6.
    - ``lbbb_score, rbbb_score``: how clearly the conventional criteria are met, from 0 to 1.
    - ``lbbb_conventional``: V1, V2 and three of I, aVL, V5, V6; ``lbbb_strict``: V1, V2 and four of
      these six; ``rbbb``: V1 and I or V6; ``ivcd``: both; ``notched_leads``: number of leads with a
      mid-QRS notch or slur. See :func:`crtkit.signals.bundle_branch_block`. 0 where paced, and 0
      without any named lead that decides if the QRS is too short.
    - ``lbbb``: one of the two, by the parameter ``lbbb``.
    - ``arm_leads_swapped``: I and V6. Where it is 1 it is sure; behind a deviant axis, or a
      terminal S in I, a swap is missed.
    - ``r_<lead>_mv, s_<lead>_mv``: tallest positive and deepest later negative wave;
      ``notch_<lead>, slur_<lead>``: 0 or 1; that lead.

    A complex of over 200 ms that was found with a quality under 0.2, and any of over 280 ms, is not
    believed: a P or T wave may be joined to it. All but rate, pacing and quality is NaN then, with
    that reason.

    Where arm leads are swapped, limb leads are measured as they are recorded. Amplitudes, areas
    and notches are of the signal's gain; durations and angles do not depend on it.

    References
    ----------
    See :func:`crtkit.signals.bundle_branch_block`, :func:`crtkit.signals.kors_vcg` and
    :func:`crtkit.signals.qrs_area`.

    Examples
    --------
    >>> from crtkit import QRSMeasurements
    >>> from crtkit.datasets import simulate_ecg
    >>> signal, truth = simulate_ecg("lbbb", 164, random_state=0)
    >>> model = QRSMeasurements(fs=500).set_output(transform="pandas")
    >>> table = model.fit_transform(signal[None])
    >>> bool(abs(table["qrs_duration_ms"][0] - 164) < 8), float(table["lbbb"][0])
    (True, 1.0)
    """

    _parameter_constraints = {
        "fs": [Interval(Real, 100, None, closed="left")],
        "lead_names": ["array-like", None],
        "male": ["boolean", None],
        "lbbb": [StrOptions({"conventional", "strict"})],
        "guideline": [StrOptions(set(GUIDELINES))],
        "agreement": [Interval(Integral, 1, 12, closed="both")],
        "measurements": ["array-like", None],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        *,
        fs=500,
        lead_names=None,
        male=None,
        lbbb="conventional",
        guideline="AHA2009",
        agreement=2,
        measurements=None,
        n_jobs=None,
    ) -> None:
        self.fs = fs
        self.lead_names = lead_names
        self.male = male
        self.lbbb = lbbb
        self.guideline = guideline
        self.agreement = agreement
        self.measurements = measurements
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None) -> "QRSMeasurements":
        """Remember the shape of a record.

        Parameters
        ----------
        X : array-like or Rows of shape (n_records, n_leads, n_samples) or (n_records, n_samples)
            Millivolt, unfiltered; NaN is missing.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Unknown measurements, lead names that do not fit, infinity, wrong axes.
        """
        check_records(self, X, kind="signals", reset=True, finite="allow-nan")
        unknown = [name for name in self._columns() if name not in MEASUREMENTS]
        if unknown:
            raise ValueError(
                f"QRSMeasurements expects names from crtkit.signals.MEASUREMENTS, got {unknown}."
            )
        self._names()
        return self

    def transform(self, X) -> np.ndarray:
        """Measure records.

        Parameters
        ----------
        X : array-like or Rows of shape (n_records, n_leads, n_samples) or (n_records, n_samples)
            Signals with the fitted number of leads; their length may differ.

        Returns
        -------
        ndarray of shape (n_records, n_measurements), or DataFrame
            As ``set_output`` asks.
        """
        columns = self._columns()
        records = self.measure(X)
        return np.array([[record[name] for name in columns] for record in records]).reshape(
            len(records), len(columns)
        )

    def reasons(self, X) -> list[dict[str, str]]:
        """Why measurements of records are NaN.

        Parameters
        ----------
        X : array-like or Rows
            As in :meth:`transform`.

        Returns
        -------
        list of dict of str to str
            For each record, the reason by measurement.
        """
        columns = set(self._columns())
        return [
            {name: why for name, why in record["reasons"].items() if name in columns}
            for record in self.measure(X)
        ]

    def measure(self, X) -> list[dict]:
        """Measurements of records with the reasons of what is NaN, in one pass.

        Parameters
        ----------
        X : array-like or Rows
            As in :meth:`transform`.

        Returns
        -------
        list of dict
            For each record, what :func:`crtkit.signals.measure_qrs` returns, whichever columns
            were chosen.

        Raises
        ------
        ValueError
            Not (n_records, n_leads, n_samples).
        """
        check_is_fitted(self)
        X = check_records(self, X, kind="signals", reset=False, free_axes=(2,), finite="allow-nan")
        options = {
            "male": self.male,
            "lbbb": self.lbbb,
            "guideline": self.guideline,
            "agreement": self.agreement,
        }
        # Blocks, not records: the start of a task costs as much as a measurement.
        blocks = Parallel(n_jobs=self.n_jobs)(
            delayed(_measure_block)(as_leads(block), self.fs, self._names(), options)
            for _, block in iter_blocks(X, BLOCK, finite="allow-nan")
        )
        pairs = [pair for block in blocks for pair in block]
        # One warning for all records: a wrong rate makes every one of them strange.
        strange = [(i, why) for i, (_, why) in enumerate(pairs) if why]
        if strange:
            first, why = strange[0]
            warnings.warn(
                f"QRSMeasurements found implausible values in {len(strange)} of {len(pairs)} "
                f"records (record {first}: {'; '.join(why)}); their quality is lowered. For many, "
                f"check fs={self.fs:g} and the unit of the signals (millivolt is expected).",
                stacklevel=2,
            )
        return [record for record, _ in pairs]

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Names of the measurements.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Only checked, for 2-D input: must equal ``feature_names_in_`` where that exists.

        Returns
        -------
        ndarray of str objects
        """
        check_is_fitted(self)
        if input_features is not None:
            fitted = getattr(self, "feature_names_in_", None)
            if fitted is not None and not np.array_equal(
                fitted, np.asarray(input_features, object)
            ):
                raise ValueError("input_features is not equal to feature_names_in_")
            # A step before, such as Select, may name one column of signals of many leads.
            if len(self.shape_in_) == 1 and len(input_features) != self.n_features_in_:
                raise ValueError(
                    "input_features should have length equal to number of features "
                    f"({self.n_features_in_}), got {len(input_features)}"
                )
        return np.asarray(self._columns(), dtype=object)

    def _columns(self) -> list[str]:
        return list(MEASUREMENTS if self.measurements is None else self.measurements)

    def _names(self) -> Sequence[str] | None:
        if len(self.shape_in_) == 1:
            return None
        return names_of_leads(self.lead_names, self.shape_in_[0])

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _measure_block(block, fs, names, options) -> list[tuple[dict, list[str]]]:
    # One thread, so that the bits depend neither on the machine nor on the caller's setting; more
    # would only get in each other's way on arrays this small.
    with threadpool_limits(1):
        return [measure_parts(*record_parts(record, fs, names), **options) for record in block]
