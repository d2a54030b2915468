"""Generate pictures with a trained network and write them into one PNG file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from .. import check
from ..data import class_names, names
from ..process import prior
from ..samplers import METHODS
from ..training import checkpoint
from ..training.device import as_device
from .inputs import check_picture, whole
from .pictures import BATCH, METHOD, STEPS, draw, write_sheet

HELP = "generate pictures with a trained network"
EXAMPLES = """examples:
  minidiffusion sample
  minidiffusion sample --label trouser --count 16 --seed 7 --out trousers.png
  minidiffusion sample --checkpoint fashion_mnist_few --steps 1
  minidiffusion sample --checkpoint minidiffusion-emoji32/model.safetensors --steps 50 --method ddim
"""
CHECKPOINTS = Path(__file__).parents[1] / "weights"
SHIPPED = CHECKPOINTS / "fashion_mnist.safetensors"
MOST = 10_000  # pictures or steps
NAMED = ("fashion_mnist", "fashion_mnist_few")  # the checkpoints in the package: one for many steps, one for few


def arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    named = " or ".join(NAMED)
    add("--checkpoint", default=SHIPPED.stem, metavar="FILE", help=f"a checkpoint file, or {named} ({SHIPPED.stem})")
    add("--count", type=whole(1, MOST), default=64, metavar="N", help="number of pictures (64)")
    steps = f"number of sampling steps; default: what the checkpoint recommends, or {STEPS}"
    add("--steps", type=whole(1, MOST), metavar="N", help=steps)
    methods = f"sampler: {', '.join(METHODS)}; default: what the checkpoint recommends, or {METHOD}"
    add("--method", metavar="NAME", help=methods)
    add("--seed", type=whole(0), default=0, metavar="N", help="the same seed gives the same pictures (0)")
    add("--label", metavar="L", help="only this class, by name or number; default: all classes, a row for each")
    add("--out", type=Path, default=Path("samples.png"), metavar="FILE.png", help="the file to write (samples.png)")


def run(args: argparse.Namespace) -> int:
    check_picture("--out", args.out)
    if args.method is not None:
        check.one_of("--method", args.method, METHODS)
    path = CHECKPOINTS / f"{args.checkpoint}.safetensors" if args.checkpoint in NAMED else Path(args.checkpoint)
    try:
        header = checkpoint.read_header(path)
        if header["format"] != checkpoint.FORMAT:
            raise ValueError(f"{path} holds a network, {header['network']}, and no denoiser to sample with")
        denoise = checkpoint.load(path, as_device())
        shape = item_shape(header)
        own_steps, own_method = recommended(header["about"])
    except (ValueError, OSError) as error:
        raise ValueError(f"--checkpoint: {error}") from None

    steps, method = args.steps or own_steps, args.method or own_method
    classes, labels = header["config"].get("classes", 0), None
    if args.label is not None:
        labels = torch.full((args.count,), label_number(args.label, header), device=as_device())
    elif classes:
        labels = torch.arange(args.count, device=as_device()) % classes

    generator = torch.Generator().manual_seed(args.seed)
    x_1 = prior((args.count, *shape), denoise.schedule, generator).to(as_device())
    with tqdm(total=steps * -(-args.count // BATCH), desc="sample", disable=None) as bar:
        x0 = draw(denoise, x_1, labels, steps, method, generator, bar.update)
    write_sheet(args.out, x0, classes if args.label is None else 0)
    print(args.out)
    return 0


def recommended(about: dict[str, Any]) -> tuple[int, str]:
    """The steps and the method that a checkpoint recommends for sampling; ValueError if they make no sense."""
    own = about.get("draw", {})
    if not isinstance(own, dict):
        raise ValueError(f'"draw" in its header must be a dictionary with "steps" and "method", got {check.came(own)}')
    steps, method = own.get("steps", STEPS), own.get("method", METHOD)
    if not isinstance(steps, int) or not 1 <= steps <= MOST:
        raise ValueError(f'"steps" in its header must be a whole number from 1 to {MOST}, got {check.came(steps)}')
    return steps, check.one_of('"method" in its header', method, METHODS)


def item_shape(header: dict[str, Any]) -> tuple[int, ...]:
    """The shape of one image or point; ValueError if the network's output does not fit on a sheet.

    `train` writes the shape into the header. If it is missing, grey images have 28x28 pixels and coloured ones 32x32,
    like the data sets of this package.
    """
    config = header["config"]
    if header["network"] == "MLP":
        shape = [config.get("dimension", 2)]
        fits = shape == [2]
    else:
        channels, patch, widths = config.get("channels", 0), config.get("patch", 1), config.get("widths", [1])
        sizes = (
            isinstance(patch, int) and isinstance(widths, list | tuple) and 0 < patch <= 512 and 0 < len(widths) < 10
        )
        coarse = patch * 2 ** (len(widths) - 1) if sizes else 0  # a DiT has no widths
        shape = header["about"].get("shape", [channels, *((28, 28) if channels == 1 else (32, 32))])
        whole_numbers = isinstance(shape, list) and all(isinstance(n, int) for n in shape)
        fits = whole_numbers and len(shape) == 3 and shape[0] == channels and channels in (1, 3)
        fits = fits and sizes and all(0 < n <= 512 and n % coarse == 0 for n in shape[1:])
    if not fits:
        raise ValueError(f"items of shape {check.came(shape)} cannot be shown as pictures or as points")
    return tuple(shape)


def label_number(text: str, header: dict[str, Any]) -> int:
    """The number of a class, given by its name or number."""
    classes, data = header["config"].get("classes", 0), header["about"].get("data")
    if not classes:
        raise ValueError(
            f"--label does not work with this checkpoint, which was trained without labels; got {check.came(text)}"
        )
    numbers = tuple(str(i) for i in range(classes))
    if text in numbers:
        return int(text)
    known = class_names(data) if data in names() else header["about"].get("classes", ())
    if not isinstance(known, list | tuple) or len(known) != classes:
        known = numbers
    return list(known).index(check.one_of("--label", text if text in known else text.lower(), known))
