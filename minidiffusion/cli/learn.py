"""Copy the lessons into a folder and open them in JupyterLab. A file that is there is never changed."""

from __future__ import annotations

import argparse
import filecmp
import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

from ..training.files import write_whole
from .inputs import check_folder, whole

HELP = "open the lessons"
EXAMPLES = """examples:
  minidiffusion learn
  minidiffusion learn ~/diffusion --no-browser --port 9000

Ctrl-C ends JupyterLab. Run the same command again to go on where you were.
"""
FOR_AUTHORS = {Path("execute.py")}


def arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    folder = Path("minidiffusion-lessons")
    add("folder", nargs="?", type=Path, default=folder, metavar="DIR", help=f"default: {folder}")
    add("--no-browser", action="store_true", help="print the address instead of opening it")
    add("--port", type=whole(1, 65535), metavar="N", help="where JupyterLab listens; default: its own choice")


def run(args: argparse.Namespace) -> int:
    check_folder("DIR", args.folder)
    source = lessons()
    if source is None:
        raise FileNotFoundError("the lessons are not part of this installation; install minidiffusion again")
    copied, kept = copy_missing(source, args.folder)
    print(f"{args.folder}: {len(copied)} files copied, {len(kept)} kept as they were", flush=True)
    changed = [name for name in kept if not filecmp.cmp(source / name, args.folder / name, shallow=False)]
    if changed:
        print("kept, though different from this version's:", ", ".join(changed))
    if importlib.util.find_spec("jupyterlab") is None:
        raise RuntimeError('JupyterLab is not installed: pip install "minidiffusion[lessons]"')
    return jupyterlab(args.folder, args.no_browser, args.port)


def lessons() -> Path | None:
    """Where the lessons are: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    return next((path for path in (package / "_lessons", package.parent / "lessons") if path.is_dir()), None)


def copy_missing(source: Path, target: Path) -> tuple[list[str], list[str]]:
    """Copy each lesson that `target` has not, with what it needs. Returns the names (copied, kept)."""
    copied, kept = [], []
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source)
        hidden = any(part.startswith((".", "__")) for part in name.parts)
        if hidden or name in FOR_AUTHORS or not path.is_file():
            continue
        if os.path.lexists(target / name):
            kept.append(str(name))
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        with write_whole(target / name) as file:
            file.write(path.read_bytes())
        copied.append(str(name))
    return copied, kept


def jupyterlab(folder: Path, no_browser: bool, port: int | None) -> int:
    """Run JupyterLab in `folder` until it ends, or Ctrl-C or a kill ends it."""
    command = [sys.executable, "-m", "jupyterlab", "-y"]  # -y: do not ask whether Ctrl-C was meant
    command += ["--no-browser"] if no_browser else []
    command += [f"--port={port}"] if port else []
    # In a container a student is often root. Jupyter then wants an option that is not one of ours.
    command += ["--allow-root"] if getattr(os, "geteuid", lambda: 1)() == 0 else []
    process = subprocess.Popen(command, cwd=folder)
    before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.terminate()  # it ends its kernels before itself
        process.wait()
        return 0
    finally:
        signal.signal(signal.SIGTERM, before)
