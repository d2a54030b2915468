"""Train a network by a recipe, or a system part by part.

The folder gets samples.png, replaced every tenth of the way, loss.csv with the loss of each step, and what was trained.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from .. import data
from ..check import must_be
from ..data.emoji import Captions
from ..process import prior
from ..systems.recipes import SYSTEMS
from ..systems.stages import Stage, World
from ..training import checkpoint
from ..training.descend import Step, fit
from ..training.device import as_device
from ..training.distributed import processes
from ..training.recipes import RECIPES, Recipe, own_pictures
from .inputs import check_folder, one_of, whole
from .keep import Folder, any_process, ctrl_c_waits, together
from .pictures import draw, write_sheet

HELP = "train a network by a recipe"
EXAMPLES = "recipes:\n" + "".join(f"  {recipe.name:21}{recipe.about}\n" for recipe in RECIPES.values())
EXAMPLES += f"\nsystems, trained in stages: {', '.join(SYSTEMS)}\n"
EXAMPLES += """
examples:
  minidiffusion train
  minidiffusion train moons --steps 500 --out moons
  minidiffusion train emoji32 --resume
  minidiffusion train --data my_pictures --size 64
  minidiffusion train stable_diffusion --resume
  torchrun --nproc-per-node=8 -m minidiffusion train fashion_mnist
  minidiffusion sample --checkpoint minidiffusion-fashion_mnist_6k/model.safetensors

Ctrl-C stops early, saves the network so far, and prints the command that resumes. If anything else stops a training,
the same command with --resume continues from the last save, about half a minute earlier, and ends with the network
that it would have had without the interruption.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    first = next(iter(RECIPES))
    add("recipe", nargs="?", metavar="RECIPE", help=f"one of those below ({first})")
    add("--data", type=Path, metavar="FOLDER", help="train on the pictures in this folder; its sub-folders are classes")
    add("--size", type=side, metavar="N", help="side of the square cut out of their middle: 32, 64 or 128 pixels (32)")
    add("--steps", type=whole(1), metavar="N", help="training steps, of a system in each stage (as in the recipe)")
    add("--seed", type=whole(0), default=0, metavar="N", help="seed of weights, batches and noise (0)")
    add("--device", metavar="D", help="cpu, cuda or mps; default: the best that this machine has")
    add("--out", type=Path, metavar="FOLDER", help="default: minidiffusion-RECIPE")
    add(
        "--compile",
        action="store_true",
        help="compile the network first: takes a minute, then steps on a GPU are faster",
    )
    add("--resume", action="store_true", help="continue the training in the folder, or start one if there is none")


def side(text: str) -> int:
    """An argparse type for the sides that a network for one's own pictures can have."""
    if text not in ("32", "64", "128"):
        raise argparse.ArgumentTypeError(f"must be 32, 64 or 128, got {text[:80]!r}")
    return int(text)


def run(args: argparse.Namespace) -> int:
    with together():
        if args.data is not None:
            must_be("left out where --data is given", "RECIPE", args.recipe, args.recipe is None)
            return train_folder(args)
        must_be("given with --data", "--size", args.size, args.size is None)
        args.recipe = args.recipe or next(iter(RECIPES))
        one_of("RECIPE", args.recipe, [*RECIPES, *SYSTEMS])
        if args.recipe in SYSTEMS:
            must_be("left out for a system", "--compile", args.compile, not args.compile)
            return train_system(args)
        recipe = RECIPES[args.recipe]
        return train_recipe(args, recipe, *data.load(recipe.data))


def train_folder(args: argparse.Namespace) -> int:
    images, labels, classes, _ = data.folder(args.data, args.size or 32)
    checksum = hashlib.sha256(images.numpy().tobytes()).hexdigest()[:16]
    about = f"{len(images)} pictures in {args.data.name or args.data}, sha256 {checksum}"
    recipe = own_pictures(about, args.size or 32, len(classes))
    return train_recipe(args, recipe, images, labels, classes)


