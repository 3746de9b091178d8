from .artefacts import ARTEFACTS as ARTEFACTS, spoil as spoil
from .layout import (
    EDAN_SE3 as EDAN_SE3,
    PageGeometry as PageGeometry,
    PageLayout as PageLayout,
    Strip as Strip,
    page_geometry as page_geometry,
    page_layout as page_layout,
)
from .renderer import ECGRenderer as ECGRenderer, render_page as render_page
from .sheet import LeadTrace as LeadTrace, PageTruth as PageTruth
