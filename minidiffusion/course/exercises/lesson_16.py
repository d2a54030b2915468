"""Lesson 16: the copy test, and the perfect guess of one who sees a patch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ... import oracle
from ... import schedule as schedules
from .judge import Wrong, call, close, name_mistake, number, same_kind


def copy_share(answer: Any) -> None:
    """16.1: copy_share(drawn, training) -> the share of drawings with d1 < d2 / 3."""
    generator = torch.Generator().manual_seed(0)
    for scale in (1.0, 20.0):
        training = scale * torch.randn(12, 30, generator=generator, dtype=torch.float64)
        # from a training picture a part of the way to another: d1 / d2 is 0.11, 0.25 (copies), 0.43, 0.54, 0.63, 0.82
        parts = [0.1] * 6 + [0.2] * 4 + [0.3] * 5 + [0.35] * 2 + [0.385] + [0.45] * 2
        part = torch.tensor(parts, dtype=torch.float64)[:, None]
        ends = torch.randint(12, (len(part),), generator=generator)
        other = (ends + 1 + torch.randint(11, (len(part),), generator=generator)) % 12
        drawn = (1 - part) * training[ends] + part * training[other]
        share = number(call(answer, drawn=drawn, training=training), "the share")
        distance = torch.cdist(drawn, training)
        d1, d2 = distance.sort(dim=1).values[:, :2].unbind(1)

        def of(copies: Tensor) -> float:
            return copies.double().mean().item()

        right = of(d1 < d2 / 3)
        if abs(share - right) < 1e-6:
            continue
        for wrong, sentence in (
            (1 - right, "that is the share of drawings that are new."),
            (right * len(drawn), "that is the number of copies: divide it by the number of drawings."),
            (of(d1**2 < d2**2 / 3), "you compared squared distances: take the roots before you divide."),
            (of(d1 < 1 / 3), "the nearest distance by itself says nothing: compare it with the second nearest."),
            (of(d2 < 3 * d2 / 3), "a distance is compared with itself: d1 is the nearest, d2 the second nearest."),
            (of(d2 < d1 / 3), "the two distances have changed places: d1, the nearest, is the smaller one."),
            (of(d1 < d2 / 2), "the threshold is a third, and yours is a half."),
            (of(d1 < 2 * d2 / 3), "the threshold is a third, and yours is two thirds."),
            (of(d1 < distance.mean(1) / 3), "compare with the second nearest, not with the mean of all distances."),
            (of(d1 < distance.amax(1) / 3), "compare with the second nearest, not with the farthest."),
            ((d1 / d2).mean().item(), "that is the mean of d1 / d2: count how often it is below a third."),
        ):
            if abs(share - wrong) < 1e-6:
                raise Wrong(sentence)
        far = torch.cdist(training, drawn).sort(dim=1).values
        if abs(share - of(far[:, 0] < far[:, 1] / 3)) < 1e-6:
            raise Wrong("you look for the drawing nearest to each training picture: a row for each drawing is wanted.")
        if not 0 <= share <= 1:
            raise Wrong(f"a share lies in [0, 1], and yours is {share:.3g}.")
        raise Wrong(f"of {len(drawn)} drawings {right * len(drawn):.0f} are copies, and your share is {share:.3g}.")


def middle_guess(answer: Any) -> None:
    """16.2: middle_guess(x_t, t, patches, schedule) -> E[middle pixel | x_t] where the patch is one of the list.

    Patches of 9 pixels, row by row; the middle one is number 4.
    """
    generator = torch.Generator().manual_seed(0)
    for schedule in (schedules.cosine(), schedules.flow()):
        for t in (0.9, 0.75, 0.6):
            patches = torch.randn(7, 9, generator=generator, dtype=torch.float64)
            x_t = torch.randn(5, 9, generator=generator, dtype=torch.float64)
            guess = call(answer, x_t=x_t, t=t, patches=patches, schedule=schedule)
            if isinstance(guess, Tensor) and guess.shape == x_t.shape:
                raise Wrong("you return whole patches: only the middle pixel, number 4, is guessed.")
            guess = same_kind(guess, x_t[:, 4], "the guess")
            right = oracle.dataset(patches, schedule)(x_t, t)[:, 4]
            if not close(guess, right):
                name_mistake(guess, _wrong_guesses(x_t, t, patches, schedule))
                raise Wrong(
                    f"on {schedule.name} at t = {t}, your guess is {(guess - right).abs().mean():.2g} away. The "
                    "weights are exp(-|x_t - alpha y|^2 / (2 sigma^2)), divided by their sum."
                )
    x, one = torch.randn(3, 9, generator=generator), torch.randn(1, 9, generator=generator)
    guess = same_kind(call(answer, x_t=x, t=0.5, patches=one, schedule=schedules.cosine()), x[:, 4], "the guess")
    if not close(guess, one[:, 4].expand(3)):
        raise Wrong("with a single patch in the list, the guess must be its middle pixel.")


def _wrong_guesses(x_t: Tensor, t: float, patches: Tensor, schedule: schedules.Schedule) -> list[tuple[Tensor, str]]:
    alpha, sigma, middle = schedule.alpha(t), schedule.sigma(t), patches[:, 4]
    squared = torch.cdist(x_t, alpha * patches) ** 2

    def mean(logits: Tensor) -> Tensor:
        return logits.softmax(1) @ middle

    best = -squared / (2 * sigma**2)
    at_middle = -((x_t[:, 4:5] - alpha * middle) ** 2) / (2 * sigma**2)
    return [
        (mean(at_middle), "you compare the middle pixels alone: the whole patch says which patch it may be."),
        ((best.softmax(1) @ patches).mean(1), "you average over the patch: take its middle pixel, number 4."),
        ((best.softmax(1) @ patches)[:, 0], "that is the first pixel of the patch: the middle one is number 4."),
        ((best.softmax(1) @ patches)[:, 5], "pixels are counted from 0: the middle one of 9 is number 4."),
        (mean(-best), "the sign is missing: the farther a patch, the smaller its weight."),
        (mean(-(torch.cdist(x_t, patches) ** 2) / (2 * sigma**2)), "compare x_t with alpha(t) y, as faint as it is."),
        (mean(-squared.sqrt() / (2 * sigma**2)), "the distance is not squared."),
        (mean(-squared / (2 * sigma)), "sigma is not squared."),
        (mean(-squared / sigma**2), "the 2 is missing: divide by 2 sigma(t)^2."),
        (mean(-squared / 2), "sigma is missing: divide by 2 sigma(t)^2."),
        (alpha * mean(best), "the guess is of clean pixels: average y, not alpha(t) y."),
        (best.exp() @ middle, "the weights must sum to 1: divide by their sum."),
        (best.softmax(0) @ middle, "the softmax runs over the batch: let it run over the patches, dim=1."),
        (middle[squared.argmin(1)], "that is the nearest patch. The best guess is a mean over them all."),
        (middle.mean().expand(len(x_t)), "all patches have the same weight in yours."),
    ]


CHECKS = {"16.1": copy_share, "16.2": middle_guess}
