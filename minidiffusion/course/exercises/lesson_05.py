"""Lesson 05: train on the noise instead of x0, compute the lowest possible loss, scale the pixels."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ... import schedule as schedules
from ...process import diffuse
from .judge import Wrong, call, close, name_mistake, number, same_kind


class _Linear(nn.Module):
    """A network whose output depends on its input and on the time of each item. It notes what it is called with."""

    def __init__(self, note: Callable[[Any, Any], None]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([0.7, -0.4], dtype=torch.float64))
        self.note = note

    def __reduce__(self) -> tuple[Any, ...]:  # the grader makes it anew, in the process of the copy
        return _Linear, (self.note,)

    def forward(self, x: Tensor, t: Any, cond: Any = None) -> Tensor:
        self.note(x, t)
        t = torch.as_tensor(t, dtype=torch.float64)
        return self.weight[0] * x + self.weight[1] * (t[:, None] if t.ndim == 1 else t) + 0.2 * x.flip(1)


def noise_loss(answer: Any) -> None:
    """04.1: noise_loss(net, x0, t, eps, schedule) -> the mean of (net(x_t, t) - eps)^2, with a time for each point."""
    generator = torch.Generator().manual_seed(0)
    for schedule in (schedules.cosine(), schedules.flow()):
        # as many points as coordinates: a time along the wrong axis raises no error, so only the values can show it
        x0, eps = torch.randn(2, 6, 6, generator=generator, dtype=torch.float64)
        t = torch.rand(6, generator=generator, dtype=torch.float64)
        calls: list[tuple[Any, Any]] = []
        own = _Linear(lambda x, t: None)
        net = _Linear(functools.partial(_note, calls))  # the answer may change the net that it gets
        right = (own(diffuse(x0, t, eps, schedule), t) - eps).square().mean()
        weight = net.weight
        loss = call(answer, net=net, x0=x0, t=t, eps=eps, schedule=schedule)
        if isinstance(loss, Tensor) and loss.ndim > 0:
            raise Wrong(f"the loss must be one number, but yours has the shape {tuple(loss.shape)}. Take the mean.")
        number(loss, "the loss")
        _check_calls(calls, x0, t, eps, schedule)
        slope = None
        if isinstance(loss, Tensor) and loss.requires_grad:
            (slope,) = torch.autograd.grad(same_kind(loss, right, "the loss"), weight, allow_unused=True)
        if slope is None:
            raise Wrong("the loss has no gradient. Return a tensor, without .item(), .detach() or torch.no_grad().")
        if not close(loss, right):
            name_mistake(loss, _wrong_losses(own, x0, t, eps, schedule))
            raise Wrong(f"on {schedule.name}, your loss is {loss.item():.3g}, but it should be {right.item():.3g}.")
        if not close(slope, torch.autograd.grad(right, own.weight)[0]):
            raise Wrong("the loss has the right value but a wrong gradient. Is a part of it detached?")


def _note(calls: list[tuple[Any, Any]], x: Any, t: Any) -> None:
    calls.append((x, t))


def _check_calls(calls: list[Any], x0: Tensor, t: Tensor, eps: Tensor, schedule: schedules.Schedule) -> None:
    """The network must be called once, with x_t and t."""
    if len(calls) != 1:
        raise Wrong(f"call the network once, with the whole batch. You called it {len(calls)} times.")
    x, time = calls[0]
    if type(time) is not Tensor or time.shape != t.shape or not close(time.double(), t):
        raise Wrong("the network gets the wrong times. Call net(x_t, t), with the t that comes in.")
    if type(x) is not Tensor or x.shape != x0.shape:
        raise Wrong(f"the network should get x_t, in the shape of x0, which is {tuple(x0.shape)}.")
    a, s = schedule.alpha(t)[:, None], schedule.sigma(t)[:, None]
    if not close(x, a * x0 + s * eps):
        mistakes = [
            (x0, "the network gets the clean data. Give it x_t."),
            (eps, "the network gets the noise itself. Give it x_t."),
            (s * x0 + a * eps, "alpha and sigma are swapped: alpha multiplies x0, sigma multiplies eps."),
            (a * x0 - s * eps, "the noise in x_t has the wrong sign."),
            (x0 + s * eps, "x0 should fade in x_t: multiply it by alpha(t)."),
            (a * x0 + eps, "there is too much noise in x_t: multiply eps by sigma(t)."),
            (a**2 * x0 + s**2 * eps, "you squared alpha and sigma in x_t. Use them as they are."),
            (a.T * x0 + s.T * eps, "each coordinate got its own time. Give each point its own: t[:, None]."),
        ]
        name_mistake(x, mistakes)
        raise Wrong("the network should get x_t = alpha(t) x0 + sigma(t) eps, with the eps that comes in.")


def _wrong_losses(
    net: _Linear, x0: Tensor, t: Tensor, eps: Tensor, schedule: schedules.Schedule
) -> list[tuple[Tensor, str]]:
    x_t, sigma = diffuse(x0, t, eps, schedule), schedule.sigma(t)[:, None]
    output = net(x_t, t)
    error = output - eps
    return [
        ((output - x0).square().mean(), "your target is still x0. The new target is the noise, eps."),
        ((output - x_t).square().mean(), "your target is x_t, the input of the network. The target is eps."),
        ((output - sigma * eps).square().mean(), "your target is sigma eps. Use eps itself, which has variance 1."),
        ((output + eps).square().mean(), "the sign is wrong: the error is the output minus eps."),
        (error.square().sum(), "you summed the squares. Take their mean, which does not grow with the batch."),
        (error.square().sum(1).mean(), "you summed over the coordinates. Take the mean over them too."),
        (error.abs().mean(), "that is the mean absolute error. Square the errors instead."),
        (error.mean(), "positive and negative errors cancel. Square them before you take the mean."),
        (error.mean().square(), "first square the errors, then take the mean. Yours cancel before you square."),
        (error.square().mean().sqrt(), "take no square root: the loss is the mean of the squares."),
    ]


def floor_of_gaussian(answer: Any) -> None:
    """04.2: floor_of_gaussian(s, t, schedule) -> E (x0_hat - x0)^2 = s^2 sigma^2 / (alpha^2 s^2 + sigma^2)."""
    for schedule in (schedules.cosine(), schedules.linear(), schedules.flow()):
        for s, t in ((0.5, 0.3), (1.0, 0.5), (2.0, 0.8), (3.0, 0.45)):
            a, b = schedule.alpha(t), schedule.sigma(t)
            total = a**2 * s**2 + b**2
            right = s**2 * b**2 / total
            floor = number(call(answer, s=s, t=t, schedule=schedule), "the lowest loss")
            if abs(floor / right - 1) < 1e-4:
                continue
            mistakes = [
                (a**2 * s**2 / total, "that is the lowest loss for predicting the noise. Here you predict x0."),
                (a**2 * s**4 / total, "that is the variance of the prediction. You want what it leaves unexplained."),
                (right**0.5, "take no square root: the loss is a mean of squares."),
                (right**2, "that is the square of the loss. Do not square it once more."),
                (b**2 / total, "the factor s^2 is missing: in pure noise, the loss is the variance of the data."),
                (s * b**2 / (a**2 * s + b**2), "s is the standard deviation, so the variance is s^2."),
                (s**2 * b / (a * s**2 + b), "square alpha and sigma: the variances of independent parts add."),
                (s**2 * b**2, "the denominator is missing: divide by the variance of x_t."),
                (s**2, "that is the loss of always predicting 0. Use what x_t tells you."),
                (b**2 / a**2, "that is the loss of the prediction x_t / alpha, which is not the best one."),
                (b**2, "that is the variance of the noise in x_t. How far is the prediction from x0?"),
                (s**2 * a**2 / (a**2 + b**2 * s**2), "alpha and sigma are swapped."),
            ]
            name_mistake(floor, mistakes, lambda floor, wrong: abs(floor - wrong) < 1e-6 * max(1.0, abs(wrong)))
            raise Wrong(
                f"for s = {s} at t = {t} on {schedule.name}, yours is {floor:.3g}. Check the two ends: in pure noise "
                "the loss is s^2, and without noise it is 0."
            )
    for t, right, reason in ((1.0, 4.0, "where alpha = 0, x_t says nothing"), (0.0, 0.0, "where sigma = 0, x_t is x0")):
        floor = number(call(answer, s=2.0, t=t, schedule=schedules.flow()), "the lowest loss")
        if abs(floor - right) > 1e-6:
            raise Wrong(f"{reason}. For s = 2 the loss is {right:g} there, but yours is {floor:.3g}.")


def to_range(answer: Any) -> None:
    """04.3: to_range(images) -> floats from -1 (for 0) to 1 (for 255), with the same scale for every picture."""
    every = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    value, unit = every.float(), every / 255

    def scaled(images: Tensor) -> Tensor:
        found = call(answer, images=images)
        if not isinstance(found, Tensor) or not found.is_floating_point():
            found = found.dtype if isinstance(found, Tensor) else type(found).__name__
            raise Wrong(f"the pictures must be floats, but yours are {found}. Begin with images.float().")
        return same_kind(found.float(), images.float(), "the pictures")

    found = scaled(every)
    if not close(found, value / 127.5 - 1):
        mistakes = [
            (every * 2 / 255 - 1, "a uint8 holds only 0 to 255, so 2 * images starts again at 0. First use .float()."),
            (unit, "yours go from 0 to 1. Multiply them by 2, then subtract 1."),
            (2 * unit, "yours go from 0 to 2. Subtract 1."),
            (1 - 2 * unit, "black and white are swapped: 0 should become -1."),
            (unit - 0.5, "yours go from -0.5 to 0.5. Multiply them by 2."),
            (value / 128 - 1, "nearly: 255 / 128 - 1 is 0.992, so white is not 1. Divide by 127.5."),
            (value / 127 - 1, "nearly: 255 / 127 - 1 is 1.008, so white is above 1. Divide by 127.5."),
            (value - 127.5, "yours go from -127.5 to 127.5. Divide by 127.5."),
            ((every - 128) / 127.5, "a uint8 holds only 0 to 255, so 100 - 128 is 228. First use .float()."),
            (value, "the type is right, but the range is still 0 to 255."),
        ]
        name_mistake(found, mistakes)
        ends = f"Yours go from {found.min():.3g} to {found.max():.3g}."
        raise Wrong(f"0 should become -1, 255 should become 1, and the rest should follow on a straight line. {ends}")
    if not close(scaled(torch.full((1, 1, 4, 4), 51, dtype=torch.uint8)), torch.full((1, 1, 4, 4), -0.6)):
        raise Wrong("a uniform grey of 51 should become -0.6. Use 0 and 255, not the picture's own extremes.")


CHECKS = {"05.1": noise_loss, "05.2": floor_of_gaussian, "05.3": to_range}
