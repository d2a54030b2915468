"""Lesson 19: the share of pictures that find their caption, who made an edit, and latents of the wrong size."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ... import schedule as schedules
from .judge import NotAttempted, Wrong, call, close, name_mistake, number, same_kind

COMPUTED_TWICE = (
    "take your own dot product from the same matrix (`likeness.diagonal()`): computed twice, it is rounded differently."
)


def hits(answer: Any) -> None:
    """19.1: hits(image, text) -> the share of pictures whose own caption beats every other one."""
    generator = torch.Generator().manual_seed(0)
    for n, m in ((40, 40), (30, 200), (12, 60)):
        text = F.normalize(torch.randn(m, 16, generator=generator), dim=1)
        image = F.normalize(text[:n] + 0.35 * torch.randn(n, 16, generator=generator), dim=1)
        likeness = image @ text.T
        own = likeness.diagonal()
        right = ((likeness >= own[:, None]).sum(1) == 1).double().mean().item()
        by_caption = (likeness[:, :n].argmax(0) == torch.arange(n)).double().mean().item()
        among = (likeness[:, :n].argmax(1) == torch.arange(n)).double().mean().item()
        share = number(call(answer, image=image, text=text), "the share")
        if abs(share - right) < 1e-6:
            continue
        mistakes = [
            (right * n, f"that is the number of hits: divide by the {n} pictures."),
            (100 * right, "a share lies between 0 and 1; yours is in percent."),
            (1 - right, "that is the share of misses."),
            (own.mean().item(), "that is the mean dot product with the own caption, but no other caption is asked."),
            (right * n / m, f"divide by the {n} pictures, not by the {m} captions."),
            (by_caption, "you look for the best picture of each caption. Look for the best caption of each picture."),
            (among, f"you compare with the first {n} captions only. All {m} of them are in the game."),
            *((wrong, COMPUTED_TWICE) for wrong in _computed_twice(image, text)),
        ]
        name_mistake(share, mistakes, lambda a, b: math.isclose(a, b, rel_tol=1e-5))
        raise Wrong(f"with {n} pictures and {m} captions the share is {right:.3f}, but yours is {share:.3f}.")
    same = torch.ones(8, 4) / 2
    share = number(call(answer, image=same, text=same), "the share")
    if abs(share) > 1e-6:
        raise Wrong(
            f"if all captions have the same vector, nothing has been found, and yet your share is {share:g}. "
            "A tie with another caption is not a hit."
        )
    text = torch.cartesian_prod(*[torch.tensor([0.5, -0.5])] * 4)  # all products are exact
    image, text[1] = text.clone(), text[0]
    share = number(call(answer, image=image, text=text), "the share")
    if abs(share - 14 / 16) > 1e-6:
        raise Wrong(
            "if the first two of 16 captions have the same vector, and each of the other 14 pictures finds its own, "
            f"the share is 14 / 16 = 0.875, but yours is {share:g}. A tie with another caption is not a hit."
        )


def _computed_twice(image: Tensor, text: Tensor) -> list[float]:
    """The shares if a picture's own dot product is computed apart from the others and rounded differently."""
    likeness, captions = image @ text.T, text[: len(image)]
    ways = (image * captions).sum(1), torch.einsum("ij, ij -> i", image, captions), torch.linalg.vecdot(image, captions)
    found = []
    for own in ways:
        found += [(likeness >= own[:, None]).sum(1) == 1, (likeness > own[:, None]).sum(1) == 0]
    return [hit.double().mean().item() for hit in found]


def acts(answer: Any) -> None:
    """19.2: acts(before, only, rest, after) -> the shares of each edit: by the word, by the others, by both at once."""
    generator = torch.Generator().manual_seed(0)
    for n, *shape in ((4, 3, 8, 8), (2, 1, 5, 5), (6, 3, 4, 4)):
        before, edit, *stray = torch.randn(4, n, *shape, generator=generator, dtype=torch.float64).unbind()
        edit = edit * torch.linspace(0.5, 2.0, n, dtype=torch.float64).view(n, 1, 1, 1)
        far = torch.rand(2, n, 1, 1, 1, generator=generator, dtype=torch.float64)
        only, rest, after = before + 0.5 * far[0] * edit, before + (0.4 + 0.8 * far[1]) * edit, before + edit
        only, rest = only + 0.4 * stray[0], rest + 0.4 * stray[1]
        alone, others = _along(only - before, edit), _along(rest - before, edit)
        parts = call(answer, before=before, only=only, rest=rest, after=after)
        if not isinstance(parts, (tuple, list)) or len(parts) != 3:
            raise Wrong("return three things: the share of the word, that of the others, and that which takes both.")
        if any(part is ... for part in parts):
            raise NotAttempted
        names = ("the share of the word", "the share of the others", "the share that takes both")
        first, second, both = (same_kind(part, alone, name) for part, name in zip(parts, names, strict=True))
        if not close(first, alone):
            name_mistake(
                first, [(others, "`only` comes second, and `rest` third."), *_wrong_shares(only, before, edit)]
            )
            raise Wrong(f"the word makes a share of {alone[0]:.3f} of the first edit, not {first[0]:.3f}.")
        if not close(second, others):
            left = [(1 - alone, "that is what the word alone leaves. Measure on `rest` what the others make.")]
            name_mistake(second, left + _wrong_shares(rest, before, edit))
            raise Wrong(f"the other words make a share of {others[0]:.3f} of the first edit, not {second[0]:.3f}.")
        right = 1 - alone - others
        if close(both, right):
            continue
        mistakes = [
            (-right, "the sign is wrong: the three shares must sum to 1."),
            (alone + others, "that is the sum of both. What takes both is what this sum lacks of 1."),
            (right.clamp(min=0), "do not cut it at 0: it is negative if both make the same part."),
            (right.abs(), "keep its sign: it is negative if both make the same part."),
            (alone * others, "the shares are parts of one change, and no probabilities."),
        ]
        name_mistake(both, mistakes)
        raise Wrong(f"for the first edit, the three shares sum to {first[0] + second[0] + both[0]:.3f} and not to 1.")


