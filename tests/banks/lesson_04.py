"""Answers that students give to the exercises of lesson 04."""

import math

import torch
import torch.nn.functional as F

# ---- 04.1: attention ----


def attend(q, k, v):
    return (q @ k.mT / math.sqrt(q.shape[2])).softmax(dim=2) @ v


def attend_by_einsum(q, k, v):
    scores = torch.einsum("bnd,bmd->bnm", q, k) * q.shape[-1] ** -0.5
    weight = torch.exp(scores - scores.amax(2, keepdim=True))
    return torch.einsum("bnm,bmd->bnd", weight / weight.sum(2, keepdim=True), v)


def attend_place_by_place(q, k, v):
    rows = []
    for i in range(q.shape[1]):
        scores = (q[:, i, None] * k).sum(2) / q.shape[2] ** 0.5
        rows.append((scores.softmax(1)[:, :, None] * v).sum(1))
    return torch.stack(rows, dim=1)


def attend_in_place(q, k, v):
    q /= math.sqrt(q.shape[2])
    return (q @ k.mT).softmax(dim=2) @ v


def weighed(weigh, average=lambda weight, q, k, v: weight @ v):
    """attend with weigh(q k^T, d) as its weights."""
    return lambda q, k, v: average(weigh(q @ k.mT, q.shape[2]), q, k, v)


def root(scores, d):
    return scores / math.sqrt(d)


def overflowing(scores, d):
    weight = torch.exp(root(scores, d))
    return weight / weight.sum(2, keepdim=True)


ATTEND_RIGHT = [attend, F.scaled_dot_product_attention, attend_by_einsum, attend_place_by_place]
ATTEND_WRONG = [
    (lambda q, k, v: None, "returns None"),
    (torch.zeros(2, 4, 4), "hand in the function itself"),
    (attend_in_place, "changes its input q in place"),
    (lambda q, k, v: attend(q, k, v)[0], "must have the shape"),
    (lambda q, k, v: attend(q, k, v).float(), "keep the type"),
    (weighed(lambda s, d: s.softmax(2)), "the scale is missing"),
    (weighed(lambda s, d: (s / d).softmax(2)), "not by d"),
    (weighed(lambda s, d: (s * math.sqrt(d)).softmax(2)), "you multiply by the root"),
    (weighed(root), "the softmax is missing"),
    (weighed(lambda s, d: root(s, d).softmax(1)), "over the places that ask"),
    (weighed(lambda s, d: root(s, d).softmax(0)), "over the batch"),
    (weighed(lambda s, d: root(s, d).exp()), "Divide by their sum"),
    (weighed(lambda s, d: s.softmax(2) / math.sqrt(d)), "before the softmax"),
    (weighed(lambda s, d: torch.full_like(s, 1 / s.shape[2])), "all places the same weight"),
    (weighed(lambda s, d: root(s, d).softmax(2), lambda w, q, k, v: w @ k), "Average the values, v"),
    (weighed(lambda s, d: root(s, d).softmax(2), lambda w, q, k, v: w), "those are the weights"),
    (weighed(lambda s, d: root(s, d).softmax(2), lambda w, q, k, v: q + w @ v), "do not add the input"),
    (lambda q, k, v: attend(k, q, v), "queries and keys are swapped"),
    (weighed(overflowing), "infinite values or nan"),
    (lambda q, k, v: 2 * attend(q, k, v), "away from the formula"),
]

# ---- 04.2: how far a network sees ----


def view(layers):
    width = 1
    for layer in layers[::-1]:
        width = width + 2 if layer == "conv" else 2 * width
    return width


def view_forwards(layers):
    width, stride = 1, 1
    for layer in layers:
        width += (2 if layer == "conv" else 1) * stride
        stride *= 1 if layer == "conv" else 2
    return width


def view_recursive(layers):
    if not layers:
        return torch.tensor(1)
    return {"conv": lambda w: w + 2, "halve": lambda w: 2 * w}[layers[0]](view_recursive(layers[1:]))


def view_in_order(layers):
    width = 1
    for layer in layers:
        width = width + 2 if layer == "conv" else 2 * width
    return width


def view_by_stride_only(layers):
    width, stride = 1, 1
    for layer in layers:
        if layer == "conv":
            width += 2 * stride
        else:
            stride *= 2
    return width


