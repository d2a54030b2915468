"""Grade a student's copy of a lesson: report which exercises pass, judged by the installed checks.

The cells that an answer needs run in a fresh process, in an empty folder. The checks run in a second process, which
only receives the values of the answers. Crashes, endless loops, calls of exit(), edited checks and copies that fill the
memory are handled, and what the copy prints does not matter. This is not a sandbox: the copy runs with your rights, so
use a container to grade the work of people you do not know.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import signal
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..course.grading.door import sentence
from .inputs import whole
from .learn import lessons

HELP = "grade a student's copy of a lesson"
EXAMPLES = """examples:
  minidiffusion grade minidiffusion-lessons/01_destroying_data.ipynb
  minidiffusion grade submissions/ada/01_destroying_data.ipynb --json
  minidiffusion grade 01_destroying_data.ipynb --seconds 10 --all

The exit code is 0 if every exercise passes, 1 if not, and 2 if nothing could be graded, such as a file that is not a
copy of a lesson.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("notebook", type=Path, metavar="NOTEBOOK", help="the student's copy, NAME.ipynb; it is not changed")
    add("--json", action="store_true", help="print JSON instead of text, including the errors of the cells")
    limit = "seconds for each cell and each check; the whole copy may take ten times as long; default: 60"
    add("--seconds", type=whole(1, 3600), default=60, metavar="N", help=limit)
    add(
        "--all",
        action="store_true",
        help="run every cell up to the last exercise, not only the cells that answers need",
    )


def run(args: argparse.Namespace) -> int:
    if any(importlib.util.find_spec(name) is None for name in ("nbformat", "IPython", "psutil")):
        raise RuntimeError('grading needs Jupyter: pip install "minidiffusion[lessons]"')
    from ..course.grading import grade

    handed_out = lessons()
    if handed_out is None:
        raise FileNotFoundError("this installation does not include the lessons; please install minidiffusion again")
    with stoppable():
        found = grade(args.notebook, handed_out, float(args.seconds), args.all)
    if args.json:
        print(json.dumps(found, indent=1))
    else:
        show(found)
    return 0 if found["passed"] == found["of"] else 1


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the grader as Ctrl-C does, so that it first stops the copy."""
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = [signal.signal(number, signal.default_int_handler) for number in numbers]  # no check catches that
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def show(found: dict[str, Any]) -> None:
    name = found["notebook"] if found["notebook"].isprintable() else ascii(found["notebook"])
    print(f"{name}: lesson {found['lesson']}, {found['passed']} of {found['of']} exercises pass")
    lines = [
        f"{one['exercise']}  {one['verdict']}" + (f": {one['why']}" if one["why"] else "") for one in found["exercises"]
    ]
    lines += [f"code cell {one['cell']} stopped: {one['error']}" for one in found["errors"]]
    if found["changed"]:
        lines.append(f"changed in the installed package while the copy ran: {sentence(', '.join(found['changed']))}")
    for line in lines:
        print(textwrap.fill(line, 110, initial_indent="  ", subsequent_indent=" " * 8))
