"""Does training use samples from the prior? We count in the training loop itself.

A denoiser records every call. A sampler of 50 steps would call it 50 times to turn one sample of the prior into an
image. We also record the times at which the network is called: t = 1 would be the prior. For comparison we count the
samples that the training of a GAN's generator makes.
"""

from __future__ import annotations

import torch
from matplotlib.figure import Figure
from torch import Tensor

import minidiffusion as md
from minidiffusion import rivals

STEPS = {"lesson": 50, "full": 200}


class Noting(torch.nn.Module):
    """A network that counts its calls and records the times."""

    def __init__(self, net: torch.nn.Module):
        super().__init__()
        self.net, self.calls, self.times = net, 0, []

    def forward(self, x: Tensor, *rest: Tensor | None) -> Tensor:
        self.calls += 1
        if rest:
            self.times.append(rest[0].detach())
        return self.net(x, *rest)


def run(seed: int, scale: str, device: torch.device) -> dict:
    steps = STEPS[scale]
    points = md.datasets.load("moons")[0]
    torch.manual_seed(seed)
    noting = Noting(md.nets.MLP(2, 32, 1))
    for _ in md.fit(
        md.Denoiser(noting, md.schedule.cosine(), md.heads.EPS), points, steps, precision="float32", seed=seed
    ):
        pass
    times = torch.cat(noting.times)
    generator = Noting(rivals.Body((2,), (2,), 32, 1))
    gan = rivals.GAN(generator, rivals.Body((2,), (1,), 32, 1), 2)
    for _ in rivals.gan.fit(gan, points, steps, seed=seed):
        pass
    return {
        "calls_a_step": noting.calls / steps,
        "calls_a_picture_when_sampling": 50,
        "share_at_pure_noise": (times >= 1).double().mean().item(),
        "walks_from_the_prior_a_step": (noting.calls / steps - 1) / 50,  # beyond the one call that the loss needs
        "gan_draws_judged_a_step": generator.calls / steps,
        "times": torch.histc(times, 20, 0, 1).tolist(),
    }


def plot(runs: list[dict]) -> Figure:
    counts = torch.tensor([run["times"] for run in runs]).mean(0)
    middle = ((torch.arange(20) + 0.5) / 20).tolist()
    lines = {"calls in training, one an item": (middle, (counts / counts.sum()).tolist())}
    figure = md.plots.curves(lines, "time t at which the network is asked (1 is the prior)", "share of the calls")
    figure.axes[0].set_ylim(0, 0.1)
    return figure
