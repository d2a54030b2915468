"""Say what was found on this machine: versions, device, data, checkpoint, lessons."""

from __future__ import annotations

import argparse
import json
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import pooch
import torch

from .. import __version__
from ..checkpoint import read_header
from ..data.downloads import EMBEDDED, SOURCES
from ..device import best_device, has_fast_bfloat16
from .learn import lessons
from .sample import SHIPPED

HELP = "say what was found on this machine"
EXAMPLES = """examples:
  minidiffusion doctor
  minidiffusion doctor --json
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="the same as JSON")


def run(args: argparse.Namespace) -> int:
    found = facts()
    if args.json:
        print(json.dumps(found, indent=2))
        return 0
    for name, value in found.items():
        value = value if isinstance(value, dict) else {"": value}
        for key, item in value.items():
            item = ", ".join(map(str, item)) if isinstance(item, list) else item
            print(f"{f'{name} {key}':32} {'none' if item in (None, '') else item}")
    return 0


def facts() -> dict[str, Any]:
    """Everything that `doctor` says. None: not there."""
    device = best_device()
    name = f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    fast = has_fast_bfloat16(device)
    cache = Path(pooch.os_cache("minidiffusion"))

    def complete(set_name: str) -> bool:
        return all((cache / set_name / file).is_file() for file in SOURCES[set_name].files)

    return {
        "python": platform.python_version(),
        "minidiffusion": __version__,
        "torch": torch.__version__,
        "numpy": version("numpy"),
        "device": f"{device.type} ({name})",
        "precision": "bfloat16 in networks, because this device has it in hardware"
        if fast
        else "float32, because this device has no bfloat16 in hardware",
        "threads": torch.get_num_threads(),
        "cache": str(cache),
        "cached_sets": [set_name for set_name in SOURCES if complete(set_name)],
        "MINIDIFFUSION_DATA": own_data(list(SOURCES)),
        "embedded_sets": list(EMBEDDED),
        "checkpoint": shipped(),
        "lessons": str(lessons() or "") or None,
        **{package: version(package) for package in ("jupyterlab", "ipywidgets", "nbval")},
    }


def version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def own_data(sets: list[str]) -> str | None:
    """The folder that the variable names, and which sets are in it."""
    root = os.environ.get("MINIDIFFUSION_DATA")
    if not root:
        return None
    if not Path(root).is_dir():
        return f"{root} (there is no such folder)"
    return f"{root} ({', '.join(name for name in sets if (Path(root) / name).is_dir()) or 'no set in it'})"


def shipped() -> dict[str, Any] | str | None:
    """What the checkpoint in the package says of itself: its recipe, its quality."""
    try:
        about = read_header(SHIPPED)["about"]
        quality = about.pop("quality", {})
        return {"file": str(SHIPPED), **about, "frechet_distance": quality.get("frechet_distance")}
    except FileNotFoundError:
        return None
    except ValueError as error:
        return str(error)
