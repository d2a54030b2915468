"""Train a network by a recipe. Its folder gets samples that show the progress, and the network."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import sys
import time
from pathlib import Path

import torch
from tqdm import tqdm

from .. import data
from ..process import prior
from ..training.descend import fit
from ..training.device import as_device
from ..training.distributed import processes
from ..training.recipes import RECIPES
from .inputs import check_folder, one_of, whole
from .keep import Folder, any_process, ctrl_c_waits, together
from .pictures import draw, write_sheet

HELP = "train a network by a recipe"
EXAMPLES = "recipes:\n" + "".join(f"  {recipe.name:21}{recipe.about}\n" for recipe in RECIPES.values())
EXAMPLES += """
examples:
  minidiffusion train
  minidiffusion train moons --steps 500 --out moons
  minidiffusion train emoji --resume
  torchrun --nproc-per-node=8 -m minidiffusion train fashion_mnist
  minidiffusion sample --checkpoint minidiffusion-fashion_mnist_6k/model.safetensors

Ctrl-C stops early, saves the network so far, and prints the command that resumes. If anything else stops a training,
the same command with --resume continues from the last save, about half a minute earlier, and ends with the network
that it would have had without the interruption.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    first = next(iter(RECIPES))
    add("recipe", nargs="?", default=first, metavar="RECIPE", help=f"one of the recipes below ({first})")
    add("--steps", type=whole(1), metavar="N", help="number of training steps; default: as in the recipe")
    add("--seed", type=whole(0), default=0, metavar="N", help="seed of weights, batches and noise (0)")
    add("--device", metavar="D", help="cpu, cuda or mps; default: the best that this machine has")
    add("--out", type=Path, metavar="FOLDER", help="default: minidiffusion-RECIPE")
    add(
        "--compile",
        action="store_true",
        help="compile the network first: takes a minute, then steps on a GPU are faster",
    )
    add("--resume", action="store_true", help="continue the training in the folder, or start one if there is none")


def run(args: argparse.Namespace) -> int:
    with together():
        return follow(args)


def follow(args: argparse.Namespace) -> int:
    first = processes()[0] == 0
    recipe = RECIPES[one_of("RECIPE", args.recipe, RECIPES)]
    steps = args.steps or recipe.steps
    plan = {"recipe": recipe.name, "seed": args.seed, **dataclasses.asdict(recipe), "steps": steps}
    del plan["name"], plan["about"]  # neither has an influence on the result
    folder = Folder(args.out or Path(f"minidiffusion-{recipe.name}"), plan)
    check_folder("--out", folder.path)
    folder.check(args.resume)

    device = as_device(args.device)
    torch.manual_seed(args.seed)  # for dropout layers; everything else has its own generator
    x0, labels = data.load(recipe.data)
    denoiser = recipe.denoiser(args.seed).to(device)
    classes = recipe.sizes.get("classes", 0)
    # all sheets start from the same noise, so the differences between them are what the network has learned
    count = 64 if x0.ndim == 4 else 500
    generator = torch.Generator().manual_seed(args.seed)
    x_1 = prior((count, *x0.shape[1:]), denoiser.schedule, generator).to(device)
    cond = torch.arange(count, device=device) % classes if classes else None

    with folder.alone(), ctrl_c_waits() as pressed:
        training = fit(
            denoiser,
            (x0, labels) if classes else x0,  # type: ignore[arg-type]  # where there are classes, they are numbers
            steps,
            batch_size=recipe.batch_size,
            learning_rate=recipe.learning_rate,
            weighting=recipe.weighting,
            ema_decay=recipe.ema_decay,
            compile=args.compile,
            seed=args.seed,
            state=folder.load(denoiser, x0.shape[1:]),
        )
        bar = tqdm(training, recipe.name, steps, initial=folder.step, unit="step", disable=None if first else True)
        loss = None
        try:
            for step in bar:
                loss = step.loss if loss is None else 0.98 * loss + 0.02 * step.loss
                bar.set_postfix(loss=f"{loss:.4f}", refresh=False)
                last = step.number == steps
                if first and (last or step.number % -(-steps // 10) == 0):
                    sheet = folder.path / f"sample-{step.number:05}.png"
                    write_sheet(sheet, draw(step.ema, x_1, cond), classes)
                stop = any_process(pressed)
                if first and (last or stop or time.monotonic() > folder.due):
                    folder.save(step, x0.shape[1:])
                if stop:
                    break
        except KeyboardInterrupt:  # pressed twice, so we keep what was saved before
            if not folder.step:
                raise
        except FloatingPointError as error:
            good = f"{folder.model}, of step {folder.step}" if folder.step else "none yet"
            raise RuntimeError(f"{error}; last good checkpoint: {good}") from None
    if not first:
        return 0
    if folder.step < steps:
        reached = f"stopped after {folder.step} of {steps} steps; the network so far is in {folder.model}"
        print(f"minidiffusion: {reached}; resume with: {resuming(args)}", file=sys.stderr)
        return 130
    print(folder.model)
    return 0


def resuming(args: argparse.Namespace) -> str:
    """The command that resumes this training."""
    options = {f"--{name}": getattr(args, name) for name in ("steps", "seed", "device", "out")}
    words = [word for name, value in options.items() if value for word in (name, str(value))]
    torchrun = ["torchrun", f"--nproc-per-node={processes()[1]}", "-m"] if processes()[1] > 1 else []
    words += ["--compile"] * args.compile
    return shlex.join([*torchrun, "minidiffusion", "train", args.recipe, *words, "--resume"])
