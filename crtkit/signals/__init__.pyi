from .aggregate import aggregate_by_group as aggregate_by_group
from .beats import Beats as Beats, NoBeatsError as NoBeatsError, cut_beats as cut_beats
from .filters import (
    LeadFilter as LeadFilter,
    design_filter as design_filter,
    filter_leads as filter_leads,
)
from .gaps import GapFiller as GapFiller
from .leads import LEADS_12 as LEADS_12, missing_leads as missing_leads
from .mains import subtract_mains as subtract_mains
from .qrs.conduction import (
    Criterion as Criterion,
    block_criteria as block_criteria,
    bundle_branch_block as bundle_branch_block,
)
from .qrs.delineate import QRSBounds as QRSBounds, qrs_bounds as qrs_bounds
from .qrs.detect import locate_qrs as locate_qrs
from .qrs.estimator import QRSMeasurements as QRSMeasurements
from .qrs.explain import BlockExplanation as BlockExplanation, explain_block as explain_block
from .qrs.files import ecg_files as ecg_files, measure_files as measure_files
from .qrs.measure import MEASUREMENTS as MEASUREMENTS, measure_qrs as measure_qrs
from .qrs.median_beats import MedianBeat as MedianBeat, median_beat as median_beat
from .qrs.pacing import find_pacing_spikes as find_pacing_spikes, remove_spikes as remove_spikes
from .qrs.plots import plot_median_beat as plot_median_beat, plot_vector_loop as plot_vector_loop
from .qrs.shapes import LeadWaves as LeadWaves, lead_waves as lead_waves
from .qrs.vcg import (
    complete_limb_leads as complete_limb_leads,
    frontal_axis as frontal_axis,
    kors_vcg as kors_vcg,
    qrs_area as qrs_area,
    vector_angle as vector_angle,
    wave_area as wave_area,
)
from .qrs.waves import p_onset as p_onset, t_end as t_end
from .quality import (
    ACCEPTABLE_SCORE as ACCEPTABLE_SCORE,
    QUALITY_LIMITS as QUALITY_LIMITS,
    quality_counts as quality_counts,
    quality_score as quality_score,
    signal_quality as signal_quality,
    usable_records as usable_records,
)
from .r_peaks import (
    detect_r_peaks as detect_r_peaks,
    match_beats as match_beats,
    score_r_peaks as score_r_peaks,
)
from .resample import Resampler as Resampler, resample_leads as resample_leads
from .rocket import MiniRocketFeatures as MiniRocketFeatures
from .segments import segment_beats as segment_beats
from .splice import (
    SPLICE_LAYOUTS as SPLICE_LAYOUTS,
    LeadSplicer as LeadSplicer,
    splice_leads as splice_leads,
)
from .statistics import LeadStatistics as LeadStatistics, lead_statistics as lead_statistics
from .stft import (
    STFTTransformer as STFTTransformer,
    count_frames as count_frames,
    spectrogram as spectrogram,
)
