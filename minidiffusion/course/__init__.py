"""The part of the package that only the lessons need: exercises, grading, verdicts, the ledger of claims, widgets."""

from . import ledger
from .exercises import check
from .verdicts import short, verdict

__all__ = ["check", "ledger", "short", "verdict"]
