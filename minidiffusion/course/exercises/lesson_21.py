"""Lesson 21: how sure twelve pairs can make you, an unbiased share of good grids, and a pan to either side."""

from __future__ import annotations

import math
import statistics
from typing import Any

import torch
from scipy import stats
from torch import Tensor

from .judge import NotAttempted, Wrong, call, name_mistake, number, same_kind


def smallest_chance(answer: Any) -> None:
    """21.1: smallest_chance(right, n) -> the p with which `right` or more of n hits have a probability of 0.025."""
    for right, n in ((3, 10), (11, 12), (12, 12), (7, 8), (1, 5), (0, 6)):
        p = number(call(answer, right=right, n=n), "the chance")
        exact = float(stats.beta.ppf(0.025, right, n - right + 1)) if right else 0.0
        if abs(p - exact) < 1e-4:
            continue
        if right == 0:
            raise Wrong(f"with no hit at all every small chance is plausible, so the answer is 0, not {p:.4f}.")
        share = right / n
        width = (share * (1 - share) / n) ** 0.5
        mistakes = [
            (share, "that is the share of hits. How much smaller could the true chance be?"),
            (
                share - 2 * width,
                "that is the rule of thumb, which fails for few pairs and near 1. Add up the binomial.",
            ),
            (
                share - 1.96 * width,
                "that is the rule of thumb, which fails for few pairs and near 1. Add up the binomial.",
            ),
            (_beta(0.05, right, n), "put 0.025 below this end of the interval, and not 0.05."),
            (_beta(0.5, right, n), "that is the chance with which so many hits have a probability of one half."),
            (_upper(right, n), "that is the upper end of the interval."),
            (_beta(0.025, right + 1, n) if right < n else 1.0, "count `right` hits, too: it is right or more."),
            (0.025 ** (1 / n), "that is the answer for n of n. Add up from `right` to n."),
            (share**n, "that is how probable n of n hits would be. Look for a chance, not for a probability."),
            (1 - exact, "that is 1 minus the answer."),
        ]
        name_mistake(p, mistakes, lambda a, b: abs(a - b) < 1e-4)
        if not 0 <= p <= 1:
            raise Wrong(f"a chance lies between 0 and 1, but yours is {p:.4g}.")
        again = float(stats.binom.sf(right - 1, n, p))
        raise Wrong(
            f"with the chance {p:.4f}, {right} or more of {n} hits have a probability of {again:.4f}, and it should be "
            "0.025."
        )


def _beta(level: float, right: int, n: int) -> float:
    return float(stats.beta.ppf(level, right, n - right + 1))


def _upper(right: int, n: int) -> float:
    return float(stats.beta.ppf(0.975, right + 1, n - right)) if right < n else 1.0


def good_grids(answer: Any) -> None:
    """21.2: good_grids(counts, m, n) -> the unbiased estimate of the share of grids of n with a good picture."""
    generator = torch.Generator().manual_seed(0)
    for prompts, m, n in ((9, 8, 4), (20, 12, 3), (6, 5, 5), (7, 6, 1)):
        counts = torch.randint(m + 1, (prompts,), generator=generator)
        counts[:3] = torch.tensor([0, 1, m - 1])  # hard, middling and easy ones
        right = statistics.fmean(1 - math.comb(m - c, n) / math.comb(m, n) for c in counts.tolist())
        share = number(call(answer, counts=counts, m=m, n=n), "the share")
        if abs(share - right) < 1e-6:
            continue
        chances = counts.double() / m
        mean = chances.mean().item()
        mistakes = [
            (
                (1 - (1 - chances) ** n).mean().item(),
                "that is the first friend's answer, which is too low on average. Count grids instead.",
            ),
            (1 - (1 - mean) ** n, "that is the second friend's answer. Some prompts are hard: average at the end."),
            (
                statistics.fmean(math.comb(c, n) / math.comb(m, n) for c in counts.tolist()),
                "that is the share of grids in which all pictures are good.",
            ),
            (
                statistics.fmean(math.comb(m - c, n) / math.comb(m, n) for c in counts.tolist()),
                "that is the share of grids in which all pictures are bad.",
            ),
            (
                statistics.fmean(1 - math.comb(c, n) / math.comb(m, n) for c in counts.tolist()),
                "that is the share of grids with at least one bad picture.",
            ),
            (
                statistics.fmean(c * math.comb(m - c, n - 1) / math.comb(m, n) for c in counts.tolist()),
                "that is exactly one good picture, not at least one.",
            ),
            ((counts > 0).double().mean().item(), "that is for grids of all m pictures: n must matter."),
            (mean, "that is the share for a single picture: n must matter."),
            (n * mean, "that is the number of good pictures in a grid."),
            (right * prompts, "that is the number of prompts. Divide by how many there are."),
            ((n * chances).clamp(max=1).mean().item(), "chances do not add up: two pictures may both be good."),
        ]
        name_mistake(share, mistakes, lambda a, b: abs(a - b) < 1e-6)
        raise Wrong(
            f"for {prompts} prompts, {m} pictures of each and grids of {n}, the share is {right:.4f}, but yours is "
            f"{share:.4f}."
        )


def look_aside(answer: Any) -> None:
    """21.3: look_aside(picture, by) -> the picture moved by so many columns, and where it is known."""
    generator = torch.Generator().manual_seed(0)
    cases = (((3, 6, 9), 4), ((1, 5, 5), 1), ((2, 4, 7), 6))
    for shape, by in (*cases, *((shape, -by) for shape, by in cases)):
        picture = torch.randn(shape, generator=generator)
        picture[:, 0] = 0  # a row of zeros that are known
        width, side = shape[2], "right" if by > 0 else "left"
        moved, known = _moved(picture, by)
        pair = call(answer, picture=picture, by=by)
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise Wrong("return two things: the moved picture, and the mask.")
        if any(part is ... for part in pair):
            raise NotAttempted
        own, mask = same_kind(pair[0], moved, "the picture"), same_kind(pair[1], known, "the mask")
        if not torch.equal(own, moved):
            mistakes = [
                (_moved(picture, -by)[0], f"by = {by} must free the {side} side, and you free the other one."),
                (picture.roll(-by, 2), "what has left on one side must not come back on the other."),
                (picture, "the picture has not moved."),
                (picture * known, f"you made room on the {side}, but the picture has not moved."),
                (torch.zeros(shape), "nothing is left of the picture. What does a slice with these numbers hold?"),
            ]
            name_mistake(own, mistakes, torch.equal)
            raise Wrong(f"for by = {by} and {width} columns, {int((own != moved).sum())} of the values are wrong.")
        if not torch.equal(mask, known):
            mistakes = [
                (~known, "the picture is right, but the mask is the opposite: True must mean known."),
                (known.flip(1), f"the picture is right, but the mask must free the {side} side for by = {by}."),
                (torch.ones_like(known), "the picture is right, but the mask says that everything is known."),
            ]
            name_mistake(mask, mistakes, torch.equal)
            name_mistake(mask, [((moved != 0).any(0), "a picture may hold zeros, and they are known.")], torch.equal)
            raise Wrong(f"the picture is right, but the mask should be True in {width - abs(by)} columns only.")


def _moved(picture: Tensor, by: int) -> tuple[Tensor, Tensor]:
    width = picture.shape[2]
    source = torch.arange(width) + by
    known = (source >= 0) & (source < width)
    return picture[:, :, source.clamp(0, width - 1)] * known, known.expand(picture.shape[1:])


CHECKS = {"21.1": smallest_chance, "21.2": good_grids, "21.3": look_aside}
