"""Lesson 04: attention, how far a network sees, and whether a missing piece is missed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .judge import Wrong, call, close, name_mistake, number, same_kind


def attention(answer: Any) -> None:
    """04.1: attend(q, k, v) -> softmax(q k^T / sqrt(d)) v, for each item of the batch."""
    generator = torch.Generator().manual_seed(0)
    # n = m = d once: a softmax or a product along the wrong axis raises no error there, only the values show it
    for batch, n, m, d in ((2, 4, 4, 4), (3, 5, 2, 6), (1, 2, 7, 3)):
        q, k, v = (torch.randn(batch, rows, d, generator=generator, dtype=torch.float64).mul(1.5) for rows in (n, m, m))
        scores = q @ k.mT / math.sqrt(d)
        right = scores.softmax(2) @ v
        found = same_kind(call(answer, q=q, k=k, v=v), q, "what the places gain")
        if close(found, right):
            continue
        name_mistake(found, _wrong_attentions(q, k, v))
        error = (found - right).abs().mean()
        raise Wrong(
            f"for q of shape {tuple(q.shape)} and k of {tuple(k.shape)}, yours is {error:.2g} away from the formula."
        )
    q, k, v = torch.randn(3, 1, 4, 2, generator=generator)
    same_kind(call(answer, q=q, k=k, v=v), q, "what the places gain")
    q, k, v = 60 * torch.randn(3, 1, 5, 4, generator=generator, dtype=torch.float64)  # where exp alone would overflow
    found = same_kind(call(answer, q=q, k=k, v=v), q, "the result for large q and k")
    if not close(found, F.scaled_dot_product_attention(q, k, v)):
        raise Wrong(
            "for large q and k yours is wrong. For each asking place, subtract its largest score before the exp."
        )


def _wrong_attentions(q: Tensor, k: Tensor, v: Tensor) -> list[tuple[Tensor, str]]:
    d, scores = q.shape[2], q @ k.mT
    scaled = scores / math.sqrt(d)
    size = "divide by the root of d, the size of a query, and not by the root of another size."
    mistakes = [
        (scores.softmax(2) @ v, "the scale is missing. Divide q k^T by the root of d, the size of a query."),
        ((scores / d).softmax(2) @ v, "divide by the square root of d, not by d."),
        ((scores * math.sqrt(d)).softmax(2) @ v, "you multiply by the root of d. Divide by it."),
        (scaled @ v, "the softmax is missing: the weights of each place must be positive and sum to 1."),
        (scaled.softmax(1) @ v, "your softmax goes over the places that ask. It must go over those that are asked."),
        (scaled.softmax(0) @ v, "your softmax goes over the batch. It must go over the places that are asked."),
        (scaled.exp() @ v, "the weights of each place must sum to 1. Divide by their sum: that is a softmax."),
        (scores.softmax(2) / math.sqrt(d) @ v, "divide by the root of d before the softmax, not after it."),
        (v.mean(1, keepdim=True).expand_as(q), "you give all places the same weight, whatever q and k are."),
        ((-scaled).softmax(2) @ v, "a sign is wrong: places whose key fits the query should count most."),
        *[((scores / math.sqrt(n)).softmax(2) @ v, size) for n in (*q.shape[:2], k.shape[1])],
        (scaled.sigmoid() @ v, "a sigmoid does not make the weights of each place sum to 1. Take a softmax."),
    ]
    if k.shape == q.shape:
        mistakes += [
            (scaled.mT.softmax(2) @ v, "queries and keys are swapped."),
            (scaled.softmax(2).mT @ v, "your weights are transposed: row i must hold the weights of place i."),
            (scaled.softmax(2) @ k, "you average the keys. Average the values, v."),
            (scaled.softmax(2), "those are the weights. Average the values with them."),
            (q + scaled.softmax(2) @ v, "do not add the input here: return only what the places gain."),
        ]
    return [(wrong, sentence) for wrong, sentence in mistakes if wrong.shape == q.shape]


LAYERS: tuple[list[str], ...] = (
    ["conv", "halve", "conv", "halve", "conv", "conv", "conv"],  # first, because it tells all the mistakes apart
    ["conv"],
    ["conv", "conv", "conv"],
    ["halve"],
    ["conv", "halve", "conv"],
    ["conv", "conv", "conv", "halve", "conv"],
    ["halve", "halve", "conv"],
    [],
)


def field_of_view(answer: Any) -> None:
    """04.2: field_of_view(layers) -> how many pixels wide the square is that one place of the output depends on.

    We measure it: in one dimension, the number of inputs whose change reaches the middle of the output.
    """
    for layers in LAYERS:
        right = _measured(layers)
        found = number(call(answer, layers=list(layers)), "the width")
        if found == right:
            continue
        name_mistake(found, _wrong_views(layers, right), lambda a, b: a == b)
        raise Wrong(
            f"for the layers {layers}, one place of the output depends on {right} pixels across, not {found:g}."
        )


def _measured(layers: Sequence[str]) -> int:
    x = torch.zeros(1, 1, 256, dtype=torch.float64, requires_grad=True)
    h = x
    for layer in layers:
        h = (
            F.conv1d(h, h.new_ones(1, 1, 3), padding=1)
            if layer == "conv"
            else F.conv1d(h, h.new_ones(1, 1, 2), stride=2)
        )
    (slope,) = torch.autograd.grad(h[0, 0, h.shape[2] // 2], x)
    return int((slope != 0).sum())


def _wrong_views(layers: Sequence[str], right: int) -> list[tuple[Any, str]]:
    convs, halves = layers.count("conv"), layers.count("halve")
    in_order = 1
    for layer in layers:
        in_order = in_order + 2 if layer == "conv" else 2 * in_order
    return [
        (right**2, "that is the number of pixels in the square. Return its width."),
        (right - 1, "count the pixel in the middle, too: with no layers at all the width is 1."),
        ((right - 1) / 2, "that is how far it reaches to one side. Return the whole width."),
        ((right - 1) // 2, "that is how far it reaches to one side. Return the whole width."),
        (1 + 2 * convs, "a conv behind a halving reaches twice as far in pixels of the input."),
        (1 + convs, "a conv of width 3 adds a pixel on both sides."),
        (3 * convs, "only the first conv sees 3 pixels; each further one adds a pixel on both sides."),
        (in_order, "the order is the wrong way round: begin with one place of the output and go back to the input."),
        ((1 + 2 * convs) * 2**halves, "not every conv is behind all halvings. Go through the layers one by one."),
        (3.0**convs * 2**halves, "widths of 3 do not multiply: windows side by side overlap."),
        (right + 1, "that is one too many."),
    ]


def surprise(answer: Any) -> None:
    """04.3: surprise(without, whole) -> by how many standard deviations of their difference `without` lies above."""
    generator = torch.Generator().manual_seed(0)
    # as many networks as times once: a mean over the wrong axis raises no error there, only the values show it
    for networks, times in ((5, 5), (3, 7), (2, 1)):
        whole = 0.2 + 0.05 * torch.rand(networks, times, generator=generator, dtype=torch.float64)
        without = 0.22 + 0.1 * torch.rand(times, generator=generator, dtype=torch.float64) - 0.04
        right = (without - whole.mean(0)) / (whole.std(0) * math.sqrt(1 + 1 / networks))
        found = same_kind(call(answer, without=without, whole=whole), without, "the surprise at each time")
        if close(found, right):
            continue
        name_mistake(found, _wrong_surprises(without, whole))
        raise Wrong(
            f"for {networks} whole networks and {times} times, yours is {(found - right).abs().mean():.2g} away on "
            "average. How much would a whole network from a new seed differ from the mean of these?"
        )


def _wrong_surprises(without: Tensor, whole: Tensor) -> list[tuple[Tensor, str]]:
    n, spread, above = len(whole), whole.std(0), without - whole.mean(0)
    right = above / (spread * math.sqrt(1 + 1 / n))
    biased = whole.std(0, correction=0)
    mistakes = [
        (above / spread, "the mean of a few networks is uncertain, too. Add its variance to that of a single network."),
        (
            above * math.sqrt(n) / spread,
            "that is how uncertain the mean is, but a single network also differs from seed to seed. Add its variance.",
        ),
        (above / (spread * (1 + 1 / n)), "variances add, standard deviations do not: take the root of 1 + 1 / n."),
        (
            above / (spread * (1 + 1 / math.sqrt(n))),
            "you add two standard deviations. Add the variances, and take the root of the sum.",
        ),
        (above / (biased * math.sqrt(1 + 1 / n)), "the variance of a sample divides by n - 1, not by n."),
        (above / biased, "the variance of a sample divides by n - 1, and the mean is uncertain as well."),
        (-right, "the sign is turned round: an error above the mean of the whole networks should count as positive."),
        (right.abs(), "keep the sign: a network may well be better without a piece."),
        (without / whole.mean(0), "that is the ratio of the errors. Compare the difference with what chance does."),
        (above / whole.mean(0), "that is a share of the error. Compare the difference with what chance does."),
        (above, "that is the difference itself. Divide it by its standard deviation."),
        (above / whole.var(0), "you divide by a variance. Take the root."),
        (above / (whole.var(0) * (1 + 1 / n)), "you divide by a variance. Take the root."),
        (right.square(), "do not square the result."),
        (
            above / (whole.std() * math.sqrt(1 + 1 / n)),
            "you take one standard deviation for all times. The errors differ a lot from time to time: take dim=0.",
        ),
        (
            above / (whole.var(0).mean() * (1 + 1 / n)).sqrt(),
            "you take one standard deviation for all times. Give each time its own.",
        ),
        (
            above / (spread * math.sqrt(1 + 1 / len(without))),
            "n is the number of whole networks, and not the number of times.",
        ),
        (
            (without - whole.amax(0)) / (spread * math.sqrt(1 + 1 / n)),
            "compare with the mean of the whole networks, not with the worst of them.",
        ),
        (
            (without - whole[0]) / (spread * math.sqrt(1 + 1 / n)),
            "you compare with the first network alone. Take the mean of them all.",
        ),
    ]
    if whole.shape[0] == whole.shape[1]:
        along = (without - whole.mean(1)) / (whole.std(1) * math.sqrt(1 + 1 / n))
        mistakes.append((along, "your mean goes over the times. It must go over the networks, which is dim=0."))
    return mistakes


CHECKS = {"04.1": attention, "04.2": field_of_view, "04.3": surprise}
