from .beats import (
    detect_r_peaks as detect_r_peaks,
    match_beats as match_beats,
    score_r_peaks as score_r_peaks,
)
from .filters import (
    LeadFilter as LeadFilter,
    Resampler as Resampler,
    design_filter as design_filter,
    filter_leads as filter_leads,
    resample_leads as resample_leads,
)
from .leads import LEADS_12 as LEADS_12
from .quality import (
    QUALITY_LIMITS as QUALITY_LIMITS,
    quality_counts as quality_counts,
    signal_quality as signal_quality,
    usable_records as usable_records,
)
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
