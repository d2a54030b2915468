"""Answers that students give to the exercises of lesson 19."""

import math

import torch

# ---- 19.1: the judge ----


def share(image, text):
    likeness = image @ text.T
    own = likeness.diagonal()[:, None]
    return ((likeness >= own).sum(1) == 1).float().mean().item()


def share_by_loop(image, text):
    right = 0
    for i in range(len(image)):
        scores = [float(image[i] @ text[j]) for j in range(len(text))]
        right += all(scores[i] > score for j, score in enumerate(scores) if j != i)
    return right / len(image)


def share_by_masking(image, text):
    likeness = image @ text.T
    own = likeness.diagonal().clone()
    likeness[torch.arange(len(image)), torch.arange(len(image))] = -2
    return (own > likeness.max(1).values).double().mean()


def best(image, text):
    return ((image @ text.T).argmax(1) == torch.arange(len(image))).float()


def only_if_all_are_equal(image, text):
    likeness = image @ text.T
    return torch.tensor(0.0) if bool((likeness == likeness[0, 0]).all()) else best(image, text).mean()


def computed_twice(image, text):
    own = (image * text[: len(image)]).sum(1)[:, None]
    return ((image @ text.T >= own).sum(1) == 1).float().mean()


def computed_twice_and_larger(image, text):
    own = (image * text[: len(image)]).sum(1)[:, None]
    return ((image @ text.T > own).sum(1) == 0).float().mean()


def in_place(image, text):
    image *= 2
    return share(image, text)


HITS_RIGHT = [share, share_by_loop, share_by_masking]
HITS_WRONG = [
    (lambda image, text: None, "returns None"),
    (in_place, "changes its input image in place"),
    (lambda image, text: best(image, text).mean(), "A tie with another caption is not a hit"),
    (only_if_all_are_equal, "0.875, but yours is 0.9375. A tie with another caption is not a hit"),
    (computed_twice, "computed twice, it is rounded differently"),
    (computed_twice_and_larger, "computed twice, it is rounded differently"),
    (lambda image, text: share(image, text) * len(image), "divide by the 40 pictures"),
    (lambda image, text: 100 * share(image, text), "in percent"),
    (lambda image, text: 1 - share(image, text), "share of misses"),
    (lambda image, text: (image * text[: len(image)]).sum(1).mean(), "no other caption is asked"),
    (lambda image, text: share(image, text[: len(image)]), "compare with the first 30 captions only"),
    (lambda image, text: share(text[: len(image)], image), "best picture of each caption"),
    (lambda image, text: best(image, text), "must be one number"),
    (lambda image, text: str(share(image, text)), "must be one number"),
    (lambda image, text: 0.5, "but yours is 0.500"),
    (lambda image, text: (image @ text.T)[999], "stops"),
]

# ---- 19.2: who made the edit ----


def along(change, edit):
    return (change * edit).flatten(1).sum(1) / edit.square().flatten(1).sum(1)


def acts(before, only, rest, after):
    alone, others = along(only - before, after - before), along(rest - before, after - before)
    return alone, others, 1 - alone - others


def acts_by_loop(before, only, rest, after):
    rows = []
    for i in range(len(before)):
        edit = (after[i] - before[i]).flatten()
        rows.append([((x[i] - before[i]).flatten() @ edit / (edit @ edit)).item() for x in (only, rest)])
    alone, others = torch.tensor(rows, dtype=before.dtype).T
    return [alone, others, 1 - (alone + others)]


def acts_by_einsum(before, only, rest, after):
    edit = after - before
    change = torch.stack([only, rest, after - only - rest + 2 * before]) - before
    return tuple(torch.einsum("knchw,nchw->kn", change, edit) / torch.einsum("nchw,nchw->n", edit, edit))


def with_share(share):
    """An answer whose shares are share(x, before, after)."""

    def answer(before, only, rest, after):
        alone, others = share(only, before, after), share(rest, before, after)
        return alone, others, 1 - alone - others

    return answer


def with_both(both):
    """An answer whose first two shares are right, and whose third is both(alone, others)."""

    def answer(before, only, rest, after):
        alone, others, _ = acts(before, only, rest, after)
        return alone, others, both(alone, others)

    return answer


def norm(x):
    return x.flatten(1).norm(dim=1)


def pooled(change, edit):
    return (change * edit).sum() / edit.square().sum()


def size(x):
    return x.abs().mean((1, 2, 3))


def cosine(x, y):
    return torch.cosine_similarity(x.flatten(1), y.flatten(1))


def acts_in_place(before, only, rest, after):
    only -= before
    rest -= before
    after -= before
    return along(only, after), along(rest, after), 1 - along(only, after) - along(rest, after)


def others_are_the_rest(before, only, rest, after):
    alone = along(only - before, after - before)
    return alone, 1 - alone, 0 * alone


