"""Fair rivals: convolutional VAE, IMLE and GANs beside U-Nets, at equal arithmetic, each with the same care.

All networks are built of the blocks of the U-Net (residual, 32 channels at 14x14 and 64 at 7x7). All trainings of a
budget take the same number of floating-point operations, which are counted, except those of the U-Net's attention (3.6%
of its own); `budget` 1 is what the U-Net of e18_unets takes for 600 steps, and 4 is four times that. Each model gets
four to eight trials of its settings, at a quarter of the budget and with a seed that is not used again (`tune`;
rates.json); for the GANs a trial is a learning rate with a penalty. Where the best of the first four was the largest or
the smallest that was tried, more were added beyond it, before any seed was looked at. (IMLE at budget 4 is still best
at the largest rate, but its distances hardly differ.)

The VAE draws its codes from ten Gaussians that were fitted to them ("VAE, fitted"), and from N(0, I) ("VAE"). The
diffusion models predict eps, x0 or v with min-SNR weights, and are sampled as in e18_unets: 16 steps from log SNR -7.
What sampling costs is not in the budget; a rival needs one call, and a diffusion model 16.

The judge is that of e18_unets: the Frechet distance to the test pictures in two feature spaces, precision and recall.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

import minidiffusion as md
from minidiffusion import rivals
from minidiffusion.course import ledger
from minidiffusion.nets.unet import Block, Norm

e17, e18 = ledger.load("e17_rivals"), ledger.load("e18_unets")
LATENT, BATCH, BUDGETS, TUNING_SEED = 64, 64, (1, 4), 100
STEPS = {"lesson": 20, "full": 600}  # of the U-Net, at budget 1
COUNT = {"lesson": 200, "full": 1000}
TRIALS: dict[str, list[tuple[float, ...]]] = {
    **{name: [(1e-3,), (2e-3,), (4e-3,), (8e-3,)] for name in ("eps", "x0", "v")},
    **{name: [(1e-3,), (2e-3,), (4e-3,), (8e-3,), (16e-3,), (32e-3,)] for name in ("VAE", "IMLE")},
    "GAN 2014": [(2e-4, 0.0), (5e-4, 0.0), (1e-3, 0.0), (2e-3, 0.0), (4e-3, 0.0), (8e-3, 0.0)],
    "GAN 2024": [
        *((5e-4, 0.1), (5e-4, 1.0), (2e-3, 0.1), (2e-3, 1.0)),
        *((2e-4, 1.0), (1e-3, 1.0), (5e-4, 5.0), (1e-3, 5.0)),
    ],
}
LOSSES = {"GAN 2014": "non_saturating", "GAN 2024": "relativistic"}
HEADS, RIVALS = ("eps", "x0", "v"), ("VAE, fitted", "IMLE", "GAN 2014", "GAN 2024")


class Generator(nn.Sequential):
    """A code -> a picture: the way up of the U-Net, without its time."""

    def __init__(self) -> None:
        super().__init__(
            *(nn.Linear(LATENT, 64 * 49), nn.Unflatten(1, (64, 7, 7)), Block(64)),
            *(nn.ConvTranspose2d(64, 32, 2, stride=2), Block(32), Norm(32), nn.SiLU()),
            nn.Conv2d(32, 1, 3, padding=1),
        )


class Encoder(nn.Sequential):
    """A picture -> `out` numbers: the way down."""

    def __init__(self, out: int) -> None:
        super().__init__(
            *(nn.Conv2d(1, 32, 3, padding=1), Block(32), nn.Conv2d(32, 64, 2, stride=2)),
            *(Block(64), Norm(64), nn.SiLU(), nn.Flatten(), nn.Linear(64 * 49, out)),
        )


def arms(scale: str) -> list[str]:
    """Model and budget."""
    return [f"{name} x{budget}" for budget in (BUDGETS if scale == "full" else BUDGETS[:1]) for name in TRIALS]


def training(name: str, x: Tensor, steps: int, settings: tuple[float, ...], seed: int) -> Iterator[Any]:
    """Make new networks, and train them step by step."""
    rate, *penalty = settings
    torch.manual_seed(seed)
    options = dict(batch_size=BATCH, learning_rate=rate, ema_decay=0.995, seed=seed)
    if name in HEADS:
        model = e18.denoiser(f"{name} min_snr own", seed)
        # in float32 on every machine, as the rivals are
        return md.fit(model, x, steps, weighting="min_snr", precision="float32", **options)  # type: ignore[arg-type]
    if name == "VAE":
        return rivals.vae.fit(rivals.VAE(Encoder(2 * LATENT), Generator()), x, steps, **options)  # type: ignore[arg-type]
    if name == "IMLE":
        return rivals.imle.fit(Generator(), LATENT, x, steps, **options)  # type: ignore[arg-type]
    gan = rivals.GAN(Generator(), Encoder(1), LATENT)
    return rivals.gan.fit(gan, x, steps, loss=LOSSES[name], penalty=penalty[0], **options)  # type: ignore[arg-type]


@functools.cache
def cost(name: str) -> int:
    """The floating-point operations of one training step."""
    with e17.Counter() as counter:
        next(training(name, e18.pictures()[0], 1, TRIALS[name][0], 0))
    return int(counter.total)


def steps_for(name: str, budget: float, scale: str) -> int:
    """How many steps of this model cost as much as the U-Net's at this budget."""
    return max(1, round(budget * STEPS[scale] * cost("v") / cost(name)))


