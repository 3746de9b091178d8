"""Published models of CRT response as scikit-learn estimators, judged by patient.

Nothing heavy is imported here: every public name is resolved on first use, and
``__init__.pyi`` is both the list of names and what an IDE reads.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = "0.2.0"
