"""Copy the lessons into a folder and open them in JupyterLab. Files that are already there are never changed."""

from __future__ import annotations

import argparse
import filecmp
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ..training.files import write_whole
from .inputs import check_folder, whole
from .servers import run_until_stopped

HELP = "open the lessons in JupyterLab"
EXAMPLES = """examples:
  minidiffusion learn
  minidiffusion learn ~/diffusion --no-browser --port 9000

Ctrl-C stops JupyterLab. Run the same command again to continue where you were.
"""
FOR_AUTHORS = ("execute.py",)
FOR_TEACHERS = ("solutions", "TEACHING.md", "conftest.py", "sanitize.cfg")  # `minidiffusion handout` writes them
START = "start.ipynb"


def arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    folder = Path("minidiffusion-lessons")
    add(
        "folder",
        nargs="?",
        type=Path,
        default=folder,
        metavar="DIR",
        help=f"the folder for your copies; default: {folder}",
    )
    add("--no-browser", action="store_true", help="print the address of JupyterLab instead of opening it in a browser")
    add("--port", type=whole(1, 65535), metavar="N", help="the port for JupyterLab; default: a free one")
    add("--ip", metavar="ADDRESS", help="where JupyterLab listens, such as 0.0.0.0 in a container; default: localhost")


def run(args: argparse.Namespace) -> int:
    check_folder("DIR", args.folder)
    source = lessons()
    if source is None:
        raise FileNotFoundError("this installation does not include the lessons; please install minidiffusion again")
    copied, kept = copy_missing(source, args.folder)
    print(f"{args.folder}: {len(copied)} files copied, {len(kept)} kept as they were", flush=True)
    changed = [name for name in kept if not same(source / name, args.folder / name)]
    if changed:
        print("not as they were installed, because you or your teacher have worked on them:", ", ".join(changed))
    if importlib.util.find_spec("jupyterlab") is None:
        raise RuntimeError('JupyterLab is not installed: pip install "minidiffusion[lessons]"')
    return jupyterlab(args.folder, args.no_browser, args.port, args.ip)


def lessons() -> Path | None:
    """The folder of the original lessons: inside the installed package, or beside it in a clone of the repository."""
    package = Path(__file__).parents[1]
    return next((path for path in (package / "_lessons", package.parent / "lessons") if path.is_dir()), None)


def copy_missing(source: Path, target: Path, leave_out: Sequence[str] = FOR_TEACHERS) -> tuple[list[str], list[str]]:
    """Copy the lessons and their files that `target` does not have. Returns their names as (copied, kept)."""
    copied, kept = [], []
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source)
        hidden = any(part.startswith((".", "__")) for part in name.parts)
        if hidden or name.parts[0] in (*FOR_AUTHORS, *leave_out) or not path.is_file():
            continue
        if os.path.lexists(target / name):
            kept.append(str(name))
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        with write_whole(target / name) as file:
            file.write(path.read_bytes())
        copied.append(str(name))
    return copied, kept


def same(original: Path, copy: Path) -> bool:
    """Whether the copy is a file with the same content; a folder or a broken link is not."""
    return copy.is_file() and filecmp.cmp(original, copy, shallow=False)


def jupyterlab(folder: Path, no_browser: bool, port: int | None, ip: str | None = None) -> int:
    """Run JupyterLab in `folder` until it ends or is stopped, by Ctrl-C or by a termination signal."""
    command = [sys.executable, "-m", "jupyterlab", "-y"]  # -y: stop at the first Ctrl-C, without asking
    command += [f"--LabApp.default_url=/lab/tree/{START}"]  # what to click first, in place of the launcher
    command += ["--no-browser"] if no_browser else []
    command += [f"--port={port}"] if port else []
    command += [f"--ip={ip}"] if ip else []
    # In a container a student is often root, and Jupyter then insists on this option.
    command += ["--allow-root"] if getattr(os, "geteuid", lambda: 1)() == 0 else []
    return run_until_stopped(command, folder)
