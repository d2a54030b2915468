"""Measure every lesson, cell by cell, and what it needs in all.

    python figures/lessons.py                      all lessons, one after the other; writes lessons.json
    python figures/lessons.py 00 06                these; the others keep their numbers
    python figures/lessons.py --write              no measuring: the seconds into each lesson's header and the map

Wall time and CPU time of a kernel of its own, with nothing else on the machine. What the header says is the wall time,
with the kernel's start, rounded up to the next ten seconds.
"""

import argparse
import json
import math
import os
import platform
import re
import time
from pathlib import Path

import nbformat
import torch
from nbclient import NotebookClient

LESSONS = Path(__file__).parent.parent / "lessons"
RESULTS = Path(__file__).with_suffix(".json")
CPU = "import resource as _r\nprint(sum(_r.getrusage(_r.RUSAGE_SELF)[:2]))"  # not on Windows


def measure(path: Path) -> dict:
    """Seconds of each code cell of a lesson, by the cell's place among them, from 1."""
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
    """The seconds into the headers of the lessons and into the map, each of which says them once."""
    readme = LESSONS / "README.md"
    for name, found in lessons.items():
        path, seconds = LESSONS / name, rounded(found["wall"])
        text = path.read_text(encoding="utf-8")
        text, times = re.subn(r"(\*\*Time\.\*\* \d+ minutes [^\n]*?about )\d+( seconds)", rf"\g<1>{seconds}\g<2>", text)
        row = rf"(\| \[[^\n|]*\]\({re.escape(name)}\) \|[^\n|]*\|[^\n|]*\|[^\n|]*\| )\d+( s \|)"
        table, rows = re.subn(row, rf"\g<1>{seconds}\g<2>", readme.read_text(encoding="utf-8"))
        if (times, rows) != (1, 1):
            raise SystemExit(f"{name}: {times} headers and {rows} rows of the map say how long it runs, not one each")
        path.write_text(text, encoding="utf-8")
        readme.write_text(table, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lessons", nargs="*", metavar="NN", help="which; default: all")
    parser.add_argument("--write", action="store_true", help="put the measured seconds where they are said")
    args = parser.parse_args()
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
