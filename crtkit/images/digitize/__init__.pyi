from .estimator import ECGDigitizer as ECGDigitizer
from .page import digitize_page as digitize_page
from .reading import LeadStrip as LeadStrip, PageReading as PageReading
