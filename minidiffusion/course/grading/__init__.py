"""Grade a student's copy of a lesson with the installed checks.

`grade(path)` reads the copy and runs the cells that the answers need in a process of its own, with IPython. The checks
run here, in a second process that none of the copy's code reaches: an answer comes through a narrow door (door.py) that
lets only plain values pass, and a check that calls the student's function sends the inputs out and gets the result
back. So whatever a copy does to `md`, to PyTorch or to Python, it does to itself. A verdict depends on values alone.

**What can go wrong in a copy, and what the grader does.** If a cell crashes, the grader notes it and runs the next one.
If a cell or an answer takes too long, needs more than 4 GB of memory or ends Python, the grader stops it, and a new
process runs the rest without it. What the copy prints is discarded. It does not matter whether check calls in the copy
are deleted, moved or edited, because the grader makes its own. At the end, all processes that the copy has started are
stopped (on Linux also those that have left their parents). The copy works with a copy of the installed package, and if
it finds and changes the package itself, its files are put back.

**What it does not protect against.** It is no sandbox. The copy runs with your rights, on your files and your network.
It can read the solutions, write to your home folder or to PyTorch's files, and stop the grader itself, so grade
strangers' work in a container. Grade one copy after another: two at the same time share the installed package. And a
pass says that the answer is right, not who found it, because the solutions are a click away in every lesson.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import time
from pathlib import Path
from typing import Any

from ..exercises import CHECKS
from ..exercises.judge import judge
from .door import name_error, sentence, unpack
from .notebook import Cell, Stub, anchors, lesson_of, needed, read, stubs
from .worker import Answer, Ended, Process

__all__ = ["grade"]
PACKAGE = Path(__file__).parents[2].resolve()  # somebody may have installed it as a link
STARTS = 10  # of a process whose time is not the copy's
LARGEST = 2**28  # bytes of a file that the package may have
SEARCH = ("NameError", "AttributeError", "FileNotFoundError")  # of answers whose cells may have been left out


def grade(path: Path, lessons: Path, seconds: float = 60.0, run_all: bool = False) -> dict[str, Any]:
    """Run a copy and judge its exercises.

    lessons: the folder with the original lessons. seconds: the time limit for each cell and for each check; the whole
    copy has ten times as long. run_all: run every cell up to the last exercise, not only those that an answer needs.

    Returns {"notebook", "lesson", "passed", "of", "exercises": [{"exercise", "verdict", "why", "cell"}, ...],
    "errors": [{"cell", "error"}, ...], "changed": [files of the installed package that changed meanwhile]}. A verdict
    is "passed", "not attempted yet" or "not yet". Only code cells are counted, from 1.

    Raises ValueError if `path` is not a copy of a lesson, and ImportError without Jupyter.
    """
    cells = read(path)
    lesson, handed_out = lesson_of(path, cells, lessons)
    exercises = stubs(read(handed_out))
    before = contents()
    try:
        sheet = Sheet([cell for cell in cells if cell.code], exercises, seconds, run_all)
        sheet.fill()
        if not run_all and any(error in found["why"] for found in sheet.verdicts.values() for error in SEARCH):
            sheet = Sheet(sheet.cells, exercises, seconds, run_all=True, earlier=sheet.verdicts)
            sheet.fill()
    finally:
        changed = put_back(before)
    found = [{"exercise": exercise, **sheet.verdicts[exercise]} for exercise in exercises]
    return {
        "notebook": str(path),
        "lesson": lesson,
        "passed": sum(one["verdict"] == "passed" for one in found),
        "of": len(found),
        "exercises": found,
        "errors": [{"cell": number + 1, "error": error} for number, error in sorted(sheet.errors.items())],
        "changed": changed,
    }


class Sheet:
    """The verdicts on one copy, filled in as its cells run. earlier: those of a first run; what passed then, passes."""

    def __init__(
        self, cells: list[Cell], exercises: dict[str, Stub], seconds: float, run_all: bool, earlier: Any = None
    ):
        self.cells, self.exercises, self.seconds, self.run_all = cells, exercises, seconds, run_all
        self.anchors = anchors(cells, exercises)
        self.earlier: dict[str, dict[str, Any]] = earlier or {}
        self.verdicts = {name: found for name, found in self.earlier.items() if found["verdict"] == "passed"}
        self.errors: dict[int, str] = {}
        self.lost: set[int] = set()  # cells that ended their process
        self.end = time.monotonic() + 10 * seconds

    def fill(self) -> None:
        """Judge every exercise, starting a new process whenever one is lost."""
        for exercise, stub in self.exercises.items():
            if exercise not in self.anchors and exercise not in self.verdicts:
                self.say(exercise, "not yet", f"no cell defines `{stub.expression}`.")
        starts = 0
        while left := {name: self.anchors[name] for name in self.exercises if name not in self.verdicts}:
            if time.monotonic() > self.end:
                for exercise in left:
                    self.say(exercise, "not yet", f"the copy has used up its {10 * self.seconds:g} seconds.")
                    self.verdicts[exercise] = self.earlier.get(exercise, self.verdicts[exercise])
                return
            start = time.monotonic()
            folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
            try:
                with Process(Path(folder.name)) as process:
                    starts += 1
                    if starts <= STARTS:
                        self.end += time.monotonic() - start  # the start of Python and PyTorch is not the copy's
                    self.go_through(process, left)
            finally:
                with contextlib.suppress(RecursionError):  # at a thousand folders in one another, which stay
                    folder.cleanup()

    def go_through(self, process: Process, left: dict[str, int]) -> None:
        """Run the cells in order, and judge each exercise right after its cell. Return early if the process is lost."""
        last = max(left.values())
        wanted = set(range(last + 1)) if self.run_all else needed(self.cells, left, self.exercises)
        for number in sorted(wanted):
            if number not in self.lost:
                try:
                    process.allow(self.limit())
                    error = process.ask("run", self.cells[number].source)
                except Ended as ended:
                    self.lost.add(number)
                    self.errors[number] = str(ended)
                    return
                if error:
                    self.errors[number] = sentence(str(error))
            for exercise in [name for name, anchor in left.items() if anchor == number]:
                try:
                    process.allow(self.limit())
                    verdict, _, why = verdict_on(process, exercise, self.exercises[exercise].expression).partition(": ")
                except Ended as ended:
                    self.say(exercise, "not yet", f"asked for an answer, it {ended}.")
                    return
                if verdict != "passed" and number in self.errors:
                    verdict, why = "not yet", f"its cell stops: {self.errors[number]}"
                self.say(exercise, verdict, sentence(why))

    def say(self, exercise: str, verdict: str, why: str) -> None:
        anchor = self.anchors.get(exercise)
        self.verdicts[exercise] = {"verdict": verdict, "why": why, "cell": None if anchor is None else anchor + 1}

    def limit(self) -> float:
        return max(min(self.seconds, self.end - time.monotonic()), 0.1)


def verdict_on(process: Process, exercise: str, expression: str) -> str:
    """The verdict of the installed check on the value that the expression has in the copy."""
    try:
        found = process.ask("find", expression)
        if "error" in found:
            return f"not yet: there is no answer to check: {found['error']}"
        return judge(CHECKS[exercise], Answer(process) if "function" in found else unpack(found["value"]))
    except Exception as error:
        return f"not yet: the check stops: {name_error(error)}"


def contents() -> dict[Path, bytes | None]:
    """Every file of the installed package; None for what is no plain file, such as a link or a pipe, or too large."""
    found: dict[Path, bytes | None] = {}
    folders = [PACKAGE] if not PACKAGE.is_symlink() else []
    while folders:
        folder = folders.pop()
        entries: list[os.DirEntry[str]] = []
        with contextlib.suppress(OSError):  # a path that is too long
            entries = list(os.scandir(folder))
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(Path(entry.path))
                continue
            found[Path(entry.path)] = None
            with contextlib.suppress(OSError):  # a file that another Python is just writing, or that nobody may read
                about = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(about.st_mode) and about.st_size <= LARGEST:
                    found[Path(entry.path)] = Path(entry.path).read_bytes()
    return found


def remove(path: Path) -> None:
    """Remove a file, a link or a folder. What cannot be removed stays, such as a thousand folders in one another."""
    with contextlib.suppress(OSError, RecursionError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def put_back(before: dict[Path, bytes | None]) -> list[str]:
    """Undo what has happened to these files since then. Returns their names, without those that Python compiles.

    In a checkout, where someone may just be working on the source, that is left to git.
    """
    now, checkout = contents(), (PACKAGE.parent / "pyproject.toml").exists()
    changed = [file for file in sorted({*before, *now}) if before.get(file, ()) != now.get(file, ())]
    source = [file for file in changed if "__pycache__" not in file.parts]
    if not checkout and (PACKAGE.is_symlink() or not PACKAGE.is_dir()):
        remove(PACKAGE)
    for file in changed if not checkout else set(changed) - set(source):
        remove(file)
        if (content := before.get(file)) is not None:
            with contextlib.suppress(OSError):
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
    return [str(file.relative_to(PACKAGE.parent)) for file in source]