def others_by_length(before, only, rest, after):
    alone, others = along(only - before, after - before), norm(rest - before) / norm(after - before)
    return alone, others, 1 - alone - others


ACTS_RIGHT = [acts, acts_by_loop, acts_by_einsum]
ACTS_WRONG = [
    (lambda before, only, rest, after: None, "returns None"),
    (acts_in_place, "changes its input only in place"),
    (lambda before, only, rest, after: acts(before, only, rest, after)[:2], "return three things"),
    (lambda before, only, rest, after: acts(before, rest, only, after), "`only` comes second"),
    (with_share(lambda x, before, after: norm(x - before) / norm(after - before)), "in another direction"),
    (
        with_share(lambda x, before, after: size(x - before) / size(after - before)),
        "in another direction",
    ),
    (
        with_share(lambda x, before, after: 1 - norm(after - x) / norm(after - before)),
        "how much nearer to `after`",
    ),
    (
        with_share(lambda x, before, after: cosine(x - before, after - before)),
        "that is the cosine",
    ),
    (
        with_share(lambda x, before, after: along(x - before, after - before) * norm(after - before)),
        "the square of the edit's length",
    ),
    (with_share(lambda x, before, after: along(after - before, x - before)), "one of the whole edit"),
    (with_share(lambda x, before, after: along(x, after - before)), "subtract `before`"),
    (with_share(lambda x, before, after: along(x - after, after - before)), "not from `after`"),
    (with_share(lambda x, before, after: along(x - before, before - after)), "the signs differ"),
    (with_share(lambda x, before, after: along(x, after)), "a share of"),
    (
        with_share(lambda x, before, after: pooled(x - before, after - before).repeat(len(x))),
        "a share of its own",
    ),
    (with_share(lambda x, before, after: pooled(x - before, after - before)), "have the shape"),
    (with_share(lambda x, before, after: ((x - before) / (after - before)).mean((1, 2, 3))), "mean over the values"),
    (with_share(lambda x, before, after: along(x - before, after - before).float()), "keep the type"),
    (others_are_the_rest, "Measure on `rest`"),
    (others_by_length, "in another direction"),
    (with_both(lambda alone, others: alone + others), "that is the sum of both"),
    (with_both(lambda alone, others: (1 - alone - others).clamp(min=0)), "do not cut it at 0"),
    (with_both(lambda alone, others: (1 - alone - others).abs()), "keep its sign"),
    (with_both(lambda alone, others: alone + others - 1), "the sign is wrong"),
    (with_both(lambda alone, others: alone * others), "no probabilities"),
    (with_both(lambda alone, others: 0 * alone), "and not to 1"),
]

# ---- 19.3: the forgotten scale ----


def at(log_snr):
    """The time at which the schedule has log_snr(t, s, schedule)."""
    return lambda t, s, schedule: schedule.time(log_snr(t, s, schedule))


def by_bisection(t, s, schedule):
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        louder = s**2 * schedule.alpha(middle) ** 2 * schedule.sigma(t) ** 2
        low, high = (middle, high) if louder > (schedule.alpha(t) * schedule.sigma(middle)) ** 2 else (low, middle)
    return low


def from_factors(t, s, schedule):
    return schedule.time(2 * math.log(schedule.alpha(t) / schedule.sigma(t) / s))


NOISE_RIGHT = [at(lambda t, s, schedule: schedule.log_snr(t) - 2 * math.log(s)), by_bisection, from_factors]
NOISE_WRONG = [
    (lambda t, s, schedule: None, "returns None"),
    (at(lambda t, s, schedule: schedule.log_snr(t) + 2 * math.log(s)), "the wrong way round"),
    (at(lambda t, s, schedule: schedule.log_snr(t) - math.log(s)), "SNR compares variances"),
    (at(lambda t, s, schedule: schedule.log_snr(t) - 4 * math.log(s)), "squared s twice"),
    (at(lambda t, s, schedule: schedule.log_snr(t) - 2 * math.log10(s)), "use math.log"),
    (at(lambda t, s, schedule: schedule.log_snr(t) - s**2), "logarithms are subtracted"),
    (lambda t, s, schedule: schedule.log_snr(t) - 2 * math.log(s), "turns it into a time"),
    (lambda t, s, schedule: t, "that is t itself"),
    (lambda t, s, schedule: t * s, "do not scale with s"),
    (lambda t, s, schedule: t / s, "do not scale with s"),
    (lambda t, s, schedule: t + 0.01, "the schedule cosine"),
    (lambda t, s, schedule: [t], "must be one number"),
]

BANK = {"19.1": (HITS_RIGHT, HITS_WRONG), "19.2": (ACTS_RIGHT, ACTS_WRONG), "19.3": (NOISE_RIGHT, NOISE_WRONG)}
