"""Grade a student's copy of a lesson with the installed checks, in a separate process.

`grade(path)` reads the copy, runs the cells that the answers need, and checks the objects that the names in the
lesson's exercises then refer to. What the copy prints, or has printed, is ignored.

**What can go wrong in a copy, and what the grader does.** If a cell crashes, the grader notes it and runs the next one.
If a cell or an answer takes too long or ends Python, the grader stops it, and a new process runs the rest without it.
Output is discarded. Changes that a notebook makes to `md`, to the checks or to PyTorch's functions do not reach the
verdict: the checks are imported before the first cell, what they rely on is restored before each check and after each
call of the answer, and verdicts travel through a pipe of their own, each with a random number. It does not matter
whether check calls in the copy are deleted, moved or edited, because the grader makes its own.

**What it does not protect against.** It is no sandbox: the copy runs with your rights, on your files and network, so
grade strangers' work in a container. Within one process, nothing is out of reach for someone who goes through Python's
frames, its garbage collector or `ctypes` to write into the grader itself. And the solutions are a click away in every
lesson: a pass says that the answer is right, not who found it.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from .notebook import Cell, Stub, anchors, lesson_of, needed, read, stubs
from .worker import Ended, Process

__all__ = ["grade"]
PACKAGE = Path(__file__).parents[1]


def grade(path: Path, lessons: Path, seconds: float = 60.0, run_all: bool = False) -> dict[str, Any]:
    """Run a copy and judge its exercises.

    lessons: the folder with the original lessons. seconds: the time limit for each cell and for each check; the whole
    copy has ten times as long. run_all: run every cell up to the last exercise, not only those that an answer needs.

    Returns {"notebook", "lesson", "passed", "of", "exercises": [{"exercise", "verdict", "why", "cell"}, ...],
    "errors": [{"cell", "error"}, ...], "put_back": [what the copy changed in the installed packages]}. A verdict is
    "passed", "not attempted yet" or "not yet". Only code cells are counted, from 1.

    Raises ValueError if `path` is not a copy of a lesson, ImportError without Jupyter, and RuntimeError if the copy
    changed the files of the checks.
    """
    cells = read(path)
    lesson, handed_out = lesson_of(path, cells, lessons)
    exercises = stubs(read(handed_out))
    sheet = Sheet([cell for cell in cells if cell.code], exercises, seconds, run_all)
    sheet.fill()
    if not run_all and any("NameError" in found["why"] for found in sheet.verdicts.values()):
        sheet = Sheet(sheet.cells, exercises, seconds, run_all=True)  # the cell of the name may have been left out
        sheet.fill()
    found = [{"exercise": exercise, **sheet.verdicts[exercise]} for exercise in exercises]
    return {
        "notebook": str(path),
        "lesson": lesson,
        "passed": sum(one["verdict"] == "passed" for one in found),
        "of": len(found),
        "exercises": found,
        "errors": [{"cell": number + 1, "error": error} for number, error in sorted(sheet.errors.items())],
        "put_back": sorted(sheet.put_back),
    }


class Sheet:
    """The verdicts on one copy, filled in as its cells run."""

    def __init__(self, cells: list[Cell], exercises: dict[str, Stub], seconds: float, run_all: bool):
        self.cells, self.exercises, self.seconds, self.run_all = cells, exercises, seconds, run_all
        self.anchors = anchors(cells, exercises)
        self.verdicts: dict[str, dict[str, Any]] = {}
        self.errors: dict[int, str] = {}
        self.lost: set[int] = set()  # cells that ended their process
        self.put_back: set[str] = set()
        self.end = time.monotonic() + 10 * seconds

    def fill(self) -> None:
        """Judge every exercise, starting a new process whenever one is lost."""
        for exercise, stub in self.exercises.items():
            if exercise not in self.anchors:
                self.say(exercise, "not yet", f"no cell defines `{stub.expression}`.")
        before = self.fingerprint()
        while left := {name: self.anchors[name] for name in self.exercises if name not in self.verdicts}:
            if time.monotonic() > self.end:
                for exercise in left:
                    self.say(exercise, "not yet", f"the copy has used up its {10 * self.seconds:g} seconds.")
                return
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, Process(Path(folder)) as process:
                self.go_through(process, left)
            if self.fingerprint() != before:
                raise RuntimeError("the copy has changed files of the installed checks: reinstall minidiffusion")

    def go_through(self, process: Process, left: dict[str, int]) -> None:
        """Run the cells in order, and judge each exercise right after its cell. Return early if the process is lost."""
        last = max(left.values())
        wanted = set(range(last + 1)) if self.run_all else needed(self.cells, left, self.exercises)
        for number in sorted(wanted):
            if number not in self.lost:
                try:
                    error = process.ask(self.limit(), run=self.cells[number].source)["error"]
                except Ended as ended:
                    self.lost.add(number)
                    self.errors[number] = str(ended)
                    return
                if error:
                    self.errors[number] = error
            for exercise in [name for name, anchor in left.items() if anchor == number]:
                try:
                    answer = process.ask(self.limit(), judge=exercise, expression=self.exercises[exercise].expression)
                except Ended as ended:
                    self.say(exercise, "not yet", f"asked for an answer, it {ended}.")
                    return
                self.put_back |= set(answer["put_back"])
                verdict, _, why = answer["verdict"].partition(": ")
                if verdict != "passed" and number in self.errors:
                    verdict, why = "not yet", f"its cell stops: {self.errors[number]}"
                self.say(exercise, verdict, why)

    def say(self, exercise: str, verdict: str, why: str) -> None:
        anchor = self.anchors.get(exercise)
        self.verdicts[exercise] = {"verdict": verdict, "why": why, "cell": None if anchor is None else anchor + 1}

    def limit(self) -> float:
        return max(min(self.seconds, self.end - time.monotonic()), 0.1)

    def fingerprint(self) -> list[bytes]:
        """The contents of the files of the grader and of these checks, to notice whether a copy writes into them."""
        lessons = {f"lesson_{exercise[:2]}.py" for exercise in self.exercises}
        checks = [PACKAGE / "exercises" / name for name in ("__init__.py", "judge.py", *sorted(lessons))]
        return [file.read_bytes() for file in [*checks, *sorted((PACKAGE / "grading").glob("*.py"))] if file.is_file()]