def train_recipe(
    args: argparse.Namespace, recipe: Recipe, x0: Tensor, labels: Tensor | Captions, names: Sequence[str] = ()
) -> int:
    """Train on x0 by a recipe. names: of the classes, if the data set is not one of the package."""
    steps = args.steps or recipe.steps
    plan = {"recipe": recipe.name, "seed": args.seed, **dataclasses.asdict(recipe), "steps": steps}
    del plan["name"], plan["about"]  # neither has an influence on the result
    plan |= {"classes": list(names)} if names else {}
    folder = Folder(args.out or Path(f"minidiffusion-{recipe.name}"), plan)
    check_folder("--out", folder.path)
    folder.check(args.resume)

    device = as_device(args.device)
    torch.manual_seed(args.seed)  # for dropout layers; everything else has its own generator
    denoiser = recipe.denoiser(args.seed).to(device)
    classes = recipe.sizes.get("classes", 0)
    # all sheets start from the same noise, so the differences between them are what the network has learned
    count = 64 if x0.ndim == 4 else 500
    generator = torch.Generator().manual_seed(args.seed)
    x_1 = prior((count, *x0.shape[1:]), denoiser.schedule, generator).to(device)
    cond = torch.arange(count, device=device) % classes if classes else None

    def show(step: Step) -> None:
        if step.number == steps or step.number % -(-steps // 10) == 0:
            write_sheet(folder.path / "samples.png", draw(step.ema, x_1, cond), classes)

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
        follow(training, folder, recipe.name, steps, pressed, show, x0.shape[1:])
    return report(args, folder, steps)


def train_system(args: argparse.Namespace) -> int:
    """Train one part after the other; each ends with its own file, and a part that has one is not trained again."""
    path = args.out or Path(f"minidiffusion-{args.recipe}")
    check_folder("--out", path)
    device, world = as_device(args.device), World(*data.load("emoji64"))  # type: ignore[arg-type]
    for stage in SYSTEMS[args.recipe]:
        steps = args.steps or stage.steps
        settings = dict(batch_size=stage.batch_size, learning_rate=stage.learning_rate, ema_decay=stage.ema_decay)
        plan = {"recipe": stage.name, "data": "emoji64", "seed": args.seed, **settings, "steps": steps}
        folder = Folder(path, plan, stage.name)
        part, stopped = folder.finished(steps), False

        def show(step: Step, stage: Stage = stage, steps: int = steps) -> None:
            if stage.show and (step.number == steps or step.number % -(-steps // 10) == 0):
                write_sheet(path / f"{stage.name}.png", stage.show(step.ema, world).cpu())

        if part is None:
            folder.check(args.resume)
            with folder.alone(), ctrl_c_waits() as pressed:
                model = untrained(stage, world, args.seed).to(device)
                state = folder.load(model)
                training = stage.fit(model, world, steps, seed=args.seed, state=state, **settings)
                part = follow(training, folder, stage.name, steps, pressed, show)
                if folder.step < steps:
                    return report(args, folder, steps)
                part = part or checkpoint.load(folder.model, device)  # the interruption came after the last step
                stage.finish(part, world)
                if processes()[0] == 0:
                    folder.finish(part)
                stopped = any_process(pressed)
        report(args, folder, steps)
        # a file holds no memory layout, which decides the speed and the last bits of what comes next
        part = part.to(device, memory_format=torch.channels_last)
        world.parts[stage.name] = part.eval().requires_grad_(False)
        if stopped and stage is not SYSTEMS[args.recipe][-1]:
            if processes()[0] == 0:
                print(f"minidiffusion: stopped after {stage.name}; resume with: {resuming(args)}", file=sys.stderr)
            return 130
    return 0


def untrained(stage: Stage, world: World, seed: int) -> nn.Module:
    """The part before training; the seed decides its first weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return stage.build(world)


def follow(
    training: Iterator[Step],
    folder: Folder,
    name: str,
    steps: int,
    pressed: list[float],
    show: Callable[[Step], None] = lambda step: None,
    shape: Sequence[int] | None = None,
) -> Any:
    """Go through a training with a progress bar; save it now and then, and at its end. Returns the last average."""
    first = processes()[0] == 0
    bar = tqdm(training, name, steps, initial=folder.step, unit="step", disable=None if first else True)
    loss = ema = None
    try:
        for step in bar:
            loss, ema = step.loss if loss is None else 0.98 * loss + 0.02 * step.loss, step.ema
            bar.set_postfix(loss=f"{loss:.4f}", refresh=False)
            if first:
                folder.note(step)
                show(step)
                if step.number % -(-steps // 10) == 0 and not sys.stderr.isatty():  # in a log, where there is no bar
                    print(f"{name}: step {step.number:,} of {steps:,}, loss {loss:.4f}", file=sys.stderr, flush=True)
            stop = any_process(pressed)
            if first and (step.number == steps or stop or time.monotonic() > folder.due):
                folder.save(step, shape)
            if stop:
                break
    except KeyboardInterrupt:  # pressed twice, so we keep what was saved before
        if not folder.step:
            raise
    except FloatingPointError as error:
        good = f"{folder.model}, of step {folder.step}" if folder.step else "none yet"
        raise RuntimeError(f"{error}; last good checkpoint: {good}") from None
    return ema


def report(args: argparse.Namespace, folder: Folder, steps: int) -> int:
    """Say where the network is, or how to go on; the exit status."""
    if processes()[0] > 0:
        return 0
    if folder.step < steps:
        reached = f"stopped after {folder.step} of {steps} steps; the network so far is in {folder.model}"
        print(f"minidiffusion: {reached}; resume with: {resuming(args)}", file=sys.stderr)
        return 130
    print(folder.model)
    return 0


def resuming(args: argparse.Namespace) -> str:
    """The command that resumes this training."""
    options = {f"--{name}": getattr(args, name) for name in ("data", "size", "steps", "seed", "device", "out")}
    words = [word for name, value in options.items() if value for word in (name, str(value))]
    torchrun = ["torchrun", f"--nproc-per-node={processes()[1]}", "-m"] if processes()[1] > 1 else []
    words += ["--compile"] * args.compile
    recipe = [args.recipe] if args.recipe else []
    return shlex.join([*torchrun, "minidiffusion", "train", *recipe, *words, "--resume"])
