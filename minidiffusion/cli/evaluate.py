"""Measure a trained network: how far its samples are from the data, how many look real, and how many are copies.

Each number stands beside the floor, that of other real items in place of the samples, because a perfect model would
not do better. For pictures the yardstick is that of the real items after a slight blur.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from .. import check, data, metrics
from ..nets import fashion_classifier
from ..process import prior
from ..samplers import METHODS
from ..systems import shipped
from ..training import checkpoint
from ..training.device import as_device
from .inputs import whole
from .pictures import BATCH, draw
from .sample import CHECKPOINTS, MOST, NAMED, SHIPPED, item_shape, recommended

HELP = "measure the quality of a trained network"
EXAMPLES = """examples:
  minidiffusion evaluate
  minidiffusion evaluate minidiffusion-moons/model.safetensors --count 5000
  minidiffusion evaluate minidiffusion-own_pictures/model.safetensors --against my_pictures --json
"""
LEAST = 10  # real items on each side


def arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    named = " or ".join(NAMED)
    add("checkpoint", nargs="?", default=SHIPPED.stem, metavar="FILE", help=f"a file, or {named} ({SHIPPED.stem})")
    add("--against", metavar="DATA", help="a data set or a folder of pictures; default: what the network learned from")
    add("--count", type=whole(LEAST, MOST), default=1000, metavar="N", help="samples, at most (1,000)")
    add("--steps", type=whole(1, MOST), metavar="N", help="sampling steps; default: what the checkpoint recommends")
    add("--method", metavar="NAME", help=f"sampler: {', '.join(METHODS)}; default: what the checkpoint recommends")
    add("--seed", type=whole(0), default=0, metavar="N", help="the seed of the samples (0)")
    add("--json", action="store_true", help="print JSON instead of a table")


def run(args: argparse.Namespace) -> int:
    if args.method is not None:
        check.one_of("--method", args.method, METHODS)
    path = CHECKPOINTS / f"{args.checkpoint}.safetensors" if args.checkpoint in NAMED else Path(args.checkpoint)
    header = checkpoint.read_header(path)
    if header["format"] != checkpoint.FORMAT:
        raise ValueError(f"FILE must hold a denoiser, and {path} holds a network, {header['network']}")
    shape, (own_steps, own_method) = item_shape(header), recommended(header["about"])
    steps, method = args.steps or own_steps, args.method or own_method
    training, held = real(args.against or header["about"].get("data"), shape)
    count = min(args.count, len(held), len(training))

    device = as_device()
    denoise = checkpoint.load(path, device)
    generator = torch.Generator().manual_seed(args.seed)
    classes = header["config"].get("classes", 0)
    labels = torch.arange(count, device=device) % classes if classes else None
    x_1 = prior((count, *shape), denoise.schedule, generator).to(device)
    with tqdm(total=steps * -(-count // BATCH), desc="sample", disable=None) as bar:
        samples = draw(denoise, x_1, labels, steps, method, generator, bar.update).clamp(*limits(shape))
    order = torch.randperm(len(held), generator=torch.Generator().manual_seed(0))
    about = {"samples": count, "steps": steps, "method": method, "features": features(shape)[0]}
    found = {**about, "scores": measured(samples, held[order[:count]], training, shape)}
    print(json.dumps(found, indent=2) if args.json else table(found))
    return 0


def limits(shape: tuple[int, ...]) -> tuple[float, float]:
    return (-1.0, 1.0) if len(shape) == 3 else (-1e6, 1e6)


def real(name: str | None, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Real items as floats: those of the training, and others. Of a folder, one half each."""
    if isinstance(name, str) and name in data.names():
        halves = tuple(data.load(name, split)[0] for split in ("train", "test"))
    elif isinstance(name, str) and Path(name).is_dir():
        if len(shape) != 3 or shape[1] != shape[2]:
            raise ValueError(f"--against must be a data set with items of shape {shape}, got the folder {name}")
        images = data.folder(name, shape[1], shape[0]).images
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
        halves = images[order[: len(order) // 2]], images[order[len(order) // 2 :]]
    else:
        known = ", ".join(data.names())
        raise ValueError(f"--against must be a folder or a data set ({known}), got {check.came(name)}")
    if tuple(halves[0].shape[1:]) != shape:
        raise ValueError(f"--against must have items of shape {shape}, got {tuple(halves[0].shape[1:])}")
    if min(map(len, halves)) < LEAST:
        raise ValueError(f"--against must have at least {2 * LEAST} items, got {sum(map(len, halves))}")
    first, second = (data.to_float(half) if half.dtype == torch.uint8 else half for half in halves)
    return first, second


def features(shape: tuple[int, ...]) -> tuple[str, Callable[[Tensor], Tensor]]:
    """What the distances are measured in: its name, and the function."""
    if len(shape) == 1:
        return "the points themselves", lambda x: x
    if shape == (1, 28, 28):
        return "the 128 of the classifier of Fashion-MNIST", fashion_classifier().features
    clip = shipped.clip()

    def seen(x: Tensor) -> Tensor:
        return clip.image(F.interpolate(x.expand(-1, 3, -1, -1), (64, 64), mode="bilinear", align_corners=False))

    return "the 128 of CLIP's image encoder, trained on emoji", seen


def measured(samples: Tensor, held: Tensor, training: Tensor, shape: tuple[int, ...]) -> dict[str, dict[str, float]]:
    """The numbers of the samples, of as many training items (the floor), and of blurred held-out ones."""
    _, encode = features(shape)

    def embed(x: Tensor) -> Tensor:
        with torch.no_grad():
            return torch.cat([encode(part) for part in x.split(250)]).double()

    order = torch.randperm(len(training), generator=torch.Generator().manual_seed(1))[: len(samples)]
    rows = {"samples": samples, "real (floor)": training[order]}
    if len(shape) == 3:
        rows["blurred (yardstick)"] = F.avg_pool2d(F.pad(held, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    others, found = embed(held), {}
    for name, x in rows.items():
        mine, k = embed(x), min(3, len(x) - 1)
        precision, recall = metrics.precision_recall(others, mine, k)
        found[name] = {"Frechet": metrics.frechet_distance(mine, others), "precision": precision, "recall": recall}
    for name, x in (("samples", samples), ("real (floor)", held)):
        found[name]["copies"] = metrics.copy_ratio(x.flatten(1).double(), training.flatten(1).double()).share
    return found


def table(found: dict[str, Any]) -> str:
    columns = ("Frechet", "precision", "recall", "copies")
    about = f"{found['samples']:,} samples, {found['steps']} steps of {found['method']}"
    lines = [f"{about}; features: {found['features']}"]
    lines.append(" " * 20 + "".join(f"{column:>11}" for column in columns))
    for name, row in found["scores"].items():
        cells = (f"{row[column]:11.4g}" if column in row else " " * 11 for column in columns)
        lines.append(f"{name:20}" + "".join(cells))
    return "\n".join(lines)