def _along(change: Tensor, edit: Tensor) -> Tensor:
    """How far each change goes along its edit, as a share of it: 1 is the edit itself, 0 is sideways."""
    return (change * edit).flatten(1).sum(1) / edit.flatten(1).square().sum(1)


def _wrong_shares(x: Tensor, before: Tensor, edit: Tensor) -> list[tuple[Tensor, str]]:
    """What students compute in place of _along(x - before, edit), and what to tell them."""
    change = x - before
    long, whole = change.flatten(1).norm(dim=1), edit.flatten(1).norm(dim=1)
    along = _along(change, edit)
    length = "that is how much the picture changes. A change in another direction than the edit must not count."
    unit = "divide by the square of the edit's length, so that the whole edit has the share 1."
    return [
        (-along, "the signs differ: take both changes from `before`."),
        (along - 1, "the change must be counted from `before`, not from `after`."),
        (_along(x, edit), "subtract `before`: a change is a difference of two pictures."),
        (long / whole, length),
        (long.square() / whole.square(), length),
        (change.flatten(1).abs().mean(1) / edit.flatten(1).abs().mean(1), length),
        (along * whole / long, "that is the cosine. A small step in the right direction is a small share."),
        (along * whole, unit),
        (along * whole.square(), unit),
        (along * whole.square() / long.square(), "the share is one of the whole edit: divide by its length squared."),
        ((change * edit).sum() / edit.square().sum() * torch.ones_like(along), "each edit has a share of its own."),
        ((change / edit).flatten(1).mean(1), "that is the mean over the values. One that hardly changes ruins it."),
        (
            1 - (edit - change).flatten(1).norm(dim=1) / whole,
            "that is how much nearer to `after` it comes, which a step sideways changes, too.",
        ),
    ]


def same_noise(answer: Any) -> None:
    """19.3: same_noise(t, s, schedule) -> the time at which latents of std s are as noisy as proper ones at t."""
    for schedule in (schedules.cosine(), schedules.scaled_linear(), schedules.flow()):
        for t, s in ((0.3, 2.0), (0.5, 5.5), (0.6, 0.4), (0.2, 1.0)):
            level = schedule.log_snr(t)
            right, half, wrong, squared = (schedule.time(level - part * math.log(s)) for part in (2.0, 1.0, -2.0, 4.0))
            base10 = schedule.time(level - 2 * math.log10(s))
            raw, ratio = schedule.time(level - s**2), level - 2 * math.log(s)
            found = number(call(answer, t=t, s=s, schedule=schedule), "the time")
            if abs(found - right) < 1e-5:
                continue
            mistakes = [
                (wrong, "the wrong way round: for s > 1 the noise destroys less, so t' must be later than t."),
                (half, "s is the standard deviation of the signal, but SNR compares variances."),
                (squared, "you squared s twice: its logarithm counts two times, not four."),
                (base10, "log_snr is a natural logarithm: use math.log."),
                (raw, "logarithms are subtracted, but you subtracted s squared itself."),
                (ratio, "that is the logarithm of the SNR to ask for. schedule.time turns it into a time."),
                (t, "that is t itself. With larger latents the same t has less noise in comparison."),
                (t * s, "times do not scale with s: go through the signal-to-noise ratio."),
                (t / s, "times do not scale with s: go through the signal-to-noise ratio."),
            ]
            name_mistake(found, mistakes, lambda a, b: abs(a - b) < 1e-5)
            raise Wrong(
                f"for t = {t:g}, s = {s:g} and the schedule {schedule.name} t' is {right:.3f}, not {found:.3f}."
            )


CHECKS = {"19.1": hits, "19.2": acts, "19.3": same_noise}
