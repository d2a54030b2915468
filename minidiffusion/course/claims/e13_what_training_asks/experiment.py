"""What does training ask of a draw from the prior? Count, in the training loop itself.

A denoiser notes every call. A sampler of 50 steps would call it 50 times to turn one draw into a picture. And what the
network is shown: how much of each x_t is the picture it was made from, by the least squares of x_t on x0; a draw from
the prior would have none. For comparison the same count in the training of a GAN's generator.
"""

from __future__ import annotations

import torch
from matplotlib.figure import Figure
from torch import Tensor

import minidiffusion as md
from minidiffusion import rivals

STEPS = {"lesson": 50, "full": 200}


class Noting(torch.nn.Module):
    """A network that counts its calls, and keeps the times at which it was asked."""

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
        "walks_from_the_prior_a_step": (noting.calls / steps - 1) / 50,  # beyond the one call that the loss asks for
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
