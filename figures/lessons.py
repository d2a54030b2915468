"""Measure how long every lesson runs, cell by cell and in total.

    python figures/lessons.py                      all lessons, one after the other; writes lessons.json
    python figures/lessons.py 00 06                only these; the others keep their numbers
    python figures/lessons.py --write              measure nothing; copy the seconds into the lessons and their map

Each lesson gets a kernel of its own, and nothing else should run on the machine. A lesson's header states the wall
time, including the start of the kernel, rounded up to the next ten seconds.
"""

import json
import math
import os
import platform
import re
import time
from pathlib import Path

import nbformat
import torch
from common import Parser
from nbclient import NotebookClient

LESSONS = Path(__file__).parent.parent / "lessons"
RESULTS = Path(__file__).with_suffix(".json")
CPU = "import resource as _r\nprint(sum(_r.getrusage(_r.RUSAGE_SELF)[:2]))"  # not on Windows


def measure(path: Path) -> dict:
    """The wall time and CPU time of a lesson, and the seconds that each of its code cells takes, in order."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if cell.cell_type == "code"] + [nbformat.v4.new_code_cell(CPU)]
    client = NotebookClient(notebook, timeout=None, resources={"metadata": {"path": str(path.parent)}})
    seconds, begin = [], time.monotonic()
    with client.setup_kernel():
        for number, cell in enumerate(notebook.cells[:-1]):
            start = time.monotonic()
            client.execute_cell(cell, number)
            seconds.append(round(time.monotonic() - start, 2))
        wall = time.monotonic() - begin
        asked = client.execute_cell(notebook.cells[-1], len(seconds))
        used = float(asked.outputs[0].text)
    return {"wall": round(wall, 1), "cpu": round(used, 1), "cells": seconds}


def rounded(wall: float) -> int:
    return 10 * math.ceil(wall / 10)


def write(lessons: dict) -> None:
    """Copy the seconds into the header of each lesson and into the map of the lessons."""
    readme = LESSONS / "README.md"
    for name, found in lessons.items():
        path, seconds = LESSONS / name, rounded(found["wall"])
        text = path.read_text(encoding="utf-8")
        text, times = re.subn(r"(\*\*Time\.\*\* \d+ minutes [^\n]*?about )\d+( seconds)", rf"\g<1>{seconds}\g<2>", text)
        row = rf"(\| \[[^\n|]*\]\({re.escape(name)}\) \|[^\n|]*\|[^\n|]*\|[^\n|]*\| )\d+( s \|)"
        table, rows = re.subn(row, rf"\g<1>{seconds}\g<2>", readme.read_text(encoding="utf-8"))
        if (times, rows) != (1, 1):
            raise SystemExit(f"{name}: expected its time in one header and one row of the map, got {times} and {rows}")
        path.write_text(text, encoding="utf-8")
        readme.write_text(table, encoding="utf-8")


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("lessons", nargs="*", metavar="NN", help="the numbers of the lessons to run; default: all")
    parser.add_argument("--write", action="store_true", help="copy the measured seconds into the lessons and their map")
    args = parser.parse()
    there = sorted(LESSONS.glob("[0-9]*.ipynb"))
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"lessons": {}}
    results["lessons"] = {path.name: results["lessons"][path.name] for path in there if path.name in results["lessons"]}
    if args.write:
        write(results["lessons"])
        return
    for path in there:
        if not args.lessons or path.name[:2] in args.lessons:
            found = measure(path)
            slowest = max(range(len(found["cells"])), key=found["cells"].__getitem__)
            results["lessons"][path.name] = found
            print(
                f"{path.name:36} {found['wall']:6.1f} s, {found['cpu']:6.1f} s of CPU; "
                f"its slowest cell, {slowest + 1}, {found['cells'][slowest]:.1f} s"
            )
    results["lessons"] = dict(sorted(results["lessons"].items()))
    results["machine"] = {"cores": os.cpu_count(), "threads": torch.get_num_threads(), "cpu": platform.machine()}
    results["total"] = round(sum(found["wall"] for found in results["lessons"].values()), 1)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    print(f"{'all ' + str(len(results['lessons'])):36} {results['total']:6.1f} s")


if __name__ == "__main__":
    main()
