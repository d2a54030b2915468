"""Lesson 18: a judge that no forgery deceives, the gradient penalty, and how fast the two players come to rest."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .judge import Wrong, call, close, name_mistake, number

Cloud = Callable[[Tensor, float, int, torch.Generator], Tensor]  # (centres, spread, count, generator) -> points


def _centres(count: int, turn: float) -> Tensor:
    angle = torch.arange(count) * 2 * math.pi / count + turn
    return 2 * torch.stack([angle.cos(), angle.sin()], 1)


def _pick(centres: Tensor, shares: Tensor, count: int, generator: torch.Generator) -> Tensor:
    return centres[torch.multinomial(shares, count, replacement=True, generator=generator)]


def _data(centres: Tensor, spread: float, count: int, generator: torch.Generator) -> Tensor:
    noise = spread * torch.randn(count, 2, generator=generator)
    return _pick(centres, torch.ones(len(centres)), count, generator) + noise


def _astray(share: float, reach: float) -> Cloud:
    """The data, but a share of the points is thrown out to a circle of radius `reach`."""

    def cloud(centres: Tensor, spread: float, count: int, generator: torch.Generator) -> Tensor:
        x = _data(centres, spread, count, generator)
        angle = 2 * math.pi * torch.rand(count, generator=generator)
        lost = torch.arange(count) < round(share * count)
        return torch.where(lost[:, None], reach * torch.stack([angle.cos(), angle.sin()], 1), x)

    return cloud


def _ring(centres: Tensor, spread: float, count: int, generator: torch.Generator) -> Tensor:
    angle = 2 * math.pi * torch.rand(count, generator=generator)
    return 2 * torch.stack([angle.cos(), angle.sin()], 1)


def _one_missing(centres: Tensor, spread: float, count: int, generator: torch.Generator) -> Tensor:
    return _data(centres[1:], spread, count, generator)


def _lopsided(centres: Tensor, spread: float, count: int, generator: torch.Generator) -> Tensor:
    shares = torch.full((len(centres),), 0.2 / (len(centres) - 2))
    shares[[0, len(centres) // 2]] = 0.4  # of eight islands, these are opposite: the mean stays where it is
    return _pick(centres, shares, count, generator) + spread * torch.randn(count, 2, generator=generator)


def _points(centres: Tensor, spread: float, count: int, generator: torch.Generator) -> Tensor:
    return _data(centres, 0.0, count, generator)


def _wide(centres: Tensor, spread: float, count: int, generator: torch.Generator) -> Tensor:
    return _data(centres, 2.5 * spread, count, generator)


def _shifted(centres: Tensor, spread: float, count: int, generator: torch.Generator) -> Tensor:
    return _data(centres, 0.7 * spread, count, generator) + torch.tensor([1.2 * spread, 0.0])


def _bridges(centres: Tensor, spread: float, count: int, generator: torch.Generator) -> Tensor:
    x, u = _data(centres, spread, count, generator), torch.rand(count, 1, generator=generator)
    start = torch.randint(len(centres), (count,), generator=generator)
    between = u * centres[start] + (1 - u) * centres[(start + 1) % len(centres)]
    return torch.where(torch.rand(count, 1, generator=generator) < 0.35, between, x)


def _halves(centres: Tensor, spread: float, count: int, generator: torch.Generator) -> Tensor:
    noise = spread * torch.randn(count, 2, generator=generator)
    noise[:, 0] = noise[:, 0].abs()
    return _pick(centres, torch.ones(len(centres)), count, generator) + noise


FORGERIES: dict[str, Cloud] = {
    "a thin ring through all the centres": _ring,
    "a cloud that lacks one island": _one_missing,
    "a cloud that has eight tenths of its points on two islands": _lopsided,
    "a cloud with a third of its points on bridges between the islands": _bridges,
    "a cloud that has nothing but the centres themselves, without any spread": _points,
    "a cloud whose islands are two and a half times too wide": _wide,
    "a cloud in which a tenth of the points lie far outside": _astray(0.1, 8.0),
    "a cloud whose islands all lie a little to the right of where they should": _shifted,
    "a cloud of half islands, every point to the right of its centre": _halves,
}
HONEST: dict[str, Cloud] = {"samples of the data": _data, "samples of which 3 in 100 went astray": _astray(0.03, 3.2)}


def are_islands(answer: Any) -> None:
    """18.1: are_islands(x, centres, spread) -> True for samples of the data, False for forgeries."""
    places = [(8, 0.0, 0.15, 2000), (8, 0.3, 0.1, 1000), (5, 0.1, 0.25, 2000)]
    for wanted, clouds in ((True, HONEST), (False, FORGERIES)):
        for name, cloud in clouds.items():
            for islands, turn, spread, count in places:
                generator = torch.Generator().manual_seed(7 * islands + count)
                centres = _centres(islands, turn)
                x = cloud(centres, spread, count, generator)
                said = _yes_or_no(call(answer, x=x, centres=centres, spread=spread))
                if said == wanted:
                    continue
                where = f"({islands} islands of spread {spread}, {count} points)"
                if wanted:
                    raise Wrong(f"your judge turns down {name} {where}. No rule may be stricter than the data.")
                raise Wrong(f"a forgery gets through: {name} {where}. What could you measure that it gets wrong?")
    again, (islands, turn, spread, count) = torch.Generator().manual_seed(7 * 8 + 2000), places[0]
    x = _data(_centres(islands, turn), spread, count, again)
    if not _yes_or_no(call(answer, x=x, centres=_centres(islands, turn), spread=spread)):
        raise Wrong("your judge gives two different answers for the same cloud. Its answer may depend on that alone.")


def _yes_or_no(value: Any) -> bool:
    if type(value) in (bool, np.bool_):
        return bool(value)
    if type(value) is Tensor and value.dtype == torch.bool and value.numel() == 1:
        return bool(value.item())
    if isinstance(value, Tensor) and value.numel() > 1:
        raise Wrong(f"give one answer for the whole cloud, but yours has the shape {tuple(value.shape)}.")
    raise Wrong(f"a judge says True or False, but yours returns a {type(value).__name__}.")


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
    """18.2: steepness(discriminator, x) -> the mean over x of |grad D(x)|^2, differentiable in D's weights."""
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
    if weight.grad is not None:
        raise Wrong("backward() also adds to the .grad of D's weights: use torch.autograd.grad, which leaves it alone.")
    learns = type(value) is Tensor and value.requires_grad
    learned = torch.autograd.grad(value, weight, allow_unused=True)[0] if learns else None
    if learned is None or not close(learned.flatten(), 2 * slope.mean(0)):
        raise Wrong("the number is right, but D cannot learn from it: pass create_graph=True to torch.autograd.grad.")


