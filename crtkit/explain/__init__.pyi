from .attribution import (
    Attribution as Attribution,
    attribute as attribute,
    layers_without_rule as layers_without_rule,
)
from .waves import (
    plot_attribution as plot_attribution,
    signal_lead_share as signal_lead_share,
    wave_labels as wave_labels,
    wave_share as wave_share,
)
