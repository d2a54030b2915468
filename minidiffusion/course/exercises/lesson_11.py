"""Lesson 11: the weight hidden in any loss, a loss that is fair to every output, one first guess for all outputs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .judge import Wrong, call, close, name_mistake, number, same_kind


def hidden_weight(answer: Any) -> None:
    """11.1: hidden_weight(a, b, alpha, sigma) -> the weight of the error in x0 in the plain loss on a x0 + b eps.

    It is (a - b alpha / sigma)^2.
    """
    levels = ((0.6, 0.8), (0.9, 0.2), (0.3, 0.7), (0.75, 0.25))  # only the first keeps the variance
    for alpha, sigma in levels:
        for a, b in ((0.5, 3.0), (1.0, 0.0), (0.0, 1.0), (-sigma, alpha), (-1.0, 1.0)):
            root = a - b * alpha / sigma
            right = root**2
            found = number(call(answer, a=a, b=b, alpha=alpha, sigma=sigma), "the weight")
            if _equal(found, right):
                continue
            snr = (alpha / sigma) ** 2
            mistakes = [
                (root, "a square is missing: the loss squares the error."),
                (-root, "a square is missing: the loss squares the error."),
                (abs(root), "a square is missing: the loss squares the error."),
                (1 / right, "that is upside down: we want the weight of the error in x0."),
                ((a + b * alpha / sigma) ** 2, "if x0_hat grows, eps_hat shrinks: x_t is fixed. Check the sign."),
                ((a - b * sigma / alpha) ** 2, "alpha and sigma are swapped: eps_hat is off by -(alpha / sigma) d."),
                ((a - b * alpha) ** 2, "to get eps_hat one divides by sigma, so the error is divided by it as well."),
                (a**2 + b**2 * snr, "the errors in x0 and eps are not independent: add them first, then square."),
                (a**2 - b**2 * snr, "add the two errors first, then square their sum."),
                ((a - b) ** 2, "the error in eps_hat is not as large as that in x0_hat. By which factor?"),
                (snr, f"that is the weight for a = 0 and b = 1 only. Here a = {a:.2g} and b = {b:.2g}."),
                (snr + 1, "that is the weight for v, where alpha^2 + sigma^2 = 1. Use a and b."),
                ((a - b * snr) ** 2, "the error in eps_hat grows with alpha / sigma; the SNR is the square of that."),
            ]
            name_mistake(found, mistakes, _equal)
            raise Wrong(
                f"for a = {a:.2g}, b = {b:.2g}, alpha = {alpha}, sigma = {sigma}, your weight is {found:.3g}. Keep x_t "
                "fixed and let x0_hat be wrong by d: by how much is a x0_hat + b eps_hat wrong?"
            )


def _equal(a: float, b: float) -> bool:
    return abs(a - b) <= 1e-6 * max(1e-3, abs(b))


def fair_loss(answer: Any) -> None:
    """11.2: fair_loss(said, output, x0, eps, alpha, sigma) -> the mean of min(SNR, 5) times the error in x0_hat."""
    generator = torch.Generator().manual_seed(0)
    # six pictures of 6 x 6: weights along the wrong axis would not raise an error, so the check has to notice them
    x0, eps, said = torch.randn(3, 6, 1, 6, 6, generator=generator, dtype=torch.float64)
    for values in ([0.95, 0.9, 0.7, 0.5, 0.3, 0.2], [0.25, 0.97, 0.6, 0.4, 0.92, 0.8]):
        alpha = torch.tensor(values, dtype=torch.float64)
        sigma = (1 - alpha**2).sqrt()
        for output in ("v", "eps", "x0"):
            right = _loss(said, output, x0, eps, alpha, sigma).item()
            inputs = dict(said=said, output=output, x0=x0, eps=eps, alpha=alpha, sigma=sigma)
            loss = call(answer, **inputs)
            if isinstance(loss, Tensor) and loss.numel() > 1:
                raise Wrong(f"a loss is one number, but yours has the shape {tuple(loss.shape)}: take the mean.")
            loss = number(loss, "the loss")
            if _near(loss, right):
                continue
            name_mistake(loss, _wrong_losses(said, output, x0, eps, alpha, sigma), _near)
            raise Wrong(
                f"for {output!r} and six pictures your loss of {loss:.4g} is wrong. Make x_t, turn what was said into "
                "x0_hat, take the mean squared error of each picture, multiply by min(SNR, 5), and average."
            )


def _near(a: float, b: float | Tensor) -> bool:
    return abs(a - float(b)) <= 1e-6 * abs(float(b))


def _guess(said: Tensor, output: str, x_t: Tensor, a: Tensor, s: Tensor) -> Tensor:
    return {"x0": said, "eps": (x_t - s * said) / a, "v": a * x_t - s * said}[output]


def _errors(said: Tensor, output: str, x0: Tensor, eps: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    a, s = alpha[:, None, None, None], sigma[:, None, None, None]
    return (_guess(said, output, a * x0 + s * eps, a, s) - x0).square()


def _loss(said: Tensor, output: str, x0: Tensor, eps: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    error = _errors(said, output, x0, eps, alpha, sigma).flatten(1).mean(1)
    return (((alpha / sigma) ** 2).clamp(max=5.0) * error).mean()


def _wrong_losses(
    said: Tensor, output: str, x0: Tensor, eps: Tensor, alpha: Tensor, sigma: Tensor
) -> list[tuple[Tensor, str]]:
    squared, snr = _errors(said, output, x0, eps, alpha, sigma), (alpha / sigma) ** 2
    error, weight = squared.flatten(1).mean(1), snr.clamp(max=5.0)
    a, s = alpha[:, None, None, None], sigma[:, None, None, None]
    target = {"x0": x0, "eps": eps, "v": a * eps - s * x0}[output]
    plain = (said - target).square().flatten(1).mean(1)
    as_x0, swapped = (said - x0).square().flatten(1).mean(1), (_guess(said, output, s * x0 + a * eps, a, s) - x0)
    across = (_guess(said, output, alpha * x0 + sigma * eps, alpha, sigma) - x0).square().flatten(1).mean(1)
    unread = [
        (plain.mean(), f"that is the plain loss on {output}. Turn what was said into x0_hat first."),
        ((weight * plain).mean(), f"you weight the error in {output} itself. Turn what was said into x0_hat first."),
        ((weight * as_x0).mean(), f"you compare what was said with x0, but it is {output}: turn it into x0_hat first."),
    ]
    return (unread if output != "x0" else []) + [
        ((snr * error).mean(), "the weight is not capped: it must not exceed 5. See Tensor.clamp."),
        ((snr.clamp(min=5.0) * error).mean(), "you took the larger of SNR and 5, but the weight is the smaller one."),
        (error.mean(), "all pictures count equally in your loss: multiply the error of each by its weight."),
        (weight.mean() * error.mean(), "you averaged weights and errors separately. Multiply first, then average."),
        ((weight * squared).mean(), "each column of pixels got its own weight, but every picture needs just one."),
        ((weight[:, None] * squared).mean(), "each row of pixels got its own weight, but a picture needs just one."),
        ((weight * error).sum(), "you summed over the pictures: take the mean over them."),
        ((weight * error).mean() * squared[0].numel(), "you summed over the pixels: take the mean over them."),
        ((weight * error).sum() / weight.sum(), "divide by the number of pictures, not by the sum of the weights."),
        (((alpha / sigma).clamp(max=5.0) * error).mean(), "the SNR is the square of alpha / sigma."),
        (((1 / snr).clamp(max=5.0) * error).mean(), "your SNR is upside down: it is (alpha / sigma)^2."),
        ((weight * swapped.square().flatten(1).mean(1)).mean(), "alpha and sigma are swapped in x_t."),
        ((weight * across).mean(), "alpha and sigma met the columns of pixels: give them the shape (batch, 1, 1, 1)."),
        ((weight * error.sqrt()).mean(), "you took the root of the error, but the squared error is what counts."),
    ]


def one_first_guess(answer: Any) -> None:
    """11.3: one_first_guess(said, output, x_t, alpha, sigma) -> said + the target at x0_hat = alpha x_t."""
    generator = torch.Generator().manual_seed(1)
    x_t, network = torch.randn(2, 3, 1, 4, 4, generator=generator, dtype=torch.float64)
    for alpha, sigma in ((0.6, 0.8), (0.28, 0.96), (0.8, 0.6)):
        for output in ("x0", "eps", "v"):
            add = {"x0": alpha * x_t, "eps": sigma * x_t, "v": 0 * x_t}[output]
            for said in (torch.zeros_like(x_t), network):
                inputs = dict(said=said, output=output, x_t=x_t, alpha=alpha, sigma=sigma)
                found = same_kind(call(answer, **inputs), x_t, "the result")
                if close(found, said + add):
                    continue
                _name_first_guess(found, said, output, x_t, alpha, sigma, add)


def _name_first_guess(
    found: Tensor, said: Tensor, output: str, x_t: Tensor, alpha: float, sigma: float, add: Tensor
) -> None:
    mistakes = [
        (add, f"you dropped what the network said. For {output!r}, add to it."),
        (said, f"you add nothing to {output!r}, so its first guess is still its own."),
        (said - add, f"the sign is wrong for {output!r}."),
    ]
    if output == "eps":
        mistakes += [
            (said + alpha * x_t, "alpha x_t is the first guess of the picture. Add the noise that goes with it."),
            (said + x_t, "x_t is not the noise: if x0_hat = alpha x_t, subtract its share and divide by sigma."),
            (said + x_t / sigma, "that belongs to the guess x0_hat = 0. Subtract alpha x0_hat before you divide."),
            (said + (1 - alpha) / sigma * x_t, "in x_t the guess appears as alpha x0_hat, so it is alpha^2 x_t there."),
            (said + (1 - alpha**2) * x_t, "you forgot to divide by sigma."),
            (said + sigma**2 * x_t, "you forgot to divide by sigma."),
        ]
    if output == "v":
        mistakes += [
            (said + alpha * x_t, "that is the guess of the picture. Put both guesses into v = alpha eps - sigma x0."),
            (said - sigma * x_t, "the part of the noise is missing: v = alpha eps_hat - sigma x0_hat."),
            (said - sigma * alpha * x_t, "the part of the noise is missing: v = alpha eps_hat - sigma x0_hat."),
            (said + sigma * alpha * x_t, "the part of the picture is missing: v = alpha eps_hat - sigma x0_hat."),
            (said + 2 * sigma * alpha * x_t, "v is a difference, alpha eps_hat - sigma x0_hat. Check the sign."),
        ]
    name_mistake(found, mistakes)
    said_0 = found - said
    raise Wrong(
        f"for {output!r} at alpha = {alpha} and sigma = {sigma}, a network that says 0 must make the guess alpha x_t. "
        f"You add {(said_0 * x_t).sum() / x_t.square().sum():.3g} x_t. What is {output} if x0_hat = alpha x_t?"
    )


CHECKS = {"11.1": hidden_weight, "11.2": fair_loss, "11.3": one_first_guess}
