"""Grade a student's copy of a lesson: which exercises pass, by the installed checks, whatever the copy prints.

The cells that an answer needs run in a fresh process, in an empty folder; a crash, an endless loop, exit() or an edited
check neither stops nor fools it. It is no sandbox: the copy runs with your rights, so grade strangers in a container.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import textwrap
from pathlib import Path
from typing import Any

from .inputs import whole
from .learn import lessons

HELP = "grade a student's copy of a lesson"
EXAMPLES = """examples:
  minidiffusion grade minidiffusion-lessons/01_destroying_data.ipynb
  minidiffusion grade submissions/ada/01_destroying_data.ipynb --json
  minidiffusion grade 01_destroying_data.ipynb --seconds 10 --all

The exit code is 0 if every exercise passes, 1 if not, and 2 if the file is no copy of a lesson.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("notebook", type=Path, metavar="NOTEBOOK", help="the copy, NAME.ipynb; it is not changed")
    add("--json", action="store_true", help="the same as JSON, with the errors of its cells")
    limit = "the limit for each cell and each check; ten times as long for all (60)"
    add("--seconds", type=whole(1, 3600), default=60, metavar="N", help=limit)
    add("--all", action="store_true", help="run every cell up to the last exercise, not only those that answers need")


def run(args: argparse.Namespace) -> int:
    if any(importlib.util.find_spec(name) is None for name in ("nbformat", "IPython")):
        raise RuntimeError('grading needs Jupyter: pip install "minidiffusion[lessons]"')
    from ..course.grading import grade

    handed_out = lessons()
    if handed_out is None:
        raise FileNotFoundError("the lessons are not part of this installation; install minidiffusion again")
    found = grade(args.notebook, handed_out, float(args.seconds), args.all)
    if args.json:
        print(json.dumps(found, indent=1))
    else:
        show(found)
    return 0 if found["passed"] == found["of"] else 1


def show(found: dict[str, Any]) -> None:
    print(f"{found['notebook']}: lesson {found['lesson']}, {found['passed']} of {found['of']} exercises pass")
    for one in found["exercises"]:
        text = f"{one['exercise']}  {one['verdict']}" + (f": {one['why']}" if one["why"] else "")
        print(textwrap.fill(text, 110, initial_indent="  ", subsequent_indent=" " * 8))
    for one in found["errors"]:
        text = f"code cell {one['cell']} stopped: {one['error']}"
        print(textwrap.fill(text, 110, initial_indent="  ", subsequent_indent=" " * 8))
    if found["put_back"]:
        text = f"changed by the copy, and put back: {', '.join(found['put_back'])}"
        print(textwrap.fill(text, 110, initial_indent="  ", subsequent_indent=" " * 8))
