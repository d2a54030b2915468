"""Train a network by a recipe. A folder fills up with pictures of its progress, and the network."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import torch
from tqdm import tqdm

from .. import __version__, checkpoint, data
from ..device import as_device
from ..process import prior
from ..recipes import RECIPES
from ..training import Step, fit
from .inputs import check_folder, one_of, whole
from .pictures import draw, write_sheet

HELP = "train a network by a recipe"
EXAMPLES = "recipes:\n" + "".join(f"  {recipe.name:18}{recipe.about}\n" for recipe in RECIPES.values())
EXAMPLES += """
examples:
  minidiffusion train
  minidiffusion train moons --steps 500 --out moons
  minidiffusion sample --checkpoint minidiffusion-fashion_mnist_6k/model.safetensors

Ctrl-C stops early and keeps the network so far.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    first = next(iter(RECIPES))
    add("recipe", nargs="?", default=first, metavar="RECIPE", help=f"one of those below ({first})")
    add("--steps", type=whole(1), metavar="N", help="default: the recipe's")
    add("--seed", type=whole(0), default=0, metavar="N", help="of weights, batches and noise (0)")
    add("--device", metavar="D", help="cpu, cuda, mps; default: the best there is")
    add("--out", type=Path, metavar="FOLDER", help="default: minidiffusion-RECIPE")


def run(args: argparse.Namespace) -> int:
    recipe = RECIPES[one_of("RECIPE", args.recipe, RECIPES)]
    folder = args.out or Path(f"minidiffusion-{recipe.name}")
    model = folder / "model.safetensors"
    check_folder("--out", folder)
    if model.exists():
        raise ValueError(f"--out: there is a trained network already, {model}; name another folder")

    device = as_device(args.device)
    x0, labels = data.load(recipe.data)
    denoiser = recipe.denoiser(args.seed).to(device)
    classes = recipe.sizes.get("classes", 0)
    steps = args.steps or recipe.steps
    training = fit(
        denoiser,
        (x0, labels) if classes else x0,  # type: ignore[arg-type]  # where there are classes, they are numbers
        steps,
        batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        weighting=recipe.weighting,
        ema_decay=recipe.ema_decay,
        seed=args.seed,
    )

    # every picture starts from the same noise, so that what differs is what was learned
    count = 64 if x0.ndim == 4 else 500
    generator = torch.Generator().manual_seed(args.seed)
    x_1 = prior((count, *x0.shape[1:]), denoiser.schedule, generator).to(device)
    asked = torch.arange(count, device=device) % classes if classes else None
    every = -(-steps // 10)
    started = time.monotonic()

    def save(step: Step) -> None:
        about = {
            "recipe": recipe.name,
            "data": recipe.data,
            "shape": list(x0.shape[1:]),
            "seed": args.seed,
            "steps": step.number,
            "seconds": round(time.monotonic() - started),
            "torch": torch.__version__,
            "minidiffusion": __version__,
        }
        folder.mkdir(parents=True, exist_ok=True)
        checkpoint.save(step.ema, model, about)

    step, loss = None, None
    try:
        with tqdm(training, total=steps, desc=recipe.name, unit="step", disable=None) as bar:
            for step in bar:
                loss = step.loss if loss is None else 0.98 * loss + 0.02 * step.loss
                bar.set_postfix(loss=f"{loss:.4f}", refresh=False)
                if step.number % every == 0 or step.number == steps:
                    save(step)
                    write_sheet(folder / f"sample-{step.number:05}.png", draw(step.ema, x_1, asked), classes)
    except KeyboardInterrupt:
        if step is None:
            raise
        save(step)
        reached = f"stopped after {step.number} of {steps} steps"
        print(f"minidiffusion: {reached}; the network so far is in {model}", file=sys.stderr)
        return 130
    print(model)
    return 0