def _sizes(a: float, b: float, c: float, d: float) -> tuple[float, float]:
    """The sizes of the eigenvalues of ((a, b), (c, d)), the larger first."""
    root = cmath.sqrt((a - d) ** 2 / 4 + b * c)
    small, large = sorted((abs((a + d) / 2 - root), abs((a + d) / 2 + root)))
    return large, small


def shrink(answer: Any) -> None:
    """18.3: shrink(rate, gamma) -> the larger |eigenvalue| of ((1, h/2), (-h/2, 1 - 2 gamma h)), h the rate."""
    for h, gamma in ((0.1, 0.1), (0.1, 0.0), (0.2, 3.0), (0.05, 0.5), (0.3, 0.2), (0.1, 1.0), (0.3, 5.0)):
        paid = 1 - 2 * gamma * h  # what the penalty leaves of psi in one step
        right, smaller = _sizes(1.0, h / 2, -h / 2, paid)
        value = call(answer, rate=h, gamma=gamma)
        if isinstance(value, complex) or (isinstance(value, Tensor) and value.is_complex()):
            raise Wrong("an eigenvalue may be complex, but its size is a real number: take the absolute value.")
        found = number(value, "the factor")
        if math.isclose(found, right, rel_tol=1e-6):
            continue
        flow = max((-gamma + root).real for root in (cmath.sqrt(gamma**2 - 0.25), -cmath.sqrt(gamma**2 - 0.25)))
        determinant = 1 - 2 * gamma * h + h * h / 4
        turns = "that is for players that take turns. Here both see the old values."
        sign = "one of the signs is wrong: theta rises with psi, but psi falls with theta."
        mistakes = [
            (_sizes(1.0, h / 2, -h / 2, 1 - gamma * h)[0], "the penalty is gamma psi^2, and its slope is 2 gamma psi."),
            (_sizes(1.0, h, -h, paid)[0], "at the equilibrium each sigmoid is 1/2, so the rate enters halved."),
            (_sizes(1 - h * h / 4, h / 2 * paid, -h / 2, paid)[0], turns),
            (_sizes(1.0, h / 2, h / 2, paid)[0], sign),
            (_sizes(paid, h / 2, -h / 2, paid)[0], "only the discriminator pays the penalty: theta's own entry is 1."),
            (
                _sizes(0.0, h / 2, -h / 2, -2 * gamma * h)[0],
                "that is the matrix of the move. The new values are the old ones plus the move.",
            ),
            (_sizes(1.0, h / 2, -h / 2, 1 + 2 * gamma * h)[0], "your penalty pushes psi away from 0: check its sign."),
            (right**2, "that is the square of the size, or the product of both sizes: take the larger one."),
            (right * smaller, "that is the product of both sizes: take the larger one."),
            (
                math.sqrt(abs(determinant)),
                f"with gamma = {gamma} the eigenvalues are real, and unequal: take the larger one.",
            ),
            (smaller, "that is the smaller of the two sizes. The slower direction decides how long it takes."),
            (2 - 2 * gamma * h, "that is the trace, the sum of both eigenvalues."),
            (1 - gamma * h, "that is the real part alone, and the turn is part of the size."),
            (math.exp(h * flow), "that is the factor for infinitely small steps. A step has the length rate."),
            (1 + h * flow, "that is the real part alone, and the turn is part of the size."),
        ]
        name_mistake(found, mistakes, lambda a, b: math.isclose(a, b, rel_tol=1e-6))
        raise Wrong(f"for rate {h} and gamma {gamma} the factor is {right:.4f}, but yours is {found:.4f}.")


CHECKS = {"18.1": are_islands, "18.2": steepness, "18.3": shrink}
