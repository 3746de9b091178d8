from .conduction import (
    Criterion as Criterion,
    block_criteria as block_criteria,
    bundle_branch_block as bundle_branch_block,
)
from .delineate import QRSBounds as QRSBounds, qrs_bounds as qrs_bounds
from .detect import locate_qrs as locate_qrs
from .estimator import QRSMeasurements as QRSMeasurements
from .explain import BlockExplanation as BlockExplanation, explain_block as explain_block
from .measure import MEASUREMENTS as MEASUREMENTS, measure_qrs as measure_qrs
from .median_beats import MedianBeat as MedianBeat, median_beat as median_beat
from .pacing import find_pacing_spikes as find_pacing_spikes, remove_spikes as remove_spikes
from .plots import plot_median_beat as plot_median_beat, plot_vector_loop as plot_vector_loop
from .shapes import LeadWaves as LeadWaves, lead_waves as lead_waves
from .vcg import (
    complete_limb_leads as complete_limb_leads,
    frontal_axis as frontal_axis,
    kors_vcg as kors_vcg,
    qrs_area as qrs_area,
    vector_angle as vector_angle,
    wave_area as wave_area,
)
from .waves import p_onset as p_onset, t_end as t_end
