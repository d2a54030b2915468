"""Report what is on this machine: versions, device, data, checkpoint and lessons. Or report what a network costs."""

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
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from .. import __version__
from ..check import one_of
from ..data.downloads import EMBEDDED, SOURCES
from ..nets import NETS, SIZES
from ..training.checkpoint import load, read_header
from ..training.device import as_device, has_fast_bfloat16
from ..training.recipes import RECIPES
from .learn import lessons
from .sample import SHIPPED, item_shape

HELP = "report what is on this machine, or what a network costs"
EXAMPLES = """examples:
  minidiffusion doctor
  minidiffusion doctor --json
  minidiffusion doctor --model fashion_mnist
  minidiffusion doctor --model dit-large
"""
KNOWN = {recipe.name: (recipe.network, recipe.sizes) for recipe in RECIPES.values()} | {
    f"{network.lower()}-{name}": (network, {"channels": 1, **sizes})
    for network, named in SIZES.items()
    for name, sizes in named.items()
}
BATCH = 128  # batch size of the training step whose memory we count


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    names = ", ".join(KNOWN)
    parser.add_argument(
        "--model", metavar="NAME", help=f"report what this network costs: a checkpoint file, or {names}"
    )


def run(args: argparse.Namespace) -> int:
    found = facts() if args.model is None else cost(args.model)
    if args.json:
        print(json.dumps(found, indent=2))
        return 0
    for name, value in found.items():
        value = value if isinstance(value, dict) else {"": value}
        for key, item in value.items():
            if isinstance(item, list):
                item = ", ".join(map(str, item))
            elif isinstance(item, int):
                item = f"{item:,}"
            print(f"{f'{name} {key}':32} {'none' if item in (None, '') else item}")
    return 0


def facts() -> dict[str, Any]:
    """Everything that `doctor` reports. None means that something is not there."""
    device = as_device()
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
        **{package: version(package) for package in ("jupyterlab", "ipywidgets", "nbval", "voila")},
    }


def cost(model: str) -> dict[str, Any]:
    """The parameters, FLOPs and memory of a recipe, a named size or a checkpoint, counted without training it.

    The memory of a training step is the sum of the tensors that must exist at the same time. On a CPU, the measured
    peak was 12 to 14% higher.
    """
    if Path(model).is_file():
        try:
            load(model)
            header = read_header(model)
            shape = item_shape(header)
        except (ValueError, OSError) as error:
            raise ValueError(f"--model: {error}") from None
    else:
        one_of("--model", model, KNOWN)
        network, config = KNOWN[model]
        header = {"network": network, "config": config, "about": {}}
        shape = item_shape(header)
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage.nbytes()
        return tensor

    with torch.device("meta"):  # tensors with shapes but without data: a network of any size costs nothing
        net = NETS[header["network"]](**header["config"])
        with FlopCounterMode(display=False) as counter:
            net(torch.zeros(1, *shape), torch.zeros(1))
        with saved_tensors_hooks(keep, lambda tensor: tensor):
            output = net(torch.zeros(BATCH, *shape), torch.zeros(BATCH))
    weights = {p.untyped_storage()._cdata: p.untyped_storage().nbytes() for p in net.parameters()}
    activations = sum(size for storage, size in kept.items() if storage not in weights)
    del output  # it kept the storages alive until here, so that no two of them shared an address
    size = sum(weights.values())
    return {
        "model": model,
        "network": header["network"],
        "config": net.config,
        "shape": list(shape),
        "parameters": sum(p.numel() for p in net.parameters()),
        "flops_per_image": counter.get_total_flops(),
        "flops": "one forward pass, counted by torch.utils.flop_counter, with a multiply-add as two operations",
        "bytes": {"weights": size, "training": 5 * size + activations},
        "memory": "counted in float32; training needs weights, gradients, AdamW's two moments, the EMA, and the "
        f"activations that a batch of {BATCH} saves for the backward pass (bfloat16 halves the activations)",
    }


def version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def own_data(sets: list[str]) -> str | None:
    """The folder that MINIDIFFUSION_DATA names, and the data sets in it."""
    root = os.environ.get("MINIDIFFUSION_DATA")
    if not root:
        return None
    if not Path(root).is_dir():
        return f"{root} (there is no such folder)"
    return f"{root} ({', '.join(name for name in sets if (Path(root) / name).is_dir()) or 'no set in it'})"


def shipped() -> dict[str, Any] | str | None:
    """The recipe and the quality of the checkpoint in the package, from its header."""
    try:
        about = read_header(SHIPPED)["about"]
        quality = about.pop("quality", {})
        return {"file": str(SHIPPED), **about, "frechet_distance": quality.get("frechet_distance")}
    except FileNotFoundError:
        return None
    except ValueError as error:
        return str(error)
