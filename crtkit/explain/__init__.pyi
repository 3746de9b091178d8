from .attribution import Attribution as Attribution, attribute as attribute
from .boxes import PageBoxes as PageBoxes, read_boxes as read_boxes
from .gradcam import grad_cam as grad_cam, overlay as overlay
from .layers import layers_without_rule as layers_without_rule
from .plots import plot_attribution as plot_attribution, plot_grad_cam as plot_grad_cam
from .regions import LeadShare as LeadShare, lead_masks as lead_masks, lead_share as lead_share
from .waves import (
    signal_lead_share as signal_lead_share,
    wave_labels as wave_labels,
    wave_share as wave_share,
)