def drawn(name: str, ema: Any, count: int, seed: int) -> dict[str, Tensor]:
    """Pictures from a trained model; of the VAE two sets, with codes from N(0, I) and from ten Gaussians."""
    if name in HEADS:
        return {name: e18.drawn(ema, -7.0, True, count, seed)}
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(count, LATENT, generator=generator)
    with torch.no_grad():
        if name != "VAE":
            return {name: torch.cat([ema(part) for part in z.split(250)])}
        mean, std = map(torch.cat, zip(*(ema.encode(part) for part in e18.pictures()[0].split(250)), strict=True))
        codes = mean + std * torch.randn(mean.shape, generator=generator)
        fitted = rivals.codes.several_gaussians(codes, md.schedule.cosine()).sample(count, generator).float()
        found = {"VAE": z, "VAE, fitted": fitted}
        return {key: torch.cat([ema.decode(part) for part in codes.split(250)]) for key, codes in found.items()}


def job(arm: str, seed: int, scale: str, device: torch.device) -> dict[str, Any]:
    """Train one model at one budget with one seed, and judge its pictures; `diverged` if a loss was not finite."""
    name, budget = arm.split(" x")
    steps = steps_for(name, int(budget), scale)
    try:
        settings = settings_of(arm) if scale == "full" else TRIALS[name][1]
        *_, step = training(name, e18.pictures()[0], steps, settings, seed)
    except FloatingPointError:
        return {"diverged": True, "steps": steps}
    pictures = drawn(name, step.ema, COUNT[scale], seed)
    return {
        "diverged": False,
        "steps": steps,
        "scores": {key: e18.judged(x) for key, x in pictures.items()},
        "shown": {key: md.datasets.to_uint8(x[:10].clamp(-1, 1)).flatten(1).tolist() for key, x in pictures.items()},
    }


def tune(arm: str) -> list[float | None]:
    """The Frechet distance for each of TRIALS at a quarter of the budget; None where it diverges."""
    name, budget = arm.split(" x")
    found: list[float | None] = []
    for settings in TRIALS[name]:
        try:
            steps = steps_for(name, int(budget) / 4, "full")
            *_, step = training(name, e18.pictures()[0], steps, settings, TUNING_SEED)
            pictures = drawn(name, step.ema, 500, TUNING_SEED)
            found.append(e18.judged(list(pictures.values())[-1])["frechet"])
        except FloatingPointError:
            found.append(None)
    return found


