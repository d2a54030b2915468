"""Lesson 04: ask for the noise, find the floor of the loss, bring pixels into range."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ... import schedule as schedules
from ...process import diffuse
from .judge import Wrong, call, close, name_mistake, number, same_kind


class _Linear(nn.Module):
    """A network whose answer depends on its input and on the time of each item, and which notes what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([0.7, -0.4], dtype=torch.float64))
        self.asked: list[tuple[Any, Any]] = []

    def forward(self, x: Tensor, t: Any, cond: Any = None) -> Tensor:
        self.asked.append((x, t))
        t = torch.as_tensor(t, dtype=torch.float64)
        return self.weight[0] * x + self.weight[1] * (t[:, None] if t.ndim == 1 else t) + 0.2 * x.flip(1)


def noise_loss(answer: Any) -> None:
    """04.1: noise_loss(net, x0, t, eps, schedule) -> the mean of (net(x_t, t) - eps)^2, one time for each point."""
    generator = torch.Generator().manual_seed(0)
    for schedule in (schedules.cosine(), schedules.flow()):
        # as many points as coordinates: a time along the wrong axis raises no error, so it must be caught here
        x0, eps = torch.randn(2, 6, 6, generator=generator, dtype=torch.float64)
        t = torch.rand(6, generator=generator, dtype=torch.float64)
        net = _Linear()
        loss = call(answer, net=net, x0=x0, t=t, eps=eps, schedule=schedule)
        if isinstance(loss, Tensor) and loss.ndim > 0:
            raise Wrong(f"the loss must be one number, and yours has the shape {tuple(loss.shape)}: take the mean.")
        number(loss.detach() if isinstance(loss, Tensor) else loss, "the loss")
        _check_question(net, x0, t, eps, schedule)
        right = (net(diffuse(x0, t, eps, schedule), t) - eps).square().mean()
        if not isinstance(loss, Tensor) or not loss.requires_grad:
            raise Wrong("the loss has no gradient. Leave it a tensor: no .item(), no .detach(), no torch.no_grad().")
        if not close(loss, right):
            name_mistake(loss, _wrong_losses(net, x0, t, eps, schedule))
            raise Wrong(f"on {schedule.name}, your loss is {loss.item():.3g} where it should be {right.item():.3g}.")


def _check_question(net: _Linear, x0: Tensor, t: Tensor, eps: Tensor, schedule: schedules.Schedule) -> None:
    """The network must be asked once, about x_t, and be told the time."""
    if len(net.asked) != 1:
        raise Wrong(f"the network is to be asked once for a batch, and yours is asked {len(net.asked)} times.")
    x, time = net.asked[0]
    if not isinstance(time, Tensor) or time.shape != t.shape or not close(time.double(), t):
        raise Wrong("the network is not told the right times: net(x_t, t), with the t that comes in.")
    if not isinstance(x, Tensor) or x.shape != x0.shape:
        raise Wrong(f"the network must be shown x_t in the shape of x0, {tuple(x0.shape)}.")
    a, s = schedule.alpha(t)[:, None], schedule.sigma(t)[:, None]
    if not close(x, a * x0 + s * eps):
        name_mistake(
            x,
            [
                (x0, "the network is shown the clean data. Show it x_t."),
                (eps, "the network is shown the noise itself. Show it x_t."),
                (s * x0 + a * eps, "alpha and sigma have changed places: alpha goes with x0, sigma with eps."),
                (a * x0 - s * eps, "the noise in x_t has the wrong sign."),
                (x0 + s * eps, "x0 must fade in x_t: it comes with the factor alpha(t)."),
                (a * x0 + eps, "eps comes into x_t with the factor sigma(t)."),
                (
                    a**2 * x0 + s**2 * eps,
                    "alpha and sigma are squared in your x_t: they are the factors as they stand.",
                ),
                (
                    a.T * x0 + s.T * eps,
                    "each coordinate got its own time. One for each point: schedule.alpha(t)[:, None].",
                ),
            ],
        )
        raise Wrong("the network is not shown x_t = alpha(t) x0 + sigma(t) eps with the eps that comes in.")


def _wrong_losses(
    net: _Linear, x0: Tensor, t: Tensor, eps: Tensor, schedule: schedules.Schedule
) -> list[tuple[Tensor, str]]:
    x_t = diffuse(x0, t, eps, schedule)
    output = net(x_t, t)
    miss = output - eps
    return [
        ((output - x0).square().mean(), "your target is still x0. The noise is eps."),
        ((output - x_t).square().mean(), "your target is x_t, which the network is shown. It is to find eps in it."),
        (
            (output - schedule.sigma(t)[:, None] * eps).square().mean(),
            "your target is sigma eps, as much noise as is in x_t. Ask for eps itself, of variance 1.",
        ),
        ((output + eps).square().mean(), "the sign: the error is the output minus eps."),
        (miss.square().sum(), "you took the sum of the squares. Take the mean: it does not grow with the batch."),
        (miss.square().sum(1).mean(), "you summed over the coordinates. Take the mean over them too."),
        (miss.abs().mean(), "that is the mean of the sizes. Square the error: only then the best answer is a mean."),
        (miss.mean(), "errors of both signs cancel in your mean: square them first."),
        (miss.mean().square(), "first square, then take the mean: errors of both signs cancel in yours."),
        (miss.square().mean().sqrt(), "no root: the loss is the mean of the squares."),
    ]