VIEW_RIGHT = [view, view_forwards, view_recursive]
VIEW_WRONG = [
    (lambda layers: None, "returns None"),
    (3, "hand in the function itself"),
    (lambda layers: str(view(layers)), "must be one number"),
    (lambda layers: [view(layers)], "must be one number"),
    (lambda layers: view(layers) ** 2, "the number of pixels in the square"),
    (lambda layers: (view(layers) - 1) / 2, "to one side"),
    (lambda layers: view(layers) - 1, "count the pixel in the middle"),
    (lambda layers: 1 + 2 * layers.count("conv"), "a conv behind a halving"),
    (lambda layers: 1 + layers.count("conv"), "adds a pixel on both sides"),
    (lambda layers: 3 * layers.count("conv") or 1, "only the first conv sees 3 pixels"),
    (view_in_order, "the order is the wrong way round"),
    (view_by_stride_only, "not 23"),
    (lambda layers: (1 + 2 * layers.count("conv")) * 2 ** layers.count("halve"), "Go through the layers one by one"),
    (lambda layers: 3 ** layers.count("conv") * 2 ** layers.count("halve"), "do not multiply"),
    (lambda layers: view(layers) + 1, "one too many"),
]

# ---- 04.3: through the U ----


def u(x, down, shrink, grow, up):
    h, skips = x, []
    for i, block in enumerate(down):
        h = block(shrink[i - 1](h) if i > 0 else h)
        skips.append(h)
    for i, block in enumerate(up):
        h = grow[i - 1](h) if i > 0 else h
        h = block(h + skips.pop())
    return h


def u_recursive(x, down, shrink, grow, up):
    skip = h = down[0](x)
    if len(down) > 1:
        h = grow[-1](u_recursive(shrink[0](h), down[1:], shrink[1:], grow[:-1], up[:-1]))
    return up[-1](h + skip)


def u_by_index(x, down, shrink, grow, up):
    kept = [down[0](x)]
    for i in range(len(shrink)):
        kept.append(down[i + 1](shrink[i](kept[-1])))
    h = up[0](kept[-1] + kept[-1])
    for i in range(len(grow)):
        h = up[i + 1](grow[i](h) + kept[-2 - i])
    return h


def joined(join, late=False, early=False, first=False):
    """u with join(h, skip, i) instead of h + skip; late: after the block; early: the skip is what enters a block."""

    def through(x, down, shrink, grow, up):
        h, skips = x, []
        for i, block in enumerate(down):
            h = shrink[i - 1](h) if i > 0 else h
            skips.append(h if early else block(h))
            h = block(h)
        for i, block in enumerate(up):
            h = grow[i - 1](h) if i > 0 else h
            skip = skips.pop(0 if first else -1)
            h = join(block(h), skip, i) if late else block(join(h, skip, i))
        return h

    return through


def add(h, skip, i):
    return h + skip


def u_in_place(x, down, shrink, grow, up):
    x += 1
    return u(x, down, shrink, grow, up)


def u_that_always_shrinks(x, down, shrink, grow, up):
    h = x
    for block, smaller in zip(down, [*shrink, shrink[-1]], strict=True):
        h = smaller(block(h))
    return h


U_RIGHT = [u, u_recursive, u_by_index]
U_WRONG = [
    (lambda x, down, shrink, grow, up: None, "returns None"),
    (torch.zeros(2, 3, 8, 8), "hand in the function itself"),
    (u_in_place, "changes its input x in place"),
    (u_that_always_shrinks, "must have the shape"),
    (lambda x, down, shrink, grow, up: x, "that is the input"),
    (lambda x, down, shrink, grow, up: u(x, down, shrink, grow, up).mean(), "must have the shape"),
    (joined(lambda h, skip, i: h), "the skips are missing"),
    (joined(lambda h, skip, i: skip), "you replace h by the skip"),
    (joined(lambda h, skip, i: (h + skip) / 2), "you average h and the skip"),
    (joined(lambda h, skip, i: h * skip), "you multiply h by the skip"),
    (joined(lambda h, skip, i: torch.cat([h, skip], 1)), "must have the shape"),
    (joined(add, late=True), "after the block of the way up"),
    (joined(add, early=True), "not what goes into it"),
    (joined(add, first=True), "stops"),
    (joined(lambda h, skip, i: h if h.shape != skip.shape else h + skip, first=True), "in the wrong order"),
    (lambda x, down, shrink, grow, up: u(x, down, shrink, grow, up[::-1]), "you go through `up` backwards"),
    (joined(lambda h, skip, i: h + 2 * skip), "away. Follow the drawing"),
    (lambda x, down, shrink, grow, up: u(x, down, shrink, grow, up).float(), "keep"),
]

BANK = {
    "04.1": (ATTEND_RIGHT, ATTEND_WRONG),
    "04.2": (VIEW_RIGHT, VIEW_WRONG),
    "04.3": (U_RIGHT, U_WRONG),
}
