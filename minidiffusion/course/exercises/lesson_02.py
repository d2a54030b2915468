"""Lesson 02: the optimal prediction for a Gaussian and for a set of pictures, and the score that follows from it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ... import oracle
from ... import schedule as schedules
from ...process import diffuse
from .judge import NotAttempted, Wrong, call, close, name_mistake, same_kind


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
        pictures = torch.rand(6, 1, 4, 5, generator=generator, dtype=torch.float64) * 2 - 1
        for t in (0.95, 0.8, 0.5):
            eps = torch.randn(pictures.shape, generator=generator, dtype=torch.float64)
            x_t = diffuse(pictures.flip(0), t, eps, schedule)
            right = oracle.dataset(pictures, schedule)(x_t, t)
            found = call(answer, x_t=x_t, t=t, pictures=pictures, schedule=schedule)
            if not close(same_kind(found, x_t, "the prediction"), right):
                name_mistake(found, _wrong_means(x_t, pictures, schedule.alpha(t), schedule.sigma(t)))
                error = (found - right).abs().mean()
                raise Wrong(f"at t = {t} on {schedule.name}, yours is {error:.2g} away in an average pixel.")
    _check_large(answer, generator)


def _check_large(answer: Any, generator: torch.Generator) -> None:
    """Many pixels and little noise, where every exponent is far below 0; colours; one float32 picture."""
    schedule, t = schedules.cosine(), 0.3
    pictures = torch.rand(7, 3, 28, 28, generator=generator, dtype=torch.float64) * 2 - 1
    eps = torch.randn(2, 3, 28, 28, generator=generator, dtype=torch.float64)
    x_t = diffuse(pictures[:2], t, eps, schedule)
    right = oracle.dataset(pictures, schedule)(x_t, t)
    found = call(answer, x_t=x_t, t=t, pictures=pictures, schedule=schedule)
    if isinstance(found, Tensor) and not bool(found.isfinite().all()):
        raise Wrong(
            "with 2,352 numbers in a picture, all weights underflow to 0, and you divide 0 by 0. Subtract the largest "
            "exponent from all of them first, as torch.softmax does."
        )
    if not close(same_kind(found, x_t, "the prediction for pictures with three channels"), right):
        raise Wrong(
            f"small pictures are right, but two of 3 x 28 x 28 pixels are {(found - right).abs().mean():.2g} away in "
            "an average pixel. Sum the squared differences over all pixels and all channels of a picture."
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
    over_batch = "your weights add up to 1 over the batch. They should add up to 1 over the pictures."
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
    ]


def score(answer: Any) -> None:
    """02.3: score(denoise, x_t, t, schedule) -> (alpha x0_hat - x_t) / sigma^2, the gradient of log q(x_t)."""
    generator = torch.Generator().manual_seed(0)
    for schedule in (schedules.cosine(), schedules.linear(), schedules.flow()):
        means = torch.randn(3, 2, generator=generator, dtype=torch.float64)
        mixture = oracle.mixture(torch.ones(3), means, 0.1 * torch.eye(2).expand(3, 2, 2), schedule)

        def denoise(x_t: Any, t: Any, mixture: Any = mixture) -> Tensor:
            if x_t is ...:
                raise NotAttempted
            return mixture(x_t, t)

        for t in (0.2, 0.5, 0.9):
            x_t = torch.randn(32, 2, generator=generator, dtype=torch.float64)
            leaf, x0_hat = x_t.clone().requires_grad_(True), mixture(x_t, t)
            (right,) = torch.autograd.grad(mixture.log_density(leaf, t).sum(), leaf)
            found = same_kind(call(answer, denoise=denoise, x_t=x_t, t=t, schedule=schedule), x_t, "the score")
            if not close(found, right):
                name_mistake(found, _wrong_scores(x_t, x0_hat, schedule.alpha(t), schedule.sigma(t)))
                raise Wrong(
                    f"at t = {t} on {schedule.name}, yours is {(found - right).abs().mean():.2g} away from the slope "
                    "of the log density. One thing to check: the score is 0 wherever alpha x0_hat equals x_t."
                )
    x = torch.randn(2, 1, 3, 3, generator=generator)
    same_kind(call(answer, denoise=lambda x_t, t: 0.5 * x_t, x_t=x, t=0.5, schedule=schedules.cosine()), x, "the score")


def _wrong_scores(x_t: Tensor, x0: Tensor, a: float, s: float) -> list[tuple[Tensor, str]]:
    right = (a * x0 - x_t) / s**2
    return [
        (x0, "that is the prediction x0_hat. The score is (alpha x0_hat - x_t) / sigma^2."),
        (-right, "it has the wrong sign: the score points uphill, from x_t towards alpha x0_hat."),
        (-s * right, "that is eps_hat. The score is -eps_hat / sigma."),
        (s * right, "square sigma: the score is -eps_hat / sigma, and eps_hat itself is divided by sigma."),
        (s * s * right, "the denominator is missing: divide by sigma^2."),
        ((x0 - x_t) / s**2, "multiply x0_hat by alpha, because x_t has faded and x0_hat has not."),
        ((x0 - x_t) / s, "multiply x0_hat by alpha, and divide by sigma^2."),
        (x0 - x_t, "multiply x0_hat by alpha, and divide by sigma^2."),
        ((x0 - x_t / a) / s**2, "compare alpha x0_hat with x_t. You compared x0_hat with x_t / alpha."),
        ((s * x0 - x_t) / a**2, "alpha and sigma are swapped."),
        ((a * x0 - x_t) / (2 * s**2), "the denominator has no 2: the derivative of the square cancels it."),
        ((x_t + s**2 * x0) / a, "you solved for x0_hat. Here x0_hat is known and you want the score."),
    ]


CHECKS = {"02.1": gaussian_prediction, "02.2": picture_prediction, "02.3": score}
