"""The lessons' exercises: `check("01.1", answer)` says "passed", "not attempted yet", or what is wrong.

A check compares with closed forms and properties, never with stored numbers: any right answer passes.
"""

from __future__ import annotations

from typing import Any

from . import lesson_00, lesson_01
from .judge import judge

CHECKS = {**lesson_00.CHECKS, **lesson_01.CHECKS}


def check(exercise: str, answer: Any) -> None:
    """Print the verdict on an answer, a value or a function. ValueError if there is no such exercise."""
    if exercise not in CHECKS:
        raise ValueError(f"exercise must be one of {', '.join(CHECKS)}, got {exercise!r}")
    print(f"Exercise {exercise}: {judge(CHECKS[exercise], answer)}")
