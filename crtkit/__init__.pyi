from . import (
    datasets as datasets,
    evaluation as evaluation,
    explain as explain,
    guidelines as guidelines,
    images as images,
    metrics as metrics,
    neural as neural,
    persistence as persistence,
    readers as readers,
    resampling as resampling,
    signals as signals,
    spect as spect,
    statistics as statistics,
    studies as studies,
    testing as testing,
)
from .cohort import Cohort as Cohort, Select as Select, read_manifest as read_manifest
from .evaluation import evaluate as evaluate
from .guidelines import GuidelineClassifier as GuidelineClassifier
from .images import (
    ECGDigitizer as ECGDigitizer,
    ECGRenderer as ECGRenderer,
    IdentityEraser as IdentityEraser,
    JPEGLoader as JPEGLoader,
    SpectrogramImager as SpectrogramImager,
)
from .neural import (
    AutoencoderFeatures as AutoencoderFeatures,
    ECGFMClassifier as ECGFMClassifier,
    ECGFMPretraining as ECGFMPretraining,
    FCNClassifier as FCNClassifier,
    InceptionTimeClassifier as InceptionTimeClassifier,
    LSTMFCNClassifier as LSTMFCNClassifier,
    ResNet1dClassifier as ResNet1dClassifier,
    ResNetClassifier as ResNetClassifier,
    SimCLR as SimCLR,
)
from .persistence import (
    card as card,
    load as load,
    predict as predict,
    save as save,
)
from .signals import (
    LeadFilter as LeadFilter,
    LeadSplicer as LeadSplicer,
    LeadStatistics as LeadStatistics,
    QRSMeasurements as QRSMeasurements,
    Resampler as Resampler,
    STFTTransformer as STFTTransformer,
)
from .spect import PhaseAnalysis as PhaseAnalysis, PhaseStatistics as PhaseStatistics
from .statistics import UnivariateScreen as UnivariateScreen

__version__: str
