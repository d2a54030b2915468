"""Lesson 09: the weight that hides in a loss, a loss with a weight of one's own, one division for all the data."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ... import heads
from ... import schedule as schedules
from ...objectives.weighted import WEIGHTINGS
from .judge import Wrong, call, close, name_mistake, number, same_kind


def hidden_weight(answer: Any) -> None:
    """09.1: hidden_weight(output, snr) -> the weight of the squared error in x0 in the plain loss of this output.

    1 for "x0", snr for "eps", snr + 1 for "v"; where alpha^2 + sigma^2 = 1 that is the gain of the head, squared.
    """
    schedule, x = schedules.cosine(), torch.zeros(1)
    for output in ("x0", "eps", "v"):
        for log_snr in (-3.0, 0.0, 0.7, 4.0):
            t = schedule.time(log_snr)
            right = float(heads.HEADS[output].gain(t, x, schedule)) ** 2
            snr = schedule.alpha(t) ** 2 / schedule.sigma(t) ** 2
            weight = number(call(answer, output=output, snr=snr), f"the weight of {output!r}")
            if abs(weight - right) <= 1e-6 * right:
                continue
            if abs(weight - 1 / right) <= 1e-6 / right:
                raise Wrong(f"for {output!r} yours is upside down: it is the error in the output, in errors of x0.")
            if abs(weight - right**0.5) <= 1e-6 * right:
                raise Wrong(f"for {output!r} a square is missing: the loss is a squared error, and so is the SNR.")
            if abs(weight - snr) <= 1e-6 * snr:
                raise Wrong(f"snr is the weight in the loss on eps. For {output!r} it is another one.")
            if abs(weight - log_snr) <= 1e-6:
                raise Wrong("snr comes in as it is: take no logarithm.")
            raise Wrong(
                f"for {output!r} at an SNR of {snr:.3g} yours is {weight:.3g}. Write the error of the output with "
                "x_t held fixed: if x0_hat moves by d, the noise that explains x_t moves by -alpha / sigma d."
            )


def weighted_loss(answer: Any) -> None:
    """09.2: weighted_loss(x0_hat, x0, snr) -> one number, the mean over pictures of min(snr, 5) times their error."""
    generator = torch.Generator().manual_seed(0)
    # 6 pictures of 6x6: weights along the wrong axis raise no error, so they must be caught here
    x0_hat, x0 = torch.randn(2, 6, 1, 6, 6, generator=generator, dtype=torch.float64)
    for snr in (torch.tensor([0.1, 0.5, 2.0, 4.0, 20.0, 300.0]), torch.tensor([9.0, 0.01, 1.0, 0.2, 5.0, 70.0])):
        snr = snr.double()
        value = call(answer, x0_hat=x0_hat, x0=x0, snr=snr)
        if isinstance(value, Tensor) and value.numel() > 1:
            raise Wrong(f"a loss is one number, and yours has the shape {tuple(value.shape)}: take the mean.")
        loss = number(value, "the loss")
        error = (x0_hat - x0).square().flatten(1).mean(1)
        weight = WEIGHTINGS["min_snr"](snr, snr)  # type: ignore
        right = (weight * error).mean().item()
        if abs(loss - right) <= 1e-6 * right:
            continue
        for wrong, sentence in _wrong_losses(x0_hat, x0, snr, error, weight, right):
            if abs(loss - float(wrong)) <= 1e-6 * abs(float(wrong)):
                raise Wrong(sentence)
        raise Wrong(
            f"for six pictures yours is {loss:.4g}. The error of a picture is the mean of its squared differences; "
            "times its weight, min(snr, 5); then the mean over the pictures."
        )


def _wrong_losses(
    x0_hat: Tensor, x0: Tensor, snr: Tensor, error: Tensor, weight: Tensor, right: float
) -> list[tuple[Tensor | float, str]]:
    squared = (x0_hat - x0).square()
    return [
        ((snr * error).mean(), "nothing is cut off: the weight must not exceed 5. See Tensor.clamp."),
        ((snr.clamp(min=5.0) * error).mean(), "you took the larger of snr and 5. The weight is the smaller."),
        (error.mean(), "all pictures count alike in yours: multiply each error by its weight."),
        (weight.mean() * error.mean(), "you took the mean of weights and of errors apart. Multiply first."),
        ((weight * squared).mean(), "each column of a picture got its own weight. One a picture."),
        ((weight[:, None] * squared).mean(), "each row of a picture got its own weight. One a picture."),
        ((weight * error).sum(), "you took the sum over the pictures, not the mean."),
        (right * squared[0].numel(), "you took the sum over the pixels, not the mean."),
        ((weight * error).sum() / weight.sum(), "you divided by the weights: the mean is over the pictures."),
        ((weight * (x0_hat - x0).abs().flatten(1).mean(1)).mean(), "the differences are to be squared."),
        ((weight * error.sqrt()).mean(), "you took a root of the error: it is the squared one that counts."),
        (
            (error * weight / snr).mean(),
            "that is the weight for an error in eps. Here the error is in x0: no division.",
        ),
        ((weight.square() * error).mean(), "the weight is in yours twice, or inside the square."),
    ]


def normalise(answer: Any) -> None:
    """09.3: normalise(x0) -> mean 0 and standard deviation 1 over the whole set: two numbers for all pictures."""
    generator = torch.Generator().manual_seed(0)
    for scale, shift in ((10.0, 3.0), (0.05, -1.0)):
        uneven = torch.rand(40, 1, 1, 1, generator=generator, dtype=torch.float64)
        x0 = torch.randn(40, 1, 6, 5, generator=generator, dtype=torch.float64) * (0.3 + uneven) + uneven
        x0 = scale * (x0 + torch.linspace(0, 1, 5, dtype=torch.float64)) + shift
        z = same_kind(call(answer, x0=x0), x0, "the result")
        centred, std = x0 - x0.mean(), x0.std()
        # either way to count, by n or by n - 1
        if close(z, centred / std) or close(z, centred / x0.std(correction=0)):
            continue
        own = x0.mean((1, 2, 3), keepdim=True), x0.std((1, 2, 3), keepdim=True)
        pixel = x0.mean(0), x0.std(0)
        name_mistake(
            z,
            [
                (x0, "nothing has changed."),
                (centred, "the mean is gone; the scale is as it was. Divide by the standard deviation."),
                (x0 / std, "the scale is right. The mean is still there: take it off first."),
                (centred / x0.var(), "you divided by the variance: that is the square of the spread."),
                (centred * std, "you multiplied by the spread. Divide."),
                ((x0 - own[0]) / own[1], "each picture got its own mean and spread: then the sampler cannot undo it."),
                ((x0 - pixel[0]) / pixel[1], "each pixel got its own mean and spread. Two numbers for all the data."),
                (x0 / x0.abs().max(), "that brings the largest value to 1. The spread is what should be 1."),
                (
                    (x0 - x0.min()) / (x0.max() - x0.min()),
                    "that squeezes the data into [0, 1]. The spread should be 1.",
                ),
                (2 * (x0 - x0.min()) / (x0.max() - x0.min()) - 1, "that squeezes the data into [-1, 1]."),
                (x0 / std - x0.mean(), "the mean must go before you divide, or be divided too."),
            ],
        )
        raise Wrong(f"over all pictures yours has mean {z.mean():.3g} and standard deviation {z.std():.3g}.")
    same_kind(call(answer, x0=torch.randn(3, 1, 4, 4, generator=generator)), torch.zeros(3, 1, 4, 4), "the result")


CHECKS = {"09.1": hidden_weight, "09.2": weighted_loss, "09.3": normalise}
