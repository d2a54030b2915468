"""Lesson 02: the optimal prediction for a Gaussian and for a set of pictures, and how sure it is."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ... import oracle
from ... import schedule as schedules
from ...process import diffuse
from .judge import Wrong, call, close, name_mistake, same_kind


def gaussian_prediction(answer: Any) -> None:
    """02.1: gaussian_guess(x_t, t, mean, variance, schedule) -> E[x0 | x_t] for x0 from N(mean, variance).

    mean + alpha variance / (alpha^2 variance + sigma^2) (x_t - alpha mean).
    """
    generator = torch.Generator().manual_seed(0)
    for schedule in (schedules.cosine(), schedules.linear(), schedules.flow()):
        for mean, variance, t in ((0.7, 0.3, 0.6), (-1.5, 4.0, 0.8), (2.0, 0.05, 0.3), (0.5, 2.0, 1.0)):
            x_t = 2 * torch.randn(64, generator=generator, dtype=torch.float64)
            gaussian = oracle.gaussian(torch.tensor([mean]), torch.tensor([[variance]]), schedule)
            right = gaussian(x_t[:, None], t)[:, 0]
            found = call(answer, x_t=x_t, t=t, mean=mean, variance=variance, schedule=schedule)
            found = same_kind(found, x_t, "the prediction")
            if close(found, right):
                continue
            name_mistake(found, _wrong_gaussians(x_t, schedule.alpha(t), schedule.sigma(t), mean, variance))
            raise Wrong(
                f"for N({mean}, {variance}) at t = {t} on {schedule.name}, yours is {(found - right).abs().mean():.2g} "
                "away. Check the two ends: without noise the prediction is x_t, and where alpha is 0 it is the mean."
            )
    x = torch.randn(2, 1, 3, 5, generator=generator)
    found = call(answer, x_t=x, t=0.4, mean=0.1, variance=0.2, schedule=schedules.cosine())
    same_kind(found, x, "the prediction for pictures")


def _wrong_gaussians(x_t: Tensor, a: float, s: float, mean: float, v: float) -> list[tuple[Tensor, str]]:
    total = a * a * v + s * s
    gain, rest = a * v / total, x_t - a * mean
    by_sigma = mean + v / (v + s / a) * (x_t / a - mean) if a else x_t
    return [
        (torch.full_like(x_t, mean), "your prediction is the mean, whatever x_t is. Use x_t as well."),
        (x_t / a if a else x_t, "x_t / alpha undoes the fading, but it ignores both the noise in x_t and the mean."),
        (gain * x_t, "the mean is missing. Start from the mean, and subtract alpha times the mean from x_t."),
        (mean + gain * x_t, "subtract alpha times the mean from x_t before you multiply."),
        (mean + gain * (x_t - mean), "subtract alpha times the mean from x_t, because x_t has faded."),
        (a * mean + gain * rest, "you start from the mean of x_t. You predict x0, so start from the mean of x0."),
        (mean + a * v / (a * a * v + s) * rest, "square sigma: variances add, standard deviations do not."),
        (by_sigma, "the noise in x_t / alpha has variance sigma^2 / alpha^2: square it."),
        (mean + a * v / (a * v + s * s) * rest, "square alpha in the denominator: alpha^2 variance + sigma^2."),
        (mean + v / total * rest, "the factor alpha is missing from the numerator."),
        (mean + a * v * v / (a * a * v * v + s * s) * rest, "do not square `variance`: it is a square already."),
        (mean + a * v**0.5 / (a * a * v**0.5 + s * s) * rest, "use `variance` as it is, without a square root."),
        (mean + s * v / (s * s * v + a * a) * (x_t - s * mean), "alpha and sigma are swapped."),
        (mean + a * s * s / total * rest, "the weights are swapped: the less noise, the more x_t should count."),
        (mean + (1 - gain) * rest, "the weights are swapped: the less noise, the more x_t should count."),
    ]


def picture_prediction(answer: Any) -> None:
    """02.2: picture_guess(x_t, t, pictures, schedule) -> for each x_t the softmax-weighted mean of the pictures."""
    generator = torch.Generator().manual_seed(0)
    for schedule in (schedules.cosine(), schedules.flow(), schedules.linear()):
        # 6 noisy pictures and 6 known ones: weights along the wrong axis raise no error, only the values show it
        pictures = torch.rand(6, 2, 4, 5, generator=generator, dtype=torch.float64) * 2 - 1
        for t in (0.95, 0.8, 0.5):
            eps = torch.randn(pictures.shape, generator=generator, dtype=torch.float64)
            x_t = diffuse(pictures.flip(0), t, eps, schedule)
            right = oracle.dataset(pictures, schedule)(x_t, t)
            found = call(answer, x_t=x_t, t=t, pictures=pictures, schedule=schedule)
            if not close(same_kind(found, x_t, "the prediction"), right):
                name_mistake(found, _wrong_means(x_t, pictures, schedule.alpha(t), schedule.sigma(t)))
                error = (found - right).abs().mean()
                raise Wrong(
                    f"at t = {t} on {schedule.name}, yours is {error:.2g} away in an average pixel. The weights are "
                    "exp(-|x_t - alpha y|^2 / (2 sigma^2)), one for each whole picture y, divided by their sum."
                )
    _check_large(answer, generator)


def _check_large(answer: Any, generator: torch.Generator) -> None:
    """Many pixels and little noise, where every exponent is far below 0, by other amounts for each x_t; float32."""
    schedule, t = schedules.cosine(), 0.3
    pictures = torch.rand(7, 3, 28, 28, generator=generator, dtype=torch.float64) * 2 - 1
    eps = torch.randn(2, 3, 28, 28, generator=generator, dtype=torch.float64)
    eps[1] *= 2
    x_t = diffuse(pictures[:2], t, eps, schedule)
    right = oracle.dataset(pictures, schedule)(x_t, t)
    found = call(answer, x_t=x_t, t=t, pictures=pictures, schedule=schedule)
    if isinstance(found, Tensor) and not bool(found.isfinite().all()):
        raise Wrong(
            "with 2,352 numbers in a picture, all weights underflow to 0, and you divide 0 by 0. For each x_t, "
            "subtract the largest of its exponents from all of them first, as torch.softmax does."
        )
    if not close(same_kind(found, x_t, "the prediction for pictures with three channels"), right):
        raise Wrong(
            f"small pictures are right, but two of 3 x 28 x 28 pixels are {(found - right).abs().mean():.2g} away in "
            "an average pixel. All exponents are far below 0 here: for each x_t, subtract the largest one first."
        )
    found = call(answer, x_t=x_t.float()[:1], t=t, pictures=pictures.float(), schedule=schedule)
    same_kind(found, x_t.float()[:1], "the prediction for one picture")


def _wrong_means(x_t: Tensor, pictures: Tensor, a: float, s: float) -> list[tuple[Tensor, str]]:
    x, y = x_t.flatten(1), pictures.flatten(1)

    def squared(x: Tensor, y: Tensor) -> Tensor:
        return (x[:, None] - y[None]).square().sum(2)

    def mean(weights: Tensor) -> Tensor:
        return (weights @ y).view_as(x_t)

    distance = squared(x, a * y)
    right = -distance / (2 * s * s)
    total = right.exp().sum(1, keepdim=True)
    over_batch = "your weights add up to 1 over the batch. They should add up to 1 over the pictures."
    more = (
        "you divide by more than the sum of the weights. Subtract the largest exponent first, then that is not needed."
    )
    return [
        (mean((0 * right).softmax(1)), "all weights are equal. Weigh each picture by how well it fits x_t."),
        (y[distance.argmin(1)].view_as(x_t), "that is the nearest picture. The best prediction averages all of them."),
        (mean(right.softmax(0)), over_batch),
        (mean(right.softmax(0).T), over_batch),
        (mean(right.softmax(1).T), "your weights are transposed: (batch, pictures) @ (pictures, pixels)."),
        (mean((2 * right).softmax(1)), "the exponent needs a 2 in its denominator: -distance^2 / (2 sigma^2)."),
        (mean((s * right).softmax(1)), "square sigma in the exponent: -distance^2 / (2 sigma^2)."),
        (mean((s * s * right).softmax(1)), "divide by sigma^2 in the exponent, or the noise level has no effect."),
        (mean((-distance.sqrt() / (2 * s * s)).softmax(1)), "square the distance in the exponent."),
        (mean((-right).softmax(1)), "the exponent has the wrong sign: the most distant picture gets most weight."),
        (mean((right / x.shape[1]).softmax(1)), "sum the squares over the pixels. A mean makes the weights too equal."),
        (mean((-squared(x, y) / (2 * s * s)).softmax(1)), "x_t has faded, so compare it with alpha x0, not x0."),
        (mean((-squared(x / a, y) / (2 * s * s)).softmax(1)), "in x_t / alpha, the noise has the scale sigma / alpha."),
        (mean((-squared(x, s * y) / (2 * a * a)).softmax(1)), "alpha and sigma are swapped."),
        (a * mean(right.softmax(1)), "that is alpha times the prediction. Average the pictures as they are."),
        *[(mean(right.exp() / (total + 10.0**-k)), more) for k in range(4, 17)],
    ]


class _Exact(nn.Module):
    """An oracle that the grader can make again in the copy's process, so that the answer can differentiate it."""

    def __init__(self, *maker: Any) -> None:
        super().__init__()
        self.maker = maker
        self.oracle = getattr(oracle, maker[0])(*maker[1:])

    def forward(self, x_t: Tensor, t: float, cond: Any = None) -> Tensor:
        return self.oracle(x_t, t)

    def __reduce__(self) -> tuple[Any, ...]:
        return _Exact, self.maker


