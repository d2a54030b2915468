"""The wing of the course: exercises, verdicts, the ledger of claims, widgets and grading. Only the lessons need it."""

from . import ledger
from .exercises import check
from .verdicts import short, verdict

__all__ = ["check", "ledger", "short", "verdict"]
