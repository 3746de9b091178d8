"""The standard twelve leads in their order, and which leads of a record are missing."""

from crtkit._leads import LEADS_12, missing_leads

__all__ = ["LEADS_12", "missing_leads"]
