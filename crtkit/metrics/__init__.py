"""Metrics of a two-class answer, from counts, with one policy for what is undefined: nan.

A ratio whose denominator is zero (the PPV of a model that calls nobody positive, the AUC of a fold
with one class) is ``nan``: never 0, never 1, never a warning. Average with ``numpy.nanmean`` and
say how many values were defined, as :func:`crtkit.evaluate` does.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