def doubt(answer: Any) -> None:
    """02.3: doubt(denoise, x_t, t, schedule) -> Var[x0 | x_t] = sigma^2 / alpha d x0_hat / d x_t, for numbers."""
    generator = torch.Generator().manual_seed(0)
    for schedule in (schedules.cosine(), schedules.flow(), schedules.linear()):
        items = torch.tensor([-1.4, -0.9, 0.3, 1.5], dtype=torch.float64)[:, None]
        for t in (0.3, 0.6, 0.9):
            alpha, sigma = schedule.alpha(t), schedule.sigma(t)
            x_t = torch.randn(32, 1, generator=generator, dtype=torch.float64)
            weight = (-((x_t - alpha * items.T) ** 2) / (2 * sigma**2)).softmax(1)
            right = weight @ items**2 - (weight @ items) ** 2
            _check_doubt(answer, _Exact("dataset", items, schedule), x_t, right, t, schedule)
            gaussian = _Exact("gaussian", torch.zeros(1), 0.25 * torch.eye(1), schedule)
            right = torch.full_like(x_t, 0.25 * sigma**2 / (0.25 * alpha**2 + sigma**2))
            _check_doubt(answer, gaussian, x_t, right, t, schedule)
    x = torch.randn(3, 1, generator=generator)
    unit = _Exact("gaussian", torch.zeros(1), torch.eye(1), schedules.cosine())
    found = call(answer, denoise=unit, x_t=x, t=0.5, schedule=schedules.cosine())
    same_kind(found, x, "the variance")


