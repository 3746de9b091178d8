"""The standard twelve leads, in the order every crtkit array has them."""

from crtkit._leads import LEADS_12

__all__ = ["LEADS_12"]
