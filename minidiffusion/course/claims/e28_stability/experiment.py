"""E9, on a ring of eight Gaussians. How often does a GAN lose modes, and is the prior to blame, or the loss?

All models have the same MLPs and data, with learning rates at factors of three around the usual one. The diffusion
model takes three times as many steps, because a step of a GAN trains two networks. There are three GANs (the loss of
2014, the same with R1 + R2, and the relativistic loss with R1 + R2) and a diffusion model. A mode is kept if at least
2% of 2,000 samples (a fair share is 12.5%) lie within three standard deviations of its centre. Beside it is the
Dirac-GAN (Mescheder et al. 2018), one number against one slope, whose eigenvalues are known. With the data at 0 and
D(x) = psi x, gradient descent moves (theta, psi) around a circle, and R1 + R2 with weight gamma turns the circle into a
spiral towards its centre.
"""

from __future__ import annotations

import math

import torch
from matplotlib.figure import Figure
from torch import Tensor

import minidiffusion as md
from minidiffusion import rivals

RADIUS, SPREAD, COUNT = 2.0, 0.15, 2000
STEPS = {"lesson": 800, "full": 1000}
RATES = {"lesson": (3.0,), "full": (3.0, 1.0, 1 / 3)}  # factors of the usual one
KINDS = {
    "GAN 2014": ("non_saturating", 0.0),
    "GAN 2014 + R1 + R2": ("non_saturating", 0.1),
    "GAN 2024": ("relativistic", 0.1),
}


def ring(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Points around eight centres on a circle, and the centres."""
    angle = torch.arange(8) * math.pi / 4
    centres = RADIUS * torch.stack([angle.cos(), angle.sin()], 1)
    chosen = torch.randint(8, (count,), generator=generator)
    return centres[chosen] + SPREAD * torch.randn(count, 2, generator=generator), centres


def modes_kept(x: Tensor, centres: Tensor) -> tuple[int, float]:
    """The number of modes with a share of 2% or more, and the share of samples near any mode."""
    near = torch.cdist(x, centres) < 3 * SPREAD
    return int((near.double().mean(0) >= 0.02).sum()), near.any(1).double().mean().item()


def dirac(penalty: float, rate: float = 0.05, steps: int = 400) -> list[float]:
    """|(theta, psi)| during simultaneous gradient descent on the non-saturating loss, from (1, 0)."""
    theta, psi, path = 1.0, 0.0, []
    for _ in range(steps):
        slope = 1 / (1 + math.exp(-psi * theta))  # of the discriminator's term, softplus at D(theta)
        push = 1 / (1 + math.exp(psi * theta))  # of the generator's term
        theta, psi = theta + rate * push * psi, psi - rate * (slope * theta + 2 * penalty * psi)
        path.append(math.hypot(theta, psi))
    return path


def run(seed: int, scale: str, device: torch.device) -> dict:
    steps, rates = STEPS[scale], RATES[scale]
    generator = torch.Generator().manual_seed(seed)
    data, centres = ring(20_000, generator)
    z = torch.randn(COUNT, 2, generator=generator)
    kept: dict[str, list[int]] = {}
    quality: dict[str, list[float]] = {}
    settings = dict(batch_size=128, ema_decay=0.99, seed=seed)
    for name, (loss, penalty) in KINDS.items():
        kept[name], quality[name] = [], []
        for rate in rates:
            torch.manual_seed(seed)
            gan = rivals.GAN(rivals.Body((2,), (2,), 64, 2), rivals.Body((2,), (1,), 64, 2), 2)
            try:
                *_, step = rivals.gan.fit(
                    gan, data, steps, learning_rate=1e-3 * rate, loss=loss, penalty=penalty, **settings
                )
                modes, share = modes_kept(step.ema(z), centres)
            except FloatingPointError:
                modes, share = 0, 0.0
            kept[name].append(modes)
            quality[name].append(share)
    kept["diffusion"], quality["diffusion"] = [], []
    for rate in rates:
        torch.manual_seed(seed)
        net = md.Denoiser(md.nets.MLP(2, 64, 2), md.schedule.cosine(), md.heads.V)
        *_, step = md.fit(net, data, 3 * steps, learning_rate=2e-3 * rate, precision="float32", **settings)
        x = md.sample(step.ema, z, steps=50, method="ddpm", generator=torch.Generator().manual_seed(seed))
        modes, share = modes_kept(x, centres)
        kept["diffusion"].append(modes)
        quality["diffusion"].append(share)

    def failed(name: str) -> float:
        return sum(modes < 8 for modes in kept[name]) / len(rates)

    penalised = min("GAN 2014 + R1 + R2", "GAN 2024", key=failed)
    plain, calm = dirac(0.0), dirac(1.0)
    return {
        "rates": list(rates),
        "modes_kept": kept,
        "share_near_a_mode": quality,
        "dirac": {"no penalty": plain[::8], "R1 + R2": calm[::8]},
        "more_failures_than_diffusion": failed("GAN 2014") - failed("diffusion"),
        "more_failures_with_penalty": failed(penalised) - failed("diffusion"),
        "dirac_radius_left_with_penalty": calm[-1],
        "dirac_radius_left_without": plain[-1],
    }


def plot(runs: list[dict]) -> Figure:
    """Modes kept, the share of samples near a mode, and the path of the Dirac-GAN."""
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(2, 2, 1.2))
    names = list(runs[0]["modes_kept"])
    for axis, key in (left, "modes_kept"), (middle, "share_near_a_mode"):
        for i, name in enumerate(names):
            for j, rate in enumerate(runs[0]["rates"]):
                values = [run[key][name][j] for run in runs]
                spot = [i + 0.22 * (j - 1) + 0.03 * (k - 2) for k in range(len(values))]
                label = f"learning rate x {rate:.2g}" if i == 0 else None
                axis.plot(spot, values, md.plots.MARKERS[j], color=md.plots.COLOURS[j], ms=5, alpha=0.8, label=label)
        axis.set_xticks(range(len(names)), [name.replace(" + R1", "\n+ R1", 1) for name in names], fontsize=8)
    left.set_ylabel("modes kept, of 8", fontsize=9)
    left.set_ylim(-0.4, 8.4)
    left.legend(frameon=False, fontsize=8, loc="lower right")
    middle.set_ylabel("share of samples near a mode", fontsize=9)
    middle.set_ylim(-0.05, 1.05)
    for i, (name, path) in enumerate(runs[0]["dirac"].items()):
        right.plot(
            range(0, 8 * len(path), 8), path, color=md.plots.COLOURS[i], marker=md.plots.MARKERS[i], ms=3, label=name
        )
    right.set_xlabel("steps of the Dirac-GAN", fontsize=9)
    right.set_ylabel("distance to its equilibrium", fontsize=9)
    right.legend(frameon=False, fontsize=8)
    for axis in (left, middle, right):
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    return figure
