"""Write clean copies of the lessons for a class, and a folder with the solutions for the teacher."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from ..training.files import write_whole
from .inputs import check_folder
from .learn import FOR_TEACHERS, copy_missing, lessons

HELP = "write clean copies of the lessons for a class, and the solutions for the teacher"
EXAMPLES = """examples:
  minidiffusion handout course

course/students has the lessons without outputs and without solutions. course/teacher has the lessons as they should
look after they have run, the solutions, the advice in TEACHING.md, and what nbval needs.
"""
SOLUTION = re.compile(r"<details>\s*<summary>Solution</summary>.*?</details>\s*", re.S)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="the folder for the copies; it must be new or empty")


def run(args: argparse.Namespace) -> int:
    check_folder("DIR", args.folder)
    source = lessons()
    if source is None:
        raise FileNotFoundError("this installation does not include the lessons; please install minidiffusion again")
    if args.folder.exists() and any(args.folder.iterdir()):
        raise FileExistsError(f"DIR must be a new or empty folder, and {args.folder} has files in it")
    students, teacher = args.folder / "students", args.folder / "teacher"
    copy_missing(source, teacher, leave_out=())
    handed_out, _ = copy_missing(source, students, leave_out=FOR_TEACHERS)
    for path in students.rglob("*.ipynb"):
        clean(path)
    print(f"{students}: {len(handed_out)} files for the class, without outputs and solutions")
    print(f"{teacher}: everything, with outputs and solutions; begin with TEACHING.md")
    return 0


def clean(path: Path) -> None:
    """Take the outputs and the solutions out of a notebook."""
    import nbformat  # comes with JupyterLab

    notebook: Any = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        else:
            cell.source = SOLUTION.sub("", cell.source).strip()
    notebook.cells = [cell for cell in notebook.cells if cell.source]
    with write_whole(path) as file:
        file.write(nbformat.writes(notebook).encode())
