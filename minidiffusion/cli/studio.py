"""Open the studio in the browser: type a prompt, get four pictures, enlarge, vary, blend and pan them.

Each page that is opened has a Python process of its own, so several people or windows do not disturb one another.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from importlib.resources import as_file, files
from pathlib import Path

from ..systems.studio.shipped import PARTS, checksum
from .inputs import whole
from .servers import run_until_stopped

HELP = "open the studio in the browser"
EXAMPLES = """examples:
  minidiffusion studio
  minidiffusion studio --no-browser --port 9000

Ctrl-C stops it. In a notebook, the same studio is: from minidiffusion.systems.studio.widget import Studio; Studio()
"""
MINUTES = 5  # a page that was closed without a word keeps its process for so long


def arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--port", type=whole(1, 65535), metavar="N", help="the port for the studio; default: a free one")
    add("--no-browser", action="store_true", help="print the address of the studio instead of opening it in a browser")


def run(args: argparse.Namespace) -> int:
    for package in ("voila", "ipywidgets"):
        if importlib.util.find_spec(package) is None:
            raise RuntimeError(f'{package} is not installed: pip install "minidiffusion[studio]"')
    for part in dict.fromkeys(part for parts in PARTS.values() for part in parts):
        checksum(part)  # a file that is missing is better reported here than on the page
    with as_file(files("minidiffusion") / "systems" / "studio" / "page.ipynb") as page:
        return serve(page, args.port, args.no_browser)


def serve(page: Path, port: int | None, no_browser: bool) -> int:
    """Serve a notebook as a page until Ctrl-C or a termination signal."""
    command = [sys.executable, "-m", "voila", str(page), "--theme=light"]
    command += ["--MappingKernelManager.cull_interval=60", f"--MappingKernelManager.cull_idle_timeout={60 * MINUTES}"]
    command += [f"--port={port}", "--Voila.port_retries=0"] if port else []
    command += ["--no-browser"] if no_browser else []
    return run_until_stopped(command)