def floor_of_gaussian(answer: Any) -> None:
    """04.2: floor_of_gaussian(s, t, schedule) -> E (x0_hat - x0)^2 = s^2 sigma^2 / (alpha^2 s^2 + sigma^2)."""
    for schedule in (schedules.cosine(), schedules.linear(), schedules.flow()):
        for s, t in ((0.5, 0.3), (1.0, 0.5), (2.0, 0.8), (3.0, 0.45)):
            floor = number(call(answer, s=s, t=t, schedule=schedule), "the floor")
            signal, noise = schedule.alpha(t) ** 2 * s**2, schedule.sigma(t) ** 2
            total = signal + noise
            right = s**2 * noise / total
            if abs(floor / right - 1) < 1e-4:
                continue
            for wrong, sentence in (
                (signal / total, "that is the floor of the loss of the noise, exercise 04.1. Here the guess is of x0."),
                (
                    s**2 * signal / total,
                    "that is the variance of the guess itself: what is known. The rest is the floor.",
                ),
                (right**0.5, "one root too many: the loss is the mean of the square."),
                (right**2, "one square too many."),
                (noise / total, "a factor s^2 is missing: in pure noise the floor must be the variance of the data."),
                (s * noise / (schedule.alpha(t) ** 2 * s + noise), "s is the standard deviation; the variance is s^2."),
                (
                    s**2 * schedule.sigma(t) / (schedule.alpha(t) * s**2 + schedule.sigma(t)),
                    "alpha and sigma are to be squared: variances of independent parts add.",
                ),
                (s**2 * noise, "without the denominator it is no best guess: divide by the variance of x_t."),
                (s**2, "that is the loss of always guessing 0. x_t tells something."),
                (
                    noise / schedule.alpha(t) ** 2,
                    "that is the loss of the guess x_t / alpha, which is not the best one.",
                ),
                (noise, "that is the variance of the noise in x_t. How far off is the guess?"),
                (
                    s**2 * schedule.alpha(t) ** 2 / (schedule.alpha(t) ** 2 + noise * s**2),
                    "alpha and sigma have changed places.",
                ),
            ):
                if abs(floor - wrong) < 1e-6 * max(1.0, abs(wrong)):
                    raise Wrong(sentence)
            raise Wrong(
                f"for s = {s} at t = {t} on {schedule.name}, yours is {floor:.3g}. Check the ends: in pure noise the "
                "floor is s^2, without noise it is 0."
            )
    if abs(number(answer(2.0, 1.0, schedules.flow()), "the floor") - 4.0) > 1e-6:
        raise Wrong("where alpha = 0 nothing is known, and the floor must be s^2.")
    if abs(number(answer(2.0, 0.0, schedules.flow()), "the floor")) > 1e-6:
        raise Wrong("where sigma = 0 all is known, and the floor must be 0.")


def to_range(answer: Any) -> None:
    """04.3: to_range(images) -> floats from -1 (0) to 1 (255), the same line for every picture."""
    every = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    dark = torch.full((1, 1, 4, 4), 51, dtype=torch.uint8)
    got = call(answer, images=every)
    if not isinstance(got, Tensor) or not got.is_floating_point():
        kind = got.dtype if isinstance(got, Tensor) else type(got).__name__
        raise Wrong(f"the pictures must be floats, and yours are {kind}. Is there an images.float()?")
    right = every.float() / 127.5 - 1
    got = same_kind(got.float(), right, "the pictures")
    if not close(got, right):
        value, whole = every.float(), every / 255
        name_mistake(
            got,
            [
                (every * 2 / 255 - 1, "a uint8 holds 0 to 255 only, so 2 * images starts again at 0. First .float()."),
                (whole, "yours go from 0 to 1. Stretch them to twice that, and take 1 off."),
                (2 * whole, "yours go from 0 to 2. Take 1 off."),
                (1 - 2 * whole, "black and white have changed places."),
                (whole - 0.5, "yours go from -0.5 to 0.5."),
                (value / 128 - 1, "nearly: 255 / 128 - 1 is 0.992, so white is not 1. Divide by 127.5."),
                (value / 127 - 1, "nearly: 255 / 127 - 1 is 1.008, so white is above 1. Divide by 127.5."),
                (value - 127.5, "yours go from -127.5 to 127.5. Divide by 127.5."),
                ((every - 128) / 127.5, "a uint8 holds 0 to 255 only: 100 - 128 is 228 there. First .float()."),
                (value, "the type is right, and the range is still 0 to 255."),
            ],
        )
        low, high = got.min(), got.max()
        raise Wrong(f"0 should become -1 and 255 become 1, in a straight line. Yours go from {low:.3g} to {high:.3g}.")
    if not close(answer(dark).float(), torch.full((1, 1, 4, 4), -0.6)):
        raise Wrong("a picture of the grey 51 alone should be -0.6. Use 0 and 255, not the picture's own extremes.")


CHECKS = {"04.1": noise_loss, "04.2": floor_of_gaussian, "04.3": to_range}
