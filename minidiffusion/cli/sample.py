"""Draw pictures from a trained network, and write them as one PNG."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from ..data import class_names, names
from ..process import prior
from ..samplers import METHODS
from ..training import checkpoint
from ..training.device import best_device
from .inputs import check_picture, one_of, whole
from .pictures import BATCH, METHOD, STEPS, draw, write_sheet

HELP = "draw pictures from a trained network"
EXAMPLES = """examples:
  minidiffusion sample
  minidiffusion sample --label trouser --count 16 --seed 7 --out trousers.png
  minidiffusion sample --checkpoint fashion_mnist_few --steps 1
  minidiffusion sample --checkpoint minidiffusion-emoji/model.safetensors --steps 50 --method ddim
"""
CHECKPOINTS = Path(__file__).parents[1] / "weights"
SHIPPED = CHECKPOINTS / "fashion_mnist.safetensors"
NAMED = ("fashion_mnist", "fashion_mnist_few")  # in the package: many steps, or one, two or four


def arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    named = " or ".join(NAMED)
    add("--checkpoint", default=SHIPPED.stem, metavar="FILE", help=f"or one in the package, {named} ({SHIPPED.stem})")
    add("--count", type=whole(1, 10_000), default=64, metavar="N", help="how many pictures (64)")
    add(
        "--steps",
        type=whole(1, 10_000),
        metavar="N",
        help=f"from noise to data; default: the network's own, or {STEPS}",
    )
    add("--method", metavar="NAME", help=f"{', '.join(METHODS)}; default: the network's own, or {METHOD}")
    add("--seed", type=whole(0), default=0, metavar="N", help="the same seed draws the same pictures (0)")
    add("--label", metavar="L", help="draw only this class, by name or number; default: all, a row for each")
    add("--out", type=Path, default=Path("samples.png"), metavar="FILE.png", help="where to (samples.png)")


def run(args: argparse.Namespace) -> int:
    check_picture("--out", args.out)

    if args.method is not None:
        one_of("--method", args.method, METHODS)
    path = CHECKPOINTS / f"{args.checkpoint}.safetensors" if args.checkpoint in NAMED else Path(args.checkpoint)
    try:
        header = checkpoint.read_header(path)
        denoise = checkpoint.load(path, best_device())
        shape = item_shape(header)
    except (ValueError, OSError) as error:
        raise ValueError(f"--checkpoint: {error}") from None

    own = header["about"].get("draw", {})
    steps, method = args.steps or own.get("steps", STEPS), args.method or own.get("method", METHOD)
    classes, labels = header["config"].get("classes", 0), None
    if args.label is not None:
        labels = torch.full((args.count,), label_number(args.label, header), device=best_device())
    elif classes:
        labels = torch.arange(args.count, device=best_device()) % classes

    generator = torch.Generator().manual_seed(args.seed)
    x_1 = prior((args.count, *shape), denoise.schedule, generator).to(best_device())
    with tqdm(total=steps * -(-args.count // BATCH), desc="sample", disable=None) as bar:
        x0 = draw(denoise, x_1, labels, steps, method, generator, bar.update)
    write_sheet(args.out, x0, classes if args.label is None else 0)
    print(args.out)
    return 0


def item_shape(header: dict[str, Any]) -> tuple[int, ...]:
    """The shape of one picture or point; ValueError if it cannot be drawn.

    `train` writes it down. If not, grey pictures are 28x28 and coloured ones 32x32, as in every set here.
    """
    config = header["config"]
    if header["network"] == "MLP":
        shape, fits = [config["dimension"]], config["dimension"] == 2
    else:
        channels = config["channels"]
        coarse = config["patch"] if header["network"] == "DiT" else 2 ** (len(config["widths"]) - 1)
        shape = header["about"].get("shape", [channels, *((28, 28) if channels == 1 else (32, 32))])
        whole_numbers = isinstance(shape, list) and all(isinstance(n, int) for n in shape)
        fits = whole_numbers and len(shape) == 3 and shape[0] == channels and channels in (1, 3)
        fits = fits and all(0 < n <= 512 and n % coarse == 0 for n in shape[1:])
    if not fits:
        raise ValueError(f"items of shape {shape} do not fit on a sheet of pictures or of points")
    return tuple(shape)


def label_number(text: str, header: dict[str, Any]) -> int:
    """The number of a class from its name or number."""
    classes, data = header["config"].get("classes", 0), header["about"].get("data")
    if not classes:
        raise ValueError(f"--label must be left out, because this checkpoint knows no labels, got {text!r}")
    numbers = tuple(str(i) for i in range(classes))
    if text in numbers:
        return int(text)
    known = class_names(data) if data in names() else ()
    if len(known) != classes:
        known = numbers
    return known.index(one_of("--label", text.lower(), known))
