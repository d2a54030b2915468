"""Lesson 10: the test for copies that moved, its trap, and the best possible guess for a network that sees a patch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ... import oracle
from ... import schedule as schedules
from .judge import Wrong, call, close, name_mistake, number, same_kind

MOVES = [(down, right) for down in range(-2, 3) for right in range(-2, 3)]


def copy_share(answer: Any) -> None:
    """10.1: copy_share(drawn, training) -> the share of samples with d1 < d2 / 3, moves of up to two pixels allowed."""
    generator = torch.Generator().manual_seed(0)  # every mistake below gives another share
    for scale in (1.0, 20.0):
        training = scale * _smooth(12, generator)
        # samples on the way from one training image to another, and moved, some of them too far
        parts = [0.0] * 5 + [0.05] * 18 + [0.1] * 19 + [0.2] * 17 + [0.3] * 11 + [0.45] * 8
        part = torch.tensor(parts, dtype=torch.float64)[:, None, None, None]
        ends = torch.randint(12, (len(part),), generator=generator)
        other = (ends + 1 + torch.randint(11, (len(part),), generator=generator)) % 12
        mixed = (1 - part) * training[ends] + part * training[other]
        steps = torch.randint(-2, 3, (len(part), 2), generator=generator)
        steps[::6, 0] = 3
        drawn = torch.stack([x.roll(tuple(step), (1, 2)) for x, step in zip(mixed, steps.tolist(), strict=True)])
        right = _moved_share(drawn, training, MOVES)
        share = number(call(answer, drawn=drawn, training=training), "the share")
        if abs(share - right) < 1e-6:
            continue
        name_mistake(share, _wrong_shares(drawn, training, right), lambda a, b: abs(a - b) < 1e-6)
        if not 0 <= share <= 1:
            raise Wrong(f"a share lies in [0, 1], but yours is {share:.3g}.")
        raise Wrong(f"{right * len(drawn):.0f} of {len(drawn)} samples are copies, but your share is {share:.3g}.")


def _smooth(count: int, generator: torch.Generator) -> Tensor:
    """Smooth images of 2 x 8 x 8 pixels: an image that moves by a pixel stays nearer to itself than to the others."""
    fine = torch.randn(count, 2, 8, 8, generator=generator, dtype=torch.float64)
    for dim in (2, 3):
        fine = (fine.roll(-1, dim) + 2 * fine + fine.roll(1, dim)) / 4
    return fine + torch.randn(count, 2, 1, 1, generator=generator, dtype=torch.float64)


def _distances(drawn: Tensor, training: Tensor, moves: list[tuple[int, int]]) -> Tensor:
    """The distance of each sample to each training image at each move, (moves, samples, training images)."""
    rows = [training.roll(move, (2, 3)).flatten(1) for move in moves]
    return torch.stack([torch.cdist(drawn.flatten(1), row) for row in rows])


def _share(distance: Tensor, part: float = 3.0) -> float:
    near = distance.sort(dim=1).values
    return (near[:, 0] < near[:, 1] / part).double().mean().item()


def _moved_share(drawn: Tensor, training: Tensor, moves: list[tuple[int, int]], part: float = 3.0) -> float:
    return _share(_distances(drawn, training, moves).amin(0), part)


def _wrong_shares(drawn: Tensor, training: Tensor, right: float) -> list[tuple[float, str]]:
    every = _distances(drawn, training, MOVES)
    far = [(down, right) for down in range(-3, 4) for right in range(-3, 4)]
    least, still = every.amin(0), every[MOVES.index((0, 0))]
    near = least.sort(dim=1).values

    def only(wanted: Callable[[int, int], bool]) -> float:
        return _moved_share(drawn, training, [move for move in MOVES if wanted(*move)])

    return [
        (_share(still), "you leave the training pictures where they are: move them."),
        (
            _share(every.permute(1, 0, 2).flatten(1)),
            "your second nearest is the same picture, moved otherwise: take the smallest over the moves first.",
        ),
        (only(lambda i, j: j == 0), "you move up and down only. Move to the left and right as well."),
        (only(lambda i, j: i == 0), "you move left and right only. Move up and down as well."),
        (only(lambda i, j: 0 in (i, j)), "move in both directions at the same time, too: 25 moves."),
        (only(lambda i, j: i == j), "you move down and right by the same number only: 25 moves."),
        (only(lambda i, j: min(i, j) >= 0), "you move down and right only: -2 and -1 are missing."),
        (only(lambda i, j: max(i, j) < 2), "is 2 among your moves? range(-2, 2) ends at 1."),
        (only(lambda i, j: max(abs(i), abs(j)) < 2), "you move by one pixel only: up to two are allowed."),
        (_moved_share(drawn, training, far), "you move by three pixels as well: only up to two are allowed."),
        (_share(every.mean(0)), "you take the mean over the moves: take the smallest."),
        (
            (near[:, 0] < still.sort(dim=1).values[:, 1] / 3).double().mean().item(),
            "d2 may move as well, by a move of its own.",
        ),
        (1 - right, "that is the share of new samples, not of copies."),
        (right * len(drawn), "that is the number of copies: divide it by the number of samples."),
        (_share(least**2), "you compared squared distances: take the roots before you divide by 3."),
        (_share(least, 2.0), "your threshold is a half, but it should be a third."),
        (_share(least, 1.5), "your threshold is two thirds, but it should be a third."),
        ((near[:, 0] / near[:, 1]).mean().item(), "that is the mean of d1 / d2: count how often it is below a third."),
        (_share(least.T), "search `training` for each sample, not the other way round."),
    ]


def middle_guess(answer: Any) -> None:
    """10.2: middle_guess(x_t, t, patches, schedule) -> E[middle pixel | x_t] if the clean patch is one of `patches`.

    A patch has 9 pixels, row by row, so the middle one is number 4.
    """
    generator = torch.Generator().manual_seed(0)
    for schedule in (schedules.cosine(), schedules.flow()):
        for t in (0.9, 0.75, 0.6, 0.1):
            patches = torch.randn(7, 9, generator=generator, dtype=torch.float64)
            x_t = torch.randn(5, 9, generator=generator, dtype=torch.float64)
            x_t[0] *= 3  # farther from all patches
            right = oracle.dataset(patches, schedule)(x_t, t)[:, 4]
            guess = call(answer, x_t=x_t, t=t, patches=patches, schedule=schedule)
            if isinstance(guess, Tensor) and guess.shape == x_t.shape:
                raise Wrong("you return whole patches: return only the middle pixel, number 4.")
            if isinstance(guess, Tensor) and not bool(guess.isfinite().all()):
                raise Wrong(f"at t = {t} all your weights underflow to 0, and you divide 0 by 0. Use torch.softmax.")
            guess = same_kind(guess, x_t[:, 4], "the guess")
            if not close(guess, right):
                name_mistake(guess, _wrong_guesses(x_t, t, patches, schedule))
                raise Wrong(
                    f"on {schedule.name} at t = {t}, your guess is off by {(guess - right).abs().mean():.2g}. The "
                    "weights are exp(-|x_t - alpha y|^2 / (2 sigma^2)), divided by their sum."
                )
    x, one = torch.randn(3, 9, generator=generator), torch.randn(1, 9, generator=generator)
    guess = same_kind(call(answer, x_t=x, t=0.5, patches=one, schedule=schedules.cosine()), x[:, 4], "the guess")
    if not close(guess, one[:, 4].expand(3)):
        raise Wrong("if there is only one patch, the guess must be its middle pixel.")


def _wrong_guesses(x_t: Tensor, t: float, patches: Tensor, schedule: schedules.Schedule) -> list[tuple[Tensor, str]]:
    alpha, sigma, middle = schedule.alpha(t), schedule.sigma(t), patches[:, 4]
    squared = torch.cdist(x_t, alpha * patches) ** 2

    def mean(logits: Tensor) -> Tensor:
        return logits.softmax(1) @ middle

    best = -squared / (2 * sigma**2)
    at_middle = -((x_t[:, 4:5] - alpha * middle) ** 2) / (2 * sigma**2)
    return [
        (mean(at_middle), "you compare only the middle pixels, but the whole patch tells which patch it may be."),
        ((best.softmax(1) @ patches).mean(1), "you average over the pixels: take the middle one, number 4."),
        ((best.softmax(1) @ patches)[:, 0], "that is the first pixel of the patch: the middle one is number 4."),
        ((best.softmax(1) @ patches)[:, 5], "Python counts from 0, so the middle one of 9 pixels is number 4."),
        (mean(-best), "the minus sign is missing: a patch that is farther away gets a smaller weight."),
        (mean(-(torch.cdist(x_t, patches) ** 2) / (2 * sigma**2)), "compare x_t with alpha(t) y, not with y."),
        (mean(-squared.sqrt() / (2 * sigma**2)), "square the distance."),
        (mean(-squared / (2 * sigma)), "square sigma."),
        (mean(-squared / sigma**2), "the 2 is missing: divide by 2 sigma(t)^2."),
        (mean(-squared / 2), "sigma is missing: divide by 2 sigma(t)^2."),
        (alpha * mean(best), "the guess is a clean pixel: average y, not alpha(t) y."),
        (best.exp() @ middle, "the weights must sum to 1: divide by their sum."),
        (best.softmax(0) @ middle, "your softmax runs over the batch: it must run over the patches, dim=1."),
        (middle[squared.argmin(1)], "that is the nearest patch, but the best guess is a weighted mean."),
        (middle.mean().expand(len(x_t)), "you give all patches the same weight."),
    ]


def copy_share_of(answer: Any) -> None:
    """10.3: copy_share_of(drawn, training) -> the share of copies, where training contains pictures several times."""
    generator = torch.Generator().manual_seed(0)
    for times in ([1] * 12, [3, 2, 2, 1, 1, 4, 1, 1, 2, 1, 1, 5]):
        different = torch.randn(12, 30, generator=generator, dtype=torch.float64)
        training = different.repeat_interleave(torch.tensor(times), dim=0)
        training = training[torch.randperm(len(training), generator=generator)]
        parts = [0.0] * 5 + [0.1] * 26 + [0.2] * 23 + [0.3] * 13 + [0.35] * 7 + [0.45] * 11
        part = torch.tensor(parts, dtype=torch.float64)[:, None]
        ends = torch.randint(12, (len(part),), generator=generator)
        other = (ends + 1 + torch.randint(11, (len(part),), generator=generator)) % 12
        drawn = (1 - part) * different[ends] + part * different[other]

        def share_of(a: Tensor, b: Tensor, second: int = 1, part: float = 3.0) -> float:
            near = torch.cdist(a, b).sort(dim=1).values
            return (near[:, 0] < near[:, min(second, near.shape[1] - 1)] / part).double().mean().item()

        right = share_of(drawn, different)
        share = number(call(answer, drawn=drawn, training=training), "the share")
        if abs(share - right) < 1e-6:
            continue
        near = torch.cdist(drawn, different).amin(1)
        twice = "you overlook the copies of pictures that are in the list several times. Keep one of each."
        mistakes = [
            (share_of(drawn, training), twice),
            (1 - right, "that is the share of new samples, not of copies."),
            (right * len(drawn), "that is the number of copies: divide it by the number of samples."),
            (share_of(drawn, training, 2), "the third nearest is not enough: a picture may be there four times."),
            (share_of(drawn, training, 3), "a fixed rank is not enough: a picture may be there any number of times."),
            (share_of(drawn, training, 4), "a fixed rank is not enough: a picture may be there any number of times."),
            (share_of(drawn, training, 999), "that compares with the farthest picture, not with the second nearest."),
            (share_of(drawn, different, 1, 2.0), "your threshold is a half, but it should be a third."),
            (share_of(drawn, different, 1, 1.0), "your threshold is 1, but it should be a third."),
            (share_of(different, drawn.unique(dim=0)), "search `training` for each sample, not the other way round."),
            ((near < near.mean() / 3).double().mean().item(), "compare with the second nearest of the same sample."),
        ]
        name_mistake(share, mistakes, lambda a, b: abs(a - b) < 1e-6)
        if not 0 <= share <= 1:
            raise Wrong(f"a share lies in [0, 1], but yours is {share:.3g}.")
        where = "where no picture is repeated, " if max(times) == 1 else "where some pictures are repeated, "
        raise Wrong(f"{where}{right * len(drawn):.0f} of {len(drawn)} are copies, but your share is {share:.3g}.")


CHECKS = {"10.1": copy_share, "10.2": middle_guess, "10.3": copy_share_of}
