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


def by_hand(change):
    """attend with a softmax by hand, after a change of the scores."""

    def softmax(scores, d):
        weight = torch.exp(change(root(scores, d)))
        return weight / weight.sum(2, keepdim=True)

    return weighed(softmax)


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
    (by_hand(lambda scores: scores - scores.max()), "infinite values or nan"),
    (by_hand(lambda scores: scores.clamp(max=50)), "subtract its largest score"),
    (weighed(lambda s, d: overflowing(s, d).nan_to_num(0)), "subtract its largest score"),
    (weighed(lambda s, d: (s / math.sqrt(s.shape[1])).softmax(2)), "not by the root of another size"),
    (weighed(lambda s, d: (s / math.sqrt(s.shape[2])).softmax(2)), "not by the root of another size"),
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


def view_half(layers):
    return (view(layers) - 1) // 2


VIEW_RIGHT = [view, view_forwards, view_recursive]
VIEW_WRONG = [
    (lambda layers: None, "returns None"),
    (3, "hand in the function itself"),
    (lambda layers: str(view(layers)), "must be one number"),
    (lambda layers: [view(layers)], "must be one number"),
    (lambda layers: view(layers) ** 2, "the number of pixels in the square"),
    (lambda layers: (view(layers) - 1) / 2, "to one side"),
    (view_half, "to one side"),
    (lambda layers: view(layers) if layers else 0, "with no layers at all the width is 1"),
    (lambda layers: view(layers) - 1, "count the pixel in the middle"),
    (lambda layers: 1 + 2 * layers.count("conv"), "a conv behind a halving"),
    (lambda layers: 1 + layers.count("conv"), "adds a pixel on both sides"),
    (lambda layers: 3 * layers.count("conv") or 1, "only the first conv sees 3 pixels"),
    (view_in_order, "the order is the wrong way round"),
    (view_by_stride_only, "not 31"),
    (lambda layers: (1 + 2 * layers.count("conv")) * 2 ** layers.count("halve"), "Go through the layers one by one"),
    (lambda layers: 3 ** layers.count("conv") * 2 ** layers.count("halve"), "do not multiply"),
    (lambda layers: view(layers) + 1, "one too many"),
]

# ---- 04.3: is the piece missed? ----


def surprise(without, whole):
    spread = whole.std(dim=0) * (1 + 1 / len(whole)) ** 0.5
    return (without - whole.mean(dim=0)) / spread


def surprise_by_hand(without, whole):
    n = len(whole)
    mean = sum(whole) / n
    variance = sum((row - mean) ** 2 for row in whole) / (n - 1)
    return (without - mean) / torch.sqrt(variance + variance / n)


def surprise_time_by_time(without, whole):
    values = []
    for error, others in zip(without, whole.T, strict=True):
        values.append((error - others.mean()) / (others.var() * (len(others) + 1) / len(others)).sqrt())
    return torch.stack(values)


def measured(value):
    """value(difference from the mean, standard deviation, n)"""
    return lambda without, whole: value(without - whole.mean(0), whole.std(0), len(whole))


def surprise_in_place(without, whole):
    without -= whole.mean(0)
    return without / (whole.std(0) * (1 + 1 / len(whole)) ** 0.5)


def surprise_along_the_times(without, whole):
    mean, spread = whole.mean(-1), whole.std(-1) * (1 + 1 / len(whole)) ** 0.5
    return (without - mean) / spread


SURPRISE_RIGHT = [surprise, surprise_by_hand, surprise_time_by_time]
SURPRISE_WRONG = [
    (lambda without, whole: None, "returns None"),
    (3.0, "hand in the function itself"),
    (surprise_in_place, "changes its input without in place"),
    (lambda without, whole: surprise(without, whole).mean(), "must have the shape"),
    (lambda without, whole: surprise(without, whole).float(), "keep the type"),
    (measured(lambda above, spread, n: above / spread), "the mean of a few networks is uncertain, too"),
    (measured(lambda above, spread, n: above * n**0.5 / spread), "how uncertain the mean is"),
    (measured(lambda above, spread, n: above / (spread * (1 + 1 / n))), "standard deviations do not"),
    (measured(lambda above, spread, n: above / (spread + spread / n**0.5)), "you add two standard deviations"),
    (
        lambda without, whole: surprise(without, whole) * (len(whole) / (len(whole) - 1)) ** 0.5,
        "divides by n - 1, not by n",
    ),
    (lambda without, whole: (without - whole.mean(0)) / whole.std(0, correction=0), "the mean is uncertain as well"),
    (lambda without, whole: -surprise(without, whole), "the sign is turned round"),
    (lambda without, whole: surprise(without, whole).abs(), "keep the sign"),
    (lambda without, whole: without / whole.mean(0), "that is the ratio"),
    (lambda without, whole: without / whole.mean(0) - 1, "a share of the error"),
    (measured(lambda above, spread, n: above), "the difference itself"),
    (measured(lambda above, spread, n: above / spread**2), "you divide by a variance"),
    (lambda without, whole: surprise(without, whole) ** 2, "do not square"),
    (
        lambda without, whole: (without - whole.mean(0)) / (whole.std() * (1 + 1 / len(whole)) ** 0.5),
        "one standard deviation for all times",
    ),
    (
        lambda without, whole: (without - whole.max(0).values) / (whole.std(0) * (1 + 1 / len(whole)) ** 0.5),
        "not with the worst",
    ),
    (
        lambda without, whole: (without - whole.mean(0)) / (whole.var(0).mean() * (1 + 1 / len(whole))) ** 0.5,
        "Give each time its own",
    ),
    (
        lambda without, whole: (without - whole.mean(0)) / (whole.std(0) * (1 + 1 / len(without)) ** 0.5),
        "not the number of times",
    ),
    (surprise_along_the_times, "your mean goes over the times"),
    (lambda without, whole: 2 * surprise(without, whole), "from a new seed"),
]

BANK = {
    "04.1": (ATTEND_RIGHT, ATTEND_WRONG),
    "04.2": (VIEW_RIGHT, VIEW_WRONG),
    "04.3": (SURPRISE_RIGHT, SURPRISE_WRONG),
}
