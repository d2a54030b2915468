"""What only the lessons need: exercises, grading, verdicts, the ledger of claims, a gallery, widgets."""

from . import gallery, ledger
from .exercises import check
from .verdicts import confirm, short, verdict

__all__ = ["check", "confirm", "gallery", "ledger", "short", "verdict"]
