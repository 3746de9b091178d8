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
from .dicom import GatedSPECT as GatedSPECT, read_gated_spect as read_gated_spect
from .harmonics import (
    harmonic_coefficients as harmonic_coefficients,
    phase_and_amplitude as phase_and_amplitude,
)
from .phase import PhaseAnalysis as PhaseAnalysis
from .plots import (
    plot_phase_histogram as plot_phase_histogram,
    plot_polar_map as plot_polar_map,
    plot_segments as plot_segments,
)
from .polar import (
    Ventricle as Ventricle,
    find_ventricle as find_ventricle,
    sample_polar_maps as sample_polar_maps,
)
from .segments import aha_segments as aha_segments
from .statistics import PhaseStatistics as PhaseStatistics, phase_statistics as phase_statistics