def _check_doubt(answer: Any, denoise: Any, x_t: Tensor, right: Tensor, t: float, schedule: schedules.Schedule) -> None:
    with torch.enable_grad():  # the lesson may have switched it off
        found = same_kind(call(answer, denoise=denoise, x_t=x_t, t=t, schedule=schedule), x_t, "the variance").detach()
    if not torch.allclose(found, right, rtol=1e-2, atol=1e-3):  # differences instead of a derivative are fine
        a, s = schedule.alpha(t), schedule.sigma(t)
        name_mistake(found, _wrong_doubts(right, a, s, denoise(x_t, t)), _nearly)
        error = (found - right).abs()
        hint = "One thing to check: for data from one Gaussian the variance must be the same at every x_t."
        hint = "If you take differences, take smaller ones." if error.max() < 0.05 else hint
        raise Wrong(f"at t = {t} on {schedule.name}, yours is {error.mean():.2g} away. {hint}")


def _nearly(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b, rtol=1e-3, atol=1e-4)


def _wrong_doubts(right: Tensor, a: float, s: float, x0_hat: Tensor) -> list[tuple[Tensor, str]]:
    slope = right * a / s**2
    return [
        (x0_hat, "that is the prediction itself. You want the variance of x0 around it."),
        (right.sqrt(), "that is the standard deviation. The variance is its square."),
        (slope, "that is the derivative of the prediction alone. Multiply it by sigma^2 / alpha."),
        (-right, "a variance is not negative: check the sign of the derivative."),
        (s**2 * slope, "divide by alpha: the derivative is alpha / sigma^2 times the variance."),
        (slope / a, "multiply by sigma^2: the derivative is alpha / sigma^2 times the variance."),
        (s * slope / a, "square sigma: the derivative is alpha / sigma^2 times the variance."),
        (a * s**2 * slope, "divide by alpha, instead of multiplying by it."),
        (s**2 / a**2 * slope, "alpha comes in once, not squared."),
        (a / s**2 * slope, "turn the factor over: it is sigma^2 / alpha."),
        (a**2 / s * slope, "alpha and sigma are swapped."),
        (right / len(right), "you took the derivative of a mean. Take that of a sum, so that no item is divided."),
        (torch.full_like(right, s**2 / a**2), "that is the variance of x_t / alpha, which ignores what the data says."),
        (torch.full_like(right, s**2), "that is the variance of the noise in x_t, not of x0."),
    ]


CHECKS = {"02.1": gaussian_prediction, "02.2": picture_prediction, "02.3": doubt}
