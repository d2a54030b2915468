"""Latents or pixels? The same U-Net with the same words and the same arithmetic, once on latents, once on pixels.

    python figures/systems/latent_or_pixel.py FOLDER [--arm NAME ...] [--steps 2000]

Every arm takes as many floating-point operations as Stable Diffusion's U-Net in so many steps, and the pixels get those
of training the autoencoder on top. On pixels the U-Net looks at squares of 8x8 or 4x4: with 8x8 a step costs what it
costs on latents, and with 4x4 about four times as much, so there are fewer. The output is v, and on pixels x0 as
well, which suits large squares better (Li and He 2025). Each arm first tries TRIALS of its learning rate and noise, at
a tenth of the arithmetic and with another seed, and keeps the one that the judge finds best. An arm that FOLDER holds
is skipped; when all are there, latent_or_pixel.json and .png are written here.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))  # for figures/common.py

import torch
from common import Parser
from judge import Judge, load_judge
from matplotlib.figure import Figure
from quality import chosen, features, top1
from torch import Generator, Tensor

import minidiffusion as md
from minidiffusion.course import ledger
from minidiffusion.data.emoji import load_emoji
from minidiffusion.guidance import classifier_free
from minidiffusion.metrics import frechet_distance
from minidiffusion.nets import UNet
from minidiffusion.plots import strips
from minidiffusion.samplers import sample
from minidiffusion.systems.first_stage import fit_autoencoder
from minidiffusion.systems.latent_diffusion import GUIDED, METHOD, SCALE, fit_words
from minidiffusion.systems.prompts import noise, read
from minidiffusion.systems.recipes import AUTOENCODER, AUTOENCODER_DRAFT
from minidiffusion.systems.stages import World
from minidiffusion.training.descend import Step

HERE, BATCH, COUNT, STEPS, SHARE = Path(__file__).parent, 64, 1000, 24, 10
ARMS = {  # channels and side of what is denoised, squares of the U-Net, output
    "latents, v": (8, 16, 2, "v"),
    "pixels 8x8, x0": (3, 64, 8, "x0"),
    "pixels 4x4, v": (3, 64, 4, "v"),
    "pixels 4x4, x0": (3, 64, 4, "x0"),
}
TRIALS = [(1e-3, 2.0), (5e-4, 2.0), (1e-3, 4.0)]  # learning rate; more noise in the schedule
Counter = ledger.load("e17_rivals").Counter


def training(arm: str, world: World, steps: int, settings: tuple[float, float], seed: int) -> Iterator[Step]:
    channels, _, patch, head = ARMS[arm]
    torch.manual_seed(seed)
    net = UNet(channels, (128, 192), (2, 2), context=128, patch=patch).to(memory_format=torch.channels_last)
    rate, more = settings
    denoiser = md.Denoiser(net, md.schedule.shifted(md.schedule.cosine(), more), md.heads.HEADS[head])
    data = world.latents if channels == 8 else md.datasets.to_float(world.pictures).half()
    options = dict(batch_size=BATCH, weighting="uniform" if head == "v" else "min_snr", learning_rate=rate, seed=seed)
    return fit_words(denoiser, data, world.captions, world.parts["clip"], steps, **options)


def operations(steps: Iterator[Step]) -> int:
    with Counter() as counter:
        next(steps)
    return int(counter.total)


def steps_of(arm: str, world: World, steps: int) -> int:
    """How many steps of this arm cost what so many steps on latents cost, and on pixels the autoencoder too."""
    budget = steps * operations(training("latents, v", world, 1, TRIALS[0], 0))
    if arm.startswith("pixels"):
        for stage in (AUTOENCODER_DRAFT, AUTOENCODER):
            net = stage.build(World(world.pictures, world.captions, {"autoencoder_draft": world.parts["autoencoder"]}))
            one = fit_autoencoder(net, world.pictures[:500], 1, batch_size=stage.batch_size)
            budget += stage.steps * operations(one)
    return budget // operations(training(arm, world, 1, TRIALS[0], 0))


@torch.no_grad()
def draw(arm: str, denoise: Any, world: World, prompts: list[str]) -> Tensor:
    channels, side, *_ = ARMS[arm]
    parts = []
    for i in range(0, len(prompts), 50):
        words = read(world.parts["clip"], prompts[i : i + 50])
        z = noise((channels, side, side), [Generator().manual_seed(i + j) for j in range(len(words))])
        x = sample(classifier_free(denoise, SCALE, None, GUIDED), z, None, STEPS, METHOD, cond=words)
        parts.append(world.parts["autoencoder"].decode(x) if channels == 8 else x.clamp(-1, 1))
    return torch.cat(parts)


def scores(judge: Judge, drawn: Tensor, far: Tensor, prompts: list[str]) -> dict[str, float]:
    with torch.no_grad():
        distance = frechet_distance(features(judge, drawn).double(), features(judge, far).double())
        return {"judged_right": top1(judge, drawn, prompts)[0], "frechet": distance}


def job(arm: str, steps: int, judge: Judge, world: World) -> dict[str, Any]:
    real, captions, index = chosen("train", 2 * COUNT)
    prompts, far = [captions.prompts()[i] for i in index[:COUNT]], real[COUNT:]
    whole, started = steps_of(arm, world, steps), time.perf_counter()
    tried = []
    for settings in TRIALS:
        *_, step = training(arm, world, whole // SHARE, settings, 1)
        tried.append(scores(judge, draw(arm, step.ema, world, prompts[:500]), far, prompts[:500])["judged_right"])
    *_, step = training(arm, world, whole, TRIALS[tried.index(max(tried))], 0)
    drawn = draw(arm, step.ema, world, prompts)
    return {
        "steps": whole,
        "tried": [[*settings, found] for settings, found in zip(TRIALS, tried, strict=True)],
        **scores(judge, drawn, far, prompts),
        "seconds": round(time.perf_counter() - started),
        "shown": md.datasets.to_uint8(drawn[:12].clamp(-1, 1)).tolist(),
    }


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--arm", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--steps", type=int, default=2000)
    args = parser.parse()
    args.folder.mkdir(parents=True, exist_ok=True)
    system, judge = md.systems.stable_diffusion(), load_judge()
    world = World(*load_emoji("train"), {"clip": system.clip, "autoencoder": system.autoencoder})
    for arm in args.arm:
        file = args.folder / f"{arm}.json"
        if not file.exists():
            file.write_text(json.dumps(job(arm, args.steps, judge, world)) + "\n")
        print(arm, {key: found for key, found in json.loads(file.read_text()).items() if key != "shown"}, flush=True)
    found = {arm: json.loads(file.read_text()) for arm in ARMS if (file := args.folder / f"{arm}.json").exists()}
    if len(found) == len(ARMS):
        write(found, args.steps, judge)


def write(found: dict[str, Any], steps: int, judge: Judge) -> None:
    real, captions, index = chosen("train", 2 * COUNT)
    prompts = [captions.prompts()[i] for i in index[:COUNT]]
    shown = {arm: torch.tensor(one.pop("shown"), dtype=torch.uint8) for arm, one in found.items()}
    rows = [("real", real[:12]), *((arm, md.datasets.to_float(x)) for arm, x in shown.items())]
    figure: Figure = strips(rows)
    figure.savefig(HERE / "latent_or_pixel.png", dpi=120)
    command = f"python figures/systems/latent_or_pixel.py FOLDER --steps {steps}"
    known = {"command": command, "count": COUNT, "real": scores(judge, real[:COUNT], real[COUNT:], prompts)}
    (HERE / "latent_or_pixel.json").write_text(json.dumps(known | {"arms": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
