"""Lesson 04: attention, how far a network sees, and the way through a U-Net."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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
    strong = 60 * torch.ones(1, 3, 4)  # where exp alone would overflow
    same_kind(call(answer, q=strong, k=strong.clone(), v=strong.clone()), strong, "the result for large q and k")


def _wrong_attentions(q: Tensor, k: Tensor, v: Tensor) -> list[tuple[Tensor, str]]:
    d, scores = q.shape[2], q @ k.mT
    scaled = scores / math.sqrt(d)
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
    ["conv", "halve", "conv", "halve", "conv", "conv"],  # first, because it tells all the mistakes apart
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
        ((right - 1) / 2, "that is how far it reaches to one side. Return the whole width."),
        (right - 1, "count the pixel in the middle, too: with no layers at all the width is 1."),
        (1 + 2 * convs, "a conv behind a halving reaches twice as far in pixels of the input."),
        (1 + convs, "a conv of width 3 adds a pixel on both sides."),
        (3 * convs, "only the first conv sees 3 pixels; each further one adds a pixel on both sides."),
        (in_order, "the order is the wrong way round: begin with one place of the output and go back to the input."),
        ((1 + 2 * convs) * 2**halves, "not every conv is behind all halvings. Go through the layers one by one."),
        (3.0**convs * 2**halves, "widths of 3 do not multiply: windows side by side overlap."),
        (right + 1, "that is one too many."),
    ]


def through_the_u(answer: Any) -> None:
    """04.3: through_the_u(x, down, shrink, grow, up) -> the U of a U-Net, whose parts come as lists of functions."""
    generator = torch.Generator().manual_seed(0)
    for levels in (3, 2, 1):
        x = torch.randn(2, 3, 8, 8, generator=generator, dtype=torch.float64)
        parts = _parts(levels)
        right = _u(x, parts)
        shape_hint = f"the output for {levels} level{'s' if levels > 1 else ''}"
        found = call(answer, x=x, **{name: list(part) for name, part in zip(PARTS, parts, strict=True)})
        found = same_kind(found, x, shape_hint)
        if close(found, right):
            continue
        name_mistake(found, _wrong_ways(x, parts))
        raise Wrong(
            f"with {levels} level{'s' if levels > 1 else ''}, yours is {(found - right).abs().mean():.2g} away. Follow "
            "the drawing: down[0], shrink[0], down[1], ..., then up[0], grow[0], up[1], ..., each after its skip."
        )


PARTS = ("down", "shrink", "grow", "up")
Parts = Sequence[Callable[[Tensor], Tensor]]


def _parts(levels: int) -> list[list[Callable[[Tensor], Tensor]]]:
    """Blocks that can be told apart, and ways to halve and double the sides."""

    def block(a: float) -> Callable[[Tensor], Tensor]:
        return lambda h: torch.sin(a * h) + a

    def half(a: float) -> Callable[[Tensor], Tensor]:
        return lambda h: a * F.avg_pool2d(h, 2)

    def double(a: float) -> Callable[[Tensor], Tensor]:
        return lambda h: a * h.repeat_interleave(2, 2).repeat_interleave(2, 3)

    down, up = ([block(start + 0.3 * i) for i in range(levels)] for start in (0.7, 1.1))
    return [down, [half(1.2 + i) for i in range(levels - 1)], [double(0.6 + i) for i in range(levels - 1)], up]


def _u(
    x: Tensor,
    parts: Sequence[Parts],
    join: Callable[[Tensor, Tensor, int], Tensor] = lambda h, skip, i: h + skip,
    order: int = -1,
    after: bool = False,
    before_block: bool = False,
) -> Tensor:
    """The U, or a mistaken one: other ways to join, skips in another order, joined after the block, or taken early."""
    h, skips = x, []
    down, shrink, grow, up = parts
    for i, block in enumerate(down):
        h = shrink[i - 1](h) if i > 0 else h
        skips.append(h)
        h = block(h)
        if not before_block:
            skips[-1] = h
    for i, block in enumerate(up):
        h = grow[i - 1](h) if i > 0 else h
        skip = skips.pop(order)
        h = join(block(h), skip, i) if after else block(join(h, skip, i))
    return h


def _wrong_ways(x: Tensor, parts: Sequence[Parts]) -> list[tuple[Tensor, str]]:
    levels = len(parts[0])
    backwards = [parts[0], parts[1], parts[2], parts[3][::-1]]
    return [
        (x, "that is the input. Send it through the blocks."),
        (_u(x, parts, join=lambda h, skip, i: h), "the skips are missing: add what the way down left at each level."),
        (_u(x, parts, join=lambda h, skip, i: skip), "you replace h by the skip. Add the skip to h."),
        (_u(x, parts, join=lambda h, skip, i: (h + skip) / 2), "you average h and the skip. Add them."),
        (_u(x, parts, join=lambda h, skip, i: h * skip), "you multiply h by the skip. Add them."),
        (_u(x, parts, join=lambda h, skip, i: h - skip), "you subtract the skip. Add it."),
        (
            _u(x, parts, after=True),
            "you add the skip after the block of the way up. Add it before, so that the block sees it.",
        ),
        (_u(x, parts, before_block=True), "keep what the block of the way down returns, not what goes into it."),
        (
            _u(x, parts, order=0, join=lambda h, skip, i: h if h.shape != skip.shape else h + skip),
            "the skips come in the wrong order: the last one that was kept is needed first.",
        ),
        (
            _u(x, parts, join=lambda h, skip, i: h if i == 0 else h + skip),
            "the skip of the coarsest level is missing: there is one at each level, there as well.",
        ),
        (
            _u(x, parts, join=lambda h, skip, i: h if i == levels - 1 else h + skip),
            "the skip of the finest level is missing: there is one at each level.",
        ),
        (_u(x, backwards), "you go through `up` backwards: it begins at the coarsest level already."),
    ]


CHECKS = {"04.1": attention, "04.2": field_of_view, "04.3": through_the_u}
