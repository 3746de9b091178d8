from .digitize.estimator import ECGDigitizer as ECGDigitizer
from .digitize.page import digitize_page as digitize_page
from .digitize.plot import plot_digitised as plot_digitised
from .digitize.reading import LeadStrip as LeadStrip, PageReading as PageReading
from .files import (
    UnreadableImageError as UnreadableImageError,
    UnreadableImageWarning as UnreadableImageWarning,
    check_images as check_images,
    load_image as load_image,
    load_images as load_images,
)
from .identity import (
    IdentityEraser as IdentityEraser,
    erase_identity as erase_identity,
    find_grid as find_grid,
)
from .loader import JPEGLoader as JPEGLoader
from .render.artefacts import ARTEFACTS as ARTEFACTS, spoil as spoil
from .render.layout import (
    EDAN_SE3 as EDAN_SE3,
    PageGeometry as PageGeometry,
    PageLayout as PageLayout,
    Strip as Strip,
    page_geometry as page_geometry,
    page_layout as page_layout,
)
from .render.renderer import ECGRenderer as ECGRenderer, render_page as render_page
from .render.sheet import LeadTrace as LeadTrace, PageTruth as PageTruth
from .spectrogram import SpectrogramImager as SpectrogramImager