def settings_of(arm: str) -> tuple[float, ...]:
    """The best of the settings of this arm, from rates.json."""
    tried = json.loads(Path(__file__).with_name("rates.json").read_text(encoding="utf-8"))[arm]
    return TRIALS[arm.split(" x")[0]][
        min((i for i, found in enumerate(tried) if found is not None), key=tried.__getitem__)
    ]


yardsticks = e18.yardsticks


def combined(found: dict[str, dict[str, Any]], scale: str) -> dict[str, Any]:
    """The comparisons of one seed at the largest budget. A model that diverged counts as a distance of 1,000."""
    largest = (BUDGETS if scale == "full" else BUDGETS[:1])[-1]
    lost = {"frechet": 1e3, "precision": 0.0, "recall": 0.0}
    scores: dict[str, dict[str, float]] = {}
    for name in TRIALS:
        one = found[f"{name} x{largest}"]
        names = ("VAE", "VAE, fitted") if name == "VAE" else (name,)
        scores |= dict.fromkeys(names, lost) if one["diverged"] else one["scores"]
    frechet = {name: max(score["frechet"], 1e-3) for name, score in scores.items()}
    gan = min(LOSSES, key=frechet.__getitem__)
    diffusion = min(HEADS, key=frechet.__getitem__)
    return {
        "arms": found,
        "diffusion_over_best_rival": frechet[diffusion] / min(frechet[name] for name in RIVALS),
        "gan_over_vae": frechet[gan] / frechet["VAE"],
        "imle_over_gan": frechet["IMLE"] / frechet[gan],
        "eps_over_gan": frechet["eps"] / frechet[gan],
        "x0_or_v_over_gan": min(frechet["x0"], frechet["v"]) / frechet[gan],
        "precision_over_gan": scores[diffusion]["precision"] - scores[gan]["precision"],
        "recall_over_gan": scores[diffusion]["recall"] - scores[gan]["recall"],
    }


def run(seed: int, scale: str, device: torch.device) -> dict[str, Any]:
    return combined({arm: job(arm, seed, scale, device) for arm in arms(scale)}, scale)


def plot(runs: list[dict[str, Any]]) -> Figure:
    """Left, the Frechet distance against the budget; right, ten pictures of each model at the largest one."""
    figure = Figure(figsize=(9, 6), layout="constrained")
    left, right = figure.subfigures(1, 2)
    axis = left.subplots()
    shown: dict[str, list[list[int]]] = {}
    for i, name in enumerate((*HEADS, "VAE", *RIVALS)):
        points: dict[int, list[float]] = {}
        for one in runs:
            for arm, found in one["arms"].items():
                if name in found.get("scores", {}):
                    points.setdefault(int(arm.split(" x")[1]), []).append(found["scores"][name]["frechet"])
                    if "shown" in found:  # only the first seed keeps its pictures
                        shown[name] = found["shown"][name]
        budgets = sorted(points)
        means = [torch.tensor(points[b]).log().mean().exp().item() for b in budgets]
        axis.plot(budgets, means, md.plots.MARKERS[i % 8] + "-", color=md.plots.COLOURS[i % 8], label=name)
    axis.set(xscale="log", yscale="log", xlabel="arithmetic of training", ylabel="Frechet distance")
    axis.set_xticks(BUDGETS, map(str, BUDGETS))
    axis.set_yticks((0.5, 1, 2, 5, 10), ("0.5", "1", "2", "5", "10"))
    axis.minorticks_off()
    axis.legend(frameon=False, fontsize=8)
    for line, (name, rows) in zip(right.subplots(len(shown), 1), shown.items(), strict=True):
        x = md.datasets.to_float(torch.tensor(rows, dtype=torch.uint8)).view(-1, 1, 14, 14)
        line.imshow(md.plots.tile(x, columns=10, gap=1))
        line.set_axis_off()
        line.set_title(name, fontsize=8, loc="left", pad=2)
    return figure
