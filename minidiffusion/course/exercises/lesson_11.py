"""Lesson 11: the weight hidden in a loss, a weighted loss of your own, and one normalisation for all the data."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ... import schedule as schedules
from .judge import Wrong, call, close, name_mistake, number, same_kind


def hidden_weight(answer: Any) -> None:
    """09.1: hidden_weight(output, snr) -> the weight on the squared error in x0 that the plain loss on output implies.

    It is 1 for "x0", snr for "eps" and snr + 1 for "v", on a schedule with alpha^2 + sigma^2 = 1.
    """
    schedule = schedules.cosine()
    for output in ("x0", "eps", "v"):
        for log_snr in (-3.0, 0.0, 0.7, 4.0):
            t = schedule.time(log_snr)
            snr = schedule.alpha(t) ** 2 / schedule.sigma(t) ** 2
            right = {"x0": 1.0, "eps": snr, "v": snr + 1}[output]
            weight = number(call(answer, output=output, snr=snr), f"the weight for {output!r}")
            if abs(weight - right) <= 1e-6 * right:
                continue
            if abs(weight - 1 / right) <= 1e-6 / right:
                raise Wrong(f"for {output!r}, your fraction is upside down: invert it.")
            if abs(weight - right**0.5) <= 1e-6 * right:
                raise Wrong(f"for {output!r}, a square is missing: the loss squares the error.")
            if abs(weight - snr) <= 1e-6 * snr:
                raise Wrong(f"snr is the weight for the loss on eps, but {output!r} has a different weight.")
            if abs(weight - log_snr) <= 1e-6:
                raise Wrong("you took a logarithm: the argument snr is already the ratio itself, so use it as it is.")
            raise Wrong(
                f"for {output!r} at an SNR of {snr:.3g}, your weight is {weight:.3g}. Hold x_t fixed and change x0_hat "
                "by d: the noise that explains x_t then changes by -alpha / sigma d. How much does the output change?"
            )


def weighted_loss(answer: Any) -> None:
    """09.2: weighted_loss(x0_hat, x0, snr) -> the mean over the images of min(snr, 5) times their squared error."""
    generator = torch.Generator().manual_seed(0)
    # six images of 6 x 6: weights along the wrong axis would not raise an error, so the check has to notice them
    x0_hat, x0 = torch.randn(2, 6, 1, 6, 6, generator=generator, dtype=torch.float64)
    for values in ([0.1, 0.5, 2.0, 4.0, 20.0, 300.0], [9.0, 0.01, 1.0, 0.2, 5.0, 70.0]):
        snr = torch.tensor(values, dtype=torch.float64)
        error, weight = (x0_hat - x0).square().flatten(1).mean(1), snr.clamp(max=5.0)
        right = (weight * error).mean().item()
        value = call(answer, x0_hat=x0_hat, x0=x0, snr=snr)
        if isinstance(value, Tensor) and value.numel() > 1:
            raise Wrong(f"a loss is one number, but yours has the shape {tuple(value.shape)}: take the mean.")
        loss = number(value, "the loss")
        if abs(loss - right) <= 1e-6 * right:
            continue
        mistakes = _wrong_losses(x0_hat, x0, snr, error, weight)
        name_mistake(loss, mistakes, lambda loss, wrong: abs(loss - wrong.item()) <= 1e-6 * abs(wrong.item()))
        raise Wrong(
            f"for six images your loss of {loss:.4g} is wrong. Take the mean squared difference of each "
            "image, multiply it by the image's weight min(snr, 5), and average over the images."
        )


def _wrong_losses(x0_hat: Tensor, x0: Tensor, snr: Tensor, error: Tensor, weight: Tensor) -> list[tuple[Tensor, str]]:
    squared, in_eps = (x0_hat - x0).square(), weight / snr
    return [
        ((snr * error).mean(), "the weight is not capped: it must not exceed 5. See Tensor.clamp."),
        ((snr.clamp(min=5.0) * error).mean(), "you took the larger of snr and 5, but the weight is the smaller one."),
        (error.mean(), "all images count equally in your loss: multiply the error of each by its weight."),
        (weight.mean() * error.mean(), "you averaged weights and errors separately. Multiply first, then average."),
        ((weight * squared).mean(), "each column of pixels got its own weight, but every image needs just one."),
        ((weight[:, None] * squared).mean(), "each row of pixels got its own weight, but every image needs just one."),
        ((weight * error).sum(), "you summed over the images: take the mean over them."),
        ((weight * error).mean() * squared[0].numel(), "you summed over the pixels: take the mean over them."),
        ((weight * error).sum() / weight.sum(), "divide by the number of images, not by the sum of the weights."),
        ((weight * (x0_hat - x0).abs().flatten(1).mean(1)).mean(), "the differences have to be squared."),
        ((weight * error.sqrt()).mean(), "you took the root of the error, but the squared error is what counts."),
        ((error * in_eps).mean(), "dividing by snr is right for an error in eps, but this one is in x0."),
        ((weight.square() * error).mean(), "the weight enters twice: keep it outside the square."),
    ]


def normalise(answer: Any) -> None:
    """09.3: normalise(x0) -> the images with mean 0 and standard deviation 1 over the whole data set."""
    generator = torch.Generator().manual_seed(0)
    for scale, shift in ((10.0, 3.0), (0.05, -1.0)):
        uneven = torch.rand(40, 1, 1, 1, generator=generator, dtype=torch.float64)
        x0 = torch.randn(40, 1, 6, 5, generator=generator, dtype=torch.float64) * (0.3 + uneven) + uneven
        x0 = scale * (x0 + torch.linspace(0, 1, 5, dtype=torch.float64)) + shift
        z = same_kind(call(answer, x0=x0), x0, "the result")
        centred, std, unit = x0 - x0.mean(), x0.std(), (x0 - x0.min()) / (x0.max() - x0.min())
        # dividing by n and by n - 1 are both right
        if close(z, centred / std) or close(z, centred / x0.std(correction=0)):
            continue
        image = x0.mean((1, 2, 3), keepdim=True), x0.std((1, 2, 3), keepdim=True)
        mistakes = [
            (x0, "your result is the input, unchanged."),
            (centred, "the mean is 0, but the scale is unchanged: divide by the standard deviation."),
            (x0 / std, "the scale is right, but the mean is still there: subtract it first."),
            (centred / x0.var(), "you divided by the variance, which is the square of the standard deviation."),
            (centred * std, "you multiplied by the standard deviation: divide by it."),
            ((x0 - image[0]) / image[1], "each image got its own mean and scale, so the sampler could not undo it."),
            ((x0 - x0.mean(0)) / x0.std(0), "each pixel got its own mean and scale. Use two numbers for all the data."),
            (x0 / x0.abs().max(), "the largest value is now 1, but it is the standard deviation that should be 1."),
            (unit, "that squeezes the data into [0, 1], but it is the standard deviation that should be 1."),
            (2 * unit - 1, "that squeezes the data into [-1, 1], but it is the standard deviation that should be 1."),
            (x0 / std - x0.mean(), "subtract the mean before you divide, or divide the mean as well."),
        ]
        name_mistake(z, mistakes)
        raise Wrong(
            f"over all images, the mean is {z.mean():.3g} and the standard deviation {z.std():.3g}, not 0 and 1."
        )
    same_kind(call(answer, x0=torch.randn(3, 1, 4, 4, generator=generator)), torch.zeros(3, 1, 4, 4), "the result")


CHECKS = {"11.1": hidden_weight, "11.2": weighted_loss, "11.3": normalise}
