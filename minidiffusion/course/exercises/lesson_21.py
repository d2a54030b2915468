"""Lesson 21: how sure twelve pairs can make you, one good picture in a grid, and a pan to the right."""

from __future__ import annotations

from typing import Any

import torch
from scipy import stats

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
    """21.2: good_grids(chances, n) -> the mean over prompts of 1 - (1 - p)^n."""
    generator = torch.Generator().manual_seed(0)
    for count, n in ((7, 4), (20, 2), (5, 9), (6, 1)):
        chances = torch.rand(count, generator=generator, dtype=torch.float64)
        right = (1 - (1 - chances) ** n).mean().item()
        mean = chances.mean().item()
        share = number(call(answer, chances=chances, n=n), "the share")
        if abs(share - right) < 1e-6:
            continue
        mistakes = [
            (1 - (1 - mean) ** n, "that is the friend's answer. Some prompts are hard: average at the end."),
            ((chances**n).mean().item(), "that is the share of grids in which all pictures are good."),
            (((1 - chances) ** n).mean().item(), "that is the share of grids in which all pictures are bad."),
            (n * mean, "that is the number of good pictures in a grid."),
            (mean, "that is the share for a single picture: n must matter."),
            ((1 - chances**n).mean().item(), "that is the share of grids with at least one bad picture."),
            (
                (n * chances * (1 - chances) ** (n - 1)).mean().item(),
                "that is exactly one good picture, not at least one.",
            ),
            ((1 - (1 - chances) ** n).sum().item(), "that is the number of prompts. Divide by how many there are."),
            (min(1.0, n * mean), "chances do not add up: two pictures may both be good."),
            ((n * chances).clamp(max=1).mean().item(), "chances do not add up: two pictures may both be good."),
        ]
        name_mistake(share, mistakes, lambda a, b: abs(a - b) < 1e-6)
        raise Wrong(f"with {count} prompts and grids of {n} the share is {right:.4f}, but yours is {share:.4f}.")


def look_right(answer: Any) -> None:
    """21.3: look_right(picture, by) -> the picture moved to the left, and where it is known."""
    generator = torch.Generator().manual_seed(0)
    for shape, by in (((3, 6, 9), 4), ((1, 5, 5), 1), ((2, 4, 7), 6)):
        picture = torch.randn(shape, generator=generator)
        width = shape[2]
        moved = torch.zeros(shape)
        moved[:, :, : width - by] = picture[:, :, by:]
        known = (torch.arange(width) < width - by).expand(shape[1:])
        pair = call(answer, picture=picture, by=by)
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise Wrong("return two things: the moved picture, and the mask.")
        if any(part is ... for part in pair):
            raise NotAttempted
        own, mask = same_kind(pair[0], moved, "the picture"), same_kind(pair[1], known, "the mask")
        other_way = torch.zeros(shape)
        other_way[:, :, by:] = picture[:, :, : width - by]
        emptied = picture.clone()
        emptied[:, :, width - by :] = 0
        if not torch.equal(own, moved):
            mistakes = [
                (other_way, "you moved the picture to the right, which frees the left side."),
                (picture.roll(-by, 2), "what has left on the left must not come back on the right."),
                (picture, "the picture has not moved."),
                (emptied, "you made room on the right, but the picture has not moved."),
            ]
            name_mistake(own, mistakes, torch.equal)
            raise Wrong(
                f"moved by {by} of {width} columns, {int((own != moved).sum())} of the picture's values are wrong."
            )
        if not torch.equal(mask, known):
            mistakes = [
                (~known, "the picture is right, but the mask is the opposite: True must mean known."),
                (known.flip(1), "the picture is right, but the mask frees the left side."),
                (torch.ones_like(known), "the picture is right, but the mask says that everything is known."),
            ]
            name_mistake(mask, mistakes, torch.equal)
            raise Wrong(f"the picture is right, but the mask should be True in the first {width - by} columns only.")


CHECKS = {"21.1": smallest_chance, "21.2": good_grids, "21.3": look_right}
