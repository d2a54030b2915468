"""Lesson 02: the best guess of a Gaussian, the best guess among pictures, the slope from the guess."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ... import oracle
from ... import schedule as schedules
from ...process import diffuse
from .judge import NotAttempted, Wrong, call, close, name_mistake, same_kind


def gaussian_guess(answer: Any) -> None:
    """02.1: gaussian_guess(x_t, t, mean, variance, schedule) -> E[x0 | x_t] for x0 from N(mean, variance).

    mean + alpha variance / (alpha^2 variance + sigma^2) (x_t - alpha mean).
    """
    generator = torch.Generator().manual_seed(0)
    for schedule in (schedules.cosine(), schedules.linear(), schedules.flow()):
        for mean, variance, t in ((0.7, 0.3, 0.6), (-1.5, 4.0, 0.8), (2.0, 0.05, 0.3), (0.5, 2.0, 1.0)):
            x_t = 2 * torch.randn(64, generator=generator, dtype=torch.float64)
            inputs = dict(x_t=x_t, t=t, mean=mean, variance=variance, schedule=schedule)
            guess = same_kind(call(answer, **inputs), x_t, "the guess")
            law = torch.tensor([mean]), torch.tensor([[variance]])
            right = oracle.gaussian(*law, schedule)(x_t[:, None], t)[:, 0]
            if close(guess, right):
                continue
            name_mistake(guess, _wrong_gaussians(x_t, schedule.alpha(t), schedule.sigma(t), mean, variance))
            far = (guess - right).abs().mean()
            raise Wrong(
                f"for N({mean}, {variance}) at t = {t} on {schedule.name}, yours is {far:.2g} away. Check two ends: "
                "without noise the guess is x_t, and where alpha is 0 it is the mean."
            )
    x = torch.randn(2, 1, 3, 5, generator=generator)
    same_kind(
        call(answer, x_t=x, t=0.4, mean=0.1, variance=0.2, schedule=schedules.cosine()), x, "the guess of pictures"
    )


def _wrong_gaussians(x_t: Tensor, a: float, s: float, mean: float, v: float) -> list[tuple[Tensor, str]]:
    total = a * a * v + s * s
    trust = a * v / total
    by_sigma = v / (v + s / a) if a else 0.0
    return [
        (torch.full_like(x_t, mean), "your guess is the mean whatever you see. Use x_t as well."),
        (x_t / a if a else x_t, "x_t / alpha undoes the fade and forgets that the noise is in it, and the mean."),
        (trust * x_t, "the mean is missing: it comes in front, and alpha times it is taken off x_t."),
        (mean + trust * x_t, "take alpha times the mean off x_t before you multiply."),
        (mean + trust * (x_t - mean), "the mean of x_t is alpha times the mean: take off that."),
        (a * mean + trust * (x_t - a * mean), "that is near the mean of x_t. The guess is of x0: begin with the mean."),
        (mean + a * v / (a * a * v + s) * (x_t - a * mean), "sigma must be squared: variances add, not deviations."),
        (mean + by_sigma * (x_t / a - mean) if a else x_t, "x_t / alpha is off by sigma^2 / alpha^2, squared."),
        (mean + a * v / (a * v + s * s) * (x_t - a * mean), "alpha must be squared below the line: alpha^2 variance."),
        (mean + v / total * (x_t - a * mean), "the factor alpha above the line is missing."),
        (mean + a * v * v / (a * a * v * v + s * s) * (x_t - a * mean), "`variance` is the square already."),
        (mean + a * v**0.5 / (a * a * v**0.5 + s * s) * (x_t - a * mean), "you took a root of the variance."),
        (mean + s * v / (s * s * v + a * a) * (x_t - s * mean), "alpha and sigma have changed places."),
        (
            mean + a * s * s / total * (x_t - a * mean),
            "the weights have changed places: little noise, much trust in x_t.",
        ),
        (mean + (1 - trust) * (x_t - a * mean), "the weights have changed places: little noise, much trust in x_t."),
    ]


def picture_guess(answer: Any) -> None:
    """02.2: picture_guess(x_t, t, pictures, schedule) -> the softmax-weighted mean of the pictures, one an x_t."""
    generator = torch.Generator().manual_seed(0)
    for schedule in (schedules.cosine(), schedules.flow(), schedules.linear()):
        # 6 noisy pictures, 6 known ones: weights along the wrong axis raise no error, so they must be caught here
        pictures = torch.rand(6, 1, 4, 5, generator=generator, dtype=torch.float64) * 2 - 1
        for t in (0.95, 0.8, 0.5):
            eps = torch.randn(pictures.shape, generator=generator, dtype=torch.float64)
            x_t = diffuse(pictures.flip(0), t, eps, schedule)
            guess = call(answer, x_t=x_t, t=t, pictures=pictures, schedule=schedule)
            guess = same_kind(guess, x_t, "the guess")
            right = oracle.dataset(pictures, schedule)(x_t, t)
            if close(guess, right):
                continue
            name_mistake(guess, _wrong_means(x_t, pictures, schedule.alpha(t), schedule.sigma(t)))
            far = (guess - right).abs().mean()
            raise Wrong(f"at t = {t} on {schedule.name}, yours is {far:.2g} a pixel away.")
    _check_large(answer, generator)


def _check_large(answer: Any, generator: torch.Generator) -> None:
    """Many pixels and little noise: every exponent is far below 0. And float32, colours, one picture."""
    pictures = torch.rand(7, 3, 28, 28, generator=generator, dtype=torch.float64) * 2 - 1
    schedule = schedules.cosine()
    eps = torch.randn(2, 3, 28, 28, generator=generator, dtype=torch.float64)
    x_t = diffuse(pictures[:2], 0.3, eps, schedule)
    guess = call(answer, x_t=x_t, t=0.3, pictures=pictures, schedule=schedule)
    if isinstance(guess, Tensor) and not bool(guess.isfinite().all()):
        raise Wrong(
            "with 2,352 numbers in a picture every weight is 0, and 0 / 0 is no guess. Take the largest exponent off "
            "all of them first, as torch.softmax does."
        )
    guess = same_kind(guess, x_t, "the guess of pictures with three colours")
    if not close(guess, oracle.dataset(pictures, schedule)(x_t, 0.3)):
        raise Wrong(
            f"it is right for small pictures, and {(guess - pictures[:2]).abs().mean():.2g} a pixel away for two of "
            "3 x 28 x 28 pixels. The difference is summed over all the pixels, and colours, of a picture."
        )
    x = x_t.float()[:1]
    same_kind(call(answer, x_t=x, t=0.3, pictures=pictures.float(), schedule=schedule), x, "the guess of one picture")


def _wrong_means(x_t: Tensor, pictures: Tensor, a: float, s: float) -> list[tuple[Tensor, str]]:
    x, y = x_t.flatten(1), pictures.flatten(1)
    miss = (x[:, None] - a * y[None]).square().sum(2)

    def mean(logit: Tensor) -> Tensor:
        return (logit.softmax(1) @ y).view_as(x_t)

    right = -miss / (2 * s * s)
    return [
        (
            y.mean(0).expand_as(x).view_as(x_t),
            "all pictures have the same weight: weigh by how well each explains x_t.",
        ),
        (y[miss.argmin(1)].view_as(x_t), "that is the nearest picture. The best guess is a mean of them all."),
        ((right.softmax(0) @ y).view_as(x_t), "your weights add up to 1 over the batch. They must over the pictures."),
        (
            (right.softmax(0).T @ y).view_as(x_t),
            "your weights add up to 1 over the batch. They must over the pictures.",
        ),
        (
            (right.softmax(1).T @ y).view_as(x_t),
            "your weights are turned around: (batch, pictures) @ (pictures, pixels).",
        ),
        (mean(-miss / (s * s)), "the exponent has a 2 below the line: -miss / (2 sigma^2)."),
        (mean(-miss / (2 * s)), "sigma must be squared in the exponent."),
        (mean(-miss / 2), "the noise is missing in the exponent: divide by sigma^2."),
        (mean(-miss.sqrt() / (2 * s * s)), "the distance must be squared in the exponent."),
        (mean(-right), "the exponent has the wrong sign: what is far gets the largest weight."),
        (mean(right / x.shape[1]), "sum the squares over the pixels; a mean over them makes the weights too equal."),
        (
            mean(-(x[:, None] - y[None]).square().sum(2) / (2 * s * s)),
            "x_t is faint: compare it with alpha x0, not x0.",
        ),
        (
            mean(-(x[:, None] / a - y[None]).square().sum(2) / (2 * s * s)),
            "after x_t / alpha the noise is sigma / alpha.",
        ),
        (mean(-(x[:, None] - s * y[None]).square().sum(2) / (2 * a * a)), "alpha and sigma have changed places."),
        (a * mean(right), "that is alpha times the guess: average the pictures as they are."),
    ]


def score(answer: Any) -> None:
    """02.3: score(denoise, x_t, t, schedule) -> (alpha x0_hat - x_t) / sigma^2, the slope of log q(x_t)."""
    generator = torch.Generator().manual_seed(0)
    for schedule in (schedules.cosine(), schedules.linear(), schedules.flow()):
        means = torch.randn(3, 2, generator=generator, dtype=torch.float64)
        law = oracle.mixture(torch.ones(3), means, 0.1 * torch.eye(2).expand(3, 2, 2), schedule)

        def denoise(x_t: Any, t: Any, law: Any = law) -> Tensor:
            if x_t is ...:
                raise NotAttempted
            return law(x_t, t)

        for t in (0.2, 0.5, 0.9):
            x_t = torch.randn(32, 2, generator=generator, dtype=torch.float64)
            slope = same_kind(call(answer, denoise=denoise, x_t=x_t, t=t, schedule=schedule), x_t, "the score")
            leaf = x_t.clone().requires_grad_(True)
            (right,) = torch.autograd.grad(law.log_density(leaf, t).sum(), leaf)
            if not close(slope, right):
                name_mistake(slope, _wrong_scores(x_t, law(x_t, t), schedule.alpha(t), schedule.sigma(t)))
                raise Wrong(
                    f"at t = {t} on {schedule.name}, yours is {(slope - right).abs().mean():.2g} away from the slope "
                    "of the log density. At a place where alpha x0_hat is x_t the score is 0."
                )
    x = torch.randn(2, 1, 3, 3, generator=generator)
    same_kind(call(answer, denoise=lambda x_t, t: 0.5 * x_t, x_t=x, t=0.5, schedule=schedules.cosine()), x, "the score")


def _wrong_scores(x_t: Tensor, x0: Tensor, a: float, s: float) -> list[tuple[Tensor, str]]:
    right = (a * x0 - x_t) / s**2
    return [
        (x0, "that is the guess. The score is (alpha x0_hat - x_t) / sigma^2."),
        (-right, "it has the wrong sign: the score points uphill, from x_t towards alpha x0_hat."),
        (-s * right, "that is eps_hat. The score is -eps_hat / sigma."),
        (s * right, "sigma must be squared: the score is -eps_hat / sigma, and eps_hat has a sigma below the line."),
        (s * s * right, "divide by sigma^2."),
        ((x0 - x_t) / s**2, "multiply the guess by alpha: x_t is faint, and x0_hat is not."),
        ((x0 - x_t) / s, "multiply the guess by alpha, and divide by sigma^2."),
        (x0 - x_t, "multiply the guess by alpha, and divide by sigma^2."),
        ((x0 - x_t / a) / s**2, "take x_t off alpha x0_hat, not x_t / alpha off x0_hat."),
        ((s * x0 - x_t) / a**2, "alpha and sigma have changed places."),
        ((a * x0 - x_t) / (2 * s**2), "there is no 2: the square's derivative brings one, and it cancels."),
        ((x_t + s**2 * x0) / a, "you solved for the guess. Here it is known, and the score is asked for."),
    ]


CHECKS = {"02.1": gaussian_guess, "02.2": picture_guess, "02.3": score}
