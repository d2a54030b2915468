"""The exercises of the lessons: `check("01.1", answer)` prints "passed", "not attempted yet", or what is wrong.

A check compares an answer with closed forms and properties, never with stored numbers, so every right answer passes
however it is written. The checks of lesson NN are in lesson_NN.py, in its dictionary CHECKS.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

from .judge import judge

CHECKS: dict[str, Callable[[Any], None]] = {}
for _found in pkgutil.iter_modules(__path__):
    if _found.name.startswith("lesson_"):
        CHECKS |= importlib.import_module(f"{__name__}.{_found.name}").CHECKS


def check(exercise: str, answer: Any) -> None:
    """Print the verdict on an answer, which is a value or a function. ValueError if there is no such exercise."""
    if exercise not in CHECKS:
        raise ValueError(f"exercise must be one of {', '.join(CHECKS)}, got {exercise!r}")
    print(f"Exercise {exercise}: {judge(CHECKS[exercise], answer)}")
