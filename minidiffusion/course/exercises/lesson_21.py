"""Lesson 21: a line taken apart, one good picture in a grid, and a pan to the right."""

from __future__ import annotations

from typing import Any

import torch

from .judge import NotAttempted, Wrong, call, name_mistake, number, same_kind

LINES = (
    ("blue rose", ("blue rose", "", None)),
    ("blue rose --no red --seed 7", ("blue rose", "red", 7)),
    ("red t-shirt, fluent style --seed 12 --no blue, white", ("red t-shirt, fluent style", "blue, white", 12)),
    ("  old man   --no  a hat ", ("old man", "a hat", None)),
    ("cat --seed 0", ("cat", "", 0)),
    ("--seed 3", ("", "", 3)),
)


def take_apart(answer: Any) -> None:
    """21.1: take_apart(line) -> the prompt, the words to avoid, and the seed or None."""
    for line, right in LINES:
        found = call(answer, line=line)
        if not isinstance(found, (tuple, list)) or len(found) != 3:
            raise Wrong("return three things: the prompt, the words to avoid, and the seed.")
        if any(part is ... for part in found):
            raise NotAttempted
        prompt, no, seed = found
        if type(prompt) is not str or type(no) is not str:
            raise Wrong("the prompt and the words to avoid must be strings, empty if there are none.")
        if (prompt.strip(), no.strip()) == right[:2] and (prompt, no) != right[:2]:
            raise Wrong(f"for {line!r} there are spaces at the ends: use .strip().")
        if "--" in prompt + no:
            raise Wrong(f"for {line!r} a part of your answer still holds an option.")
        if prompt != right[0]:
            cut = " A hyphen inside a word is no option." if "t-shirt" in line and prompt != "" else ""
            raise Wrong(f"for {line!r} the prompt is {right[0]!r}, not {prompt!r}.{cut}")
        if no != right[1]:
            raise Wrong(f"for {line!r} the words to avoid are {right[1]!r}, not {no!r}. The options come in any order.")
        if right[2] is None and seed is not None:
            raise Wrong(f"for {line!r} nobody gave a seed, so it must be None, not {seed!r}.")
        if right[2] is not None and type(seed) is not int:
            raise Wrong(f"for {line!r} the seed must be a whole number, not {seed!r}.")
        if seed != right[2]:
            raise Wrong(f"for {line!r} the seed is {right[2]}, not {seed}.")


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


CHECKS = {"21.1": take_apart, "21.2": good_grids, "21.3": look_right}
