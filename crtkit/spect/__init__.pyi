from .circular import (
    circular_mean as circular_mean,
    circular_sd as circular_sd,
    histogram_bandwidth as histogram_bandwidth,
    phase_bandwidth as phase_bandwidth,
    phase_entropy as phase_entropy,
    phase_histogram as phase_histogram,
    phase_moments as phase_moments,
    wrap_degrees as wrap_degrees,
)
from .harmonics import (
    harmonic_coefficients as harmonic_coefficients,
    phase_and_amplitude as phase_and_amplitude,
)
from .phase import PhaseAnalysis as PhaseAnalysis
from .segments import aha_segments as aha_segments
from .statistics import PhaseStatistics as PhaseStatistics, phase_statistics as phase_statistics
