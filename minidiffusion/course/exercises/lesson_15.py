"""Lesson 15: the discriminator's loss, its gradient penalty, and IMLE's choice."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .judge import Wrong, call, close, name_mistake, number


def discriminator_loss(answer: Any) -> None:
    """15.1: discriminator_loss(real, fake) -> mean softplus(-real) + mean softplus(fake)."""
    generator = torch.Generator().manual_seed(0)
    for kind in (torch.float64, torch.float32):
        real, fake = (2 * torch.randn(2, 64, 1, generator=generator, dtype=torch.float64) + 0.7).to(kind)
        loss = call(answer, real=real, fake=fake)
        if isinstance(loss, Tensor) and loss.ndim > 0:
            raise Wrong(f"it must be one number, the mean over the batch, and yours has the shape {tuple(loss.shape)}.")
        loss = torch.as_tensor(number(loss, "the loss"), dtype=torch.float64)
        r, f = real.double(), fake.double()
        up, down = F.softplus(-r).mean(), F.softplus(f).mean()
        if not close(loss, up + down):
            name_mistake(
                loss,
                [
                    (
                        F.softplus(r).mean() + F.softplus(-f).mean(),
                        "the signs are the other way round: D wants real high.",
                    ),
                    (
                        F.softplus(-r).mean() + F.softplus(-f).mean(),
                        "made answers must be pushed down: softplus(fake).",
                    ),
                    (F.softplus(r).mean() + F.softplus(f).mean(), "real answers must be pushed up: softplus(-real)."),
                    (up, "that is the half for real pictures: add softplus(fake)."),
                    (down, "that is the half for made pictures: add softplus(-real)."),
                    ((up + down) / 2, "the two means are added, not averaged."),
                    (64 * (up + down), "you summed over the batch: take the mean."),
                    (-(up + down), "the sign is wrong: a loss is to be made small."),
                    (F.relu(1 - r).mean() + F.relu(1 + f).mean(), "that is the hinge loss. Here it is softplus."),
                    (f.mean() - r.mean(), "that is Wasserstein's loss: the softplus is missing."),
                    (F.softplus(f - r).mean(), "that is the relativistic loss. The one of 2014 judges each alone."),
                    (up - down, "both terms are added: each is a loss of its own."),
                ],
            )
            raise Wrong(
                f"where all answers are 0 it must be 2 log 2 = {2 * math.log(2):.2f}; "
                f"on random answers yours is {loss:.3g}, and the loss {up + down:.3g}."
            )


class _Bumps(nn.Module):
    """A discriminator whose gradient is known: sum of a x + sin(b x)."""

    def __init__(self, a: Tensor, b: float):
        super().__init__()
        self.a, self.b = nn.Parameter(a), b

    def forward(self, x: Tensor) -> Tensor:
        return (self.a * x + torch.sin(self.b * x)).flatten(1).sum(1, keepdim=True)


def steepness(answer: Any) -> None:
    """15.2: steepness(discriminator, x) -> the mean over x of |grad D(x)|^2, differentiable in D's weights."""
    generator = torch.Generator().manual_seed(0)
    a, x = (torch.randn(*s, generator=generator, dtype=torch.float64) for s in ((1, 3, 3), (6, 1, 3, 3)))
    net = _Bumps(a, 1.7)
    value = call(answer, discriminator=net, x=x)
    if isinstance(value, Tensor) and value.ndim > 0:
        raise Wrong(f"it must be one number, the mean over the batch, and yours has the shape {tuple(value.shape)}.")
    slope = (a + 1.7 * torch.cos(1.7 * x)).flatten(1)
    each = slope.square().sum(1)
    found = torch.as_tensor(number(value, "the penalty"), dtype=torch.float64)
    if not close(found, each.mean()):
        name_mistake(
            found,
            [
                (each.sqrt().mean(), "that is the length of the gradient: square it."),
                (each.mean() / 2, "the factor 1/2 belongs to gamma: return the mean of the squares."),
                (each.sum(), "you summed over the batch: take the mean over pictures."),
                (
                    slope.square().mean(),
                    "the squares are summed over a picture's numbers; the mean is over pictures only.",
                ),
                (
                    slope.mean(0).square().sum(),
                    "you averaged the gradients before squaring: square each picture's first.",
                ),
                (slope.sum(0).square().sum(), "you added the gradients before squaring: square each picture's first."),
                (each.mean() / 36, "you took the gradient of the mean score: of the sum, it is that of each picture."),
                ((each.sqrt() - 1).square().mean(), "that is WGAN-GP's penalty: R1 pulls the length to 0, not to 1."),
                (
                    slope.sum(1).square().mean(),
                    "square each number of the gradient, then sum; not the other way round.",
                ),
            ],
        )
        raise Wrong(f"it is {found:.3g}, and the mean squared length of the gradient is {each.mean():.3g}.")
    if not (isinstance(value, Tensor) and value.requires_grad):
        raise Wrong("the number is right, but nobody can train with it: pass create_graph=True to torch.autograd.grad.")


def nearest(answer: Any) -> None:
    """15.3: nearest(x, made) -> (batch,) indices into made."""
    generator = torch.Generator().manual_seed(0)
    x, made = (torch.randn(n, 3, generator=generator) for n in (7, 20))
    index = call(answer, x=x, made=made)
    distance = torch.cdist(x, made)
    right = distance.argmin(1)
    if not isinstance(index, Tensor):
        raise Wrong(f"the indices must be a tensor, and yours are a {type(index).__name__}.")
    if index.shape == (20,):
        raise Wrong("it answers for each made point. Ask the other way round: who is nearest to each *data* point?")
    if index.ndim == 0:
        raise Wrong("it is one index for all: `argmin` needs the dimension, that of the made points.")
    if index.shape != (7,):
        raise Wrong(
            f"there must be one index for each of the 7 data points, and yours have the shape {tuple(index.shape)}."
        )
    if index.dtype not in (torch.int32, torch.int64):
        raise Wrong("those are distances, or rounded numbers: return the places, whole numbers, by argmin.")
    if not torch.equal(index, right):
        if torch.equal(index, distance.argmax(1)):
            raise Wrong("that is the farthest one.")
        if torch.equal(index, (x @ made.T).argmax(1)):
            raise Wrong("the largest product is not the nearest: long points win it from far away.")
        if torch.equal(index, (x[:, None] - made).sum(2).argmin(1)):
            raise Wrong("differences of both signs cancel: square them, or take their size, before the sum.")
        raise Wrong("some points are given another than their nearest, in the distance that sums squares.")


CHECKS = {"15.1": discriminator_loss, "15.2": steepness, "15.3": nearest}
