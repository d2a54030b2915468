"""Lesson 18: the loss of a discriminator, its gradient penalty, and how IMLE chooses."""

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
    for dtype in (torch.float64, torch.float32):
        real, fake = (2 * torch.randn(2, 64, 1, generator=generator, dtype=torch.float64) + 0.7).to(dtype)
        r, f = real.double(), fake.double()
        up, down = F.softplus(-r).mean(), F.softplus(f).mean()
        loss = _one_number(call(answer, real=real, fake=fake), "the loss")
        if close(loss, up + down):
            continue
        swapped = F.softplus(r).mean() + F.softplus(-f).mean()
        mistakes = [
            (swapped, "the signs are swapped: the discriminator wants high scores for real and low ones for fake."),
            (up + F.softplus(-f).mean(), "push the scores of fake samples down: softplus(fake)."),
            (F.softplus(r).mean() + down, "push the scores of real data up: softplus(-real)."),
            (up, "that is the half of the loss for real data: add softplus(fake)."),
            (down, "that is the half of the loss for fake samples: add softplus(-real)."),
            ((up + down) / 2, "you averaged the two means: add them up."),
            (64 * (up + down), "you summed over the batch: take the mean."),
            (-(up + down), "the sign is wrong: training makes a loss small."),
            (F.relu(1 - r).mean() + F.relu(1 + f).mean(), "that is the hinge loss: use softplus."),
            (f.mean() - r.mean(), "that is the Wasserstein loss: the softplus is missing."),
            (F.softplus(f - r).mean(), "that is the relativistic loss. The one of 2014 scores each sample by itself."),
            (up - down, "you subtracted the second term, but both are losses: add them up."),
        ]
        name_mistake(loss, mistakes)
        raise Wrong(
            f"if all scores are 0, the loss must be 2 log 2 = {2 * math.log(2):.2f}. On random scores it should be "
            f"{up + down:.3g}, but yours is {loss:.3g}."
        )


def _one_number(value: Any, name: str) -> Tensor:
    if isinstance(value, Tensor) and value.ndim > 0:
        raise Wrong(f"{name} must be one number, the mean over the batch, but yours has shape {tuple(value.shape)}.")
    return torch.tensor(number(value, name), dtype=torch.float64)


class _Bumps(nn.Module):
    """A discriminator with a known gradient: the sum of a x + sin(b x)."""

    def __init__(self, a: Tensor, b: float):
        super().__init__()
        self.a, self.b = nn.Parameter(a.clone()), b

    def __reduce__(self) -> tuple[Any, ...]:  # the grader makes it anew, in the process of the copy
        return _Bumps, (self.a, self.b)

    def forward(self, x: Tensor) -> Tensor:
        return (self.a * x + torch.sin(self.b * x)).flatten(1).sum(1, keepdim=True)


def steepness(answer: Any) -> None:
    """15.2: steepness(discriminator, x) -> the mean over x of |grad D(x)|^2, differentiable in D's weights."""
    generator = torch.Generator().manual_seed(0)
    a, x = (torch.randn(*s, generator=generator, dtype=torch.float64) for s in ((1, 3, 3), (6, 1, 3, 3)))
    slope = (a + 1.7 * torch.cos(1.7 * x)).flatten(1)
    each, net = slope.square().sum(1), _Bumps(a, 1.7)
    weight = net.a
    value = call(answer, discriminator=net, x=x)
    found = _one_number(value, "the penalty")
    if not close(found, each.mean()):
        mistakes = [
            (each.sqrt().mean(), "that is the mean length of the gradient: square the length."),
            (each.mean() / 2, "return the mean of the squares, without 1/2: that factor is part of gamma."),
            (each.sum(), "you summed over the batch: take its mean."),
            (slope.square().mean(), "sum the squares within each x, and average over the batch only."),
            (slope.mean(0).square().sum(), "you averaged the gradients over the batch before squaring: square first."),
            (slope.sum(0).square().sum(), "you summed the gradients over the batch before squaring: square first."),
            (each.mean() / 36, "you took the gradient of the mean score: take the gradient of the sum."),
            ((each.sqrt() - 1).square().mean(), "that is WGAN-GP's penalty: R1 pulls the length to 0, not to 1."),
            (slope.sum(1).square().mean(), "square each component of the gradient first, and sum them afterwards."),
        ]
        name_mistake(found, mistakes)
        raise Wrong(f"the mean squared length of the gradient is {each.mean():.3g}, but yours is {found:.3g}.")
    learns = type(value) is Tensor and value.requires_grad
    learned = torch.autograd.grad(value, weight, allow_unused=True)[0] if learns else None
    if learned is None or not close(learned.flatten(), 2 * slope.mean(0)):
        raise Wrong("the number is right, but D cannot learn from it: pass create_graph=True to torch.autograd.grad.")


def nearest(answer: Any) -> None:
    """15.3: nearest(x, made) -> for each x, the index of the nearest sample in made, (batch,)."""
    generator = torch.Generator().manual_seed(0)
    x, made = (torch.randn(n, 3, generator=generator) for n in (7, 20))
    distance = torch.cdist(x, made)
    index = call(answer, x=x, made=made)
    if type(index) is not Tensor:
        raise Wrong(f"the indices must be a tensor, but yours are a {type(index).__name__}.")
    if index.shape == (20,):
        raise Wrong("you have one index for each sample. Ask the other way round: which sample is nearest to each x?")
    if index.ndim == 0:
        raise Wrong("you have a single index for all x: pass `argmin` the dimension of the samples.")
    if index.shape != (7,):
        raise Wrong(f"return one index for each of the 7 rows of x. Yours have the shape {tuple(index.shape)}.")
    if index.dtype not in (torch.int32, torch.int64):
        raise Wrong("these are not whole numbers. Return the indices of the samples, by argmin, not the distances.")
    if not torch.equal(index.long(), distance.argmin(1)):
        mistakes = [
            (distance.argmax(1), "those are the farthest samples, not the nearest."),
            ((x @ made.T).argmax(1), "the largest dot product is not the nearest: long vectors win it from far away."),
            ((x[:, None] - made).sum(2).argmin(1), "differences of opposite sign cancel: square them before the sum."),
        ]
        name_mistake(index.long(), mistakes, torch.equal)
        raise Wrong("for some x, another sample is nearer than yours. Compare the sums of squared differences.")


CHECKS = {"18.1": discriminator_loss, "18.2": steepness, "18.3": nearest}
