"""Answers that students give to the exercises of lesson 21."""

import itertools
import math

import torch
from scipy import stats

# ---- 21.1: how sure can you be? ----


def at_least(right, n, p):
    return sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(right, n + 1))


def where(condition):
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if condition(middle) else (low, middle)
    return low


def smallest(right, n):
    return where(lambda p: at_least(right, n, p) < 0.025)


def smallest_by_beta(right, n):
    return stats.beta.ppf(0.025, right, n - right + 1) if right else 0.0


def smallest_by_the_other_side(right, n):
    return 0.0 if right == 0 else torch.tensor(where(lambda p: stats.binom.cdf(right - 1, n, p) > 0.975))


def thumb(right, n, by):
    share = right / n
    return share - by * (share * (1 - share) / n) ** 0.5


CHANCE_RIGHT = [smallest, smallest_by_beta, smallest_by_the_other_side]
CHANCE_WRONG = [
    (lambda right, n: None, "returns None"),
    (lambda right, n: right / n, "the share of hits"),
    (lambda right, n: thumb(right, n, 2), "the rule of thumb"),
    (lambda right, n: thumb(right, n, 1.96), "the rule of thumb"),
    (lambda right, n: where(lambda p: at_least(right, n, p) < 0.05), "and not 0.05"),
    (lambda right, n: where(lambda p: at_least(right, n, p) < 0.5), "one half"),
    (lambda right, n: where(lambda p: at_least(right + 1, n, p) < 0.975), "the upper end"),
    (lambda right, n: where(lambda p: at_least(right + 1, n, p) < 0.025), "it is right or more"),
    (lambda right, n: 0.025 ** (1 / n), "the answer for n of n"),
    (lambda right, n: (right / n) ** n, "how probable n of n"),
    (lambda right, n: 1 - smallest(right, n), "1 minus the answer"),
    (lambda right, n: smallest(right, n) if right else 0.3, "the answer is 0"),
    (lambda right, n: stats.beta.ppf(0.025, right + 0.5, n - right + 0.5), "should be 0.025"),
    (lambda right, n: 2.0, "between 0 and 1"),
    (lambda right, n: stats.binomtest(right, n).proportion_ci(), "must be one number"),
    (lambda right, n: smallest(right, n) / (n - n), "stops"),
]

# ---- 21.2: one good picture in four ----


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def grids(counts, m, n):
    return mean(1 - math.comb(m - c, n) / math.comb(m, n) for c in counts.tolist())


def grids_by_products(counts, m, n):
    """The chance that the first, the second, ... of n pictures is bad, if they are taken one by one."""
    bad = torch.ones(len(counts), dtype=torch.float64)
    for taken in range(n):
        bad = bad * (m - counts - taken).clamp(min=0) / (m - taken)
    return (1 - bad).mean()


def grids_by_trying_all(counts, m, n):
    total = 0
    for c in counts:
        every = list(itertools.combinations([True] * int(c) + [False] * (m - int(c)), n))
        total += sum(map(any, every)) / len(every)
    return total / len(counts)


def grids_by_hypergeometric(counts, m, n):
    return 1 - stats.hypergeom.pmf(0, m, counts.numpy(), n).mean()


def in_place(counts, m, n):
    counts -= m
    return mean(1 - math.comb(-c, n) / math.comb(m, n) for c in counts.tolist())


def of_combinations(count):
    return lambda counts, m, n: mean(count(c, m, n) / math.comb(m, n) for c in counts.tolist())


GRIDS_RIGHT = [grids, grids_by_products, grids_by_trying_all, grids_by_hypergeometric]
GRIDS_WRONG = [
    (lambda counts, m, n: None, "returns None"),
    (in_place, "changes its input counts in place"),
    (lambda counts, m, n: (1 - (1 - counts / m) ** n).double().mean(), "the first friend's answer"),
    (lambda counts, m, n: 1 - (1 - (counts / m).mean()) ** n, "the second friend's answer"),
    (of_combinations(lambda c, m, n: math.comb(c, n)), "all pictures are good"),
    (of_combinations(lambda c, m, n: math.comb(m - c, n)), "all pictures are bad"),
    (of_combinations(lambda c, m, n: math.comb(m, n) - math.comb(c, n)), "at least one bad"),
    (of_combinations(lambda c, m, n: c * math.comb(m - c, n - 1)), "exactly one good"),
    (lambda counts, m, n: (counts > 0).double().mean(), "of all m pictures"),
    (lambda counts, m, n: (counts / m).double().mean(), "for a single picture"),
    (lambda counts, m, n: n * (counts / m).double().mean(), "number of good pictures"),
    (lambda counts, m, n: len(counts) * grids(counts, m, n), "number of prompts"),
    (lambda counts, m, n: (n * counts / m).clamp(max=1).double().mean(), "do not add up"),
    (lambda counts, m, n: 1 - (1 - counts / m) ** n, "must be one number"),
    (lambda counts, m, n: 0.9 * grids(counts, m, n), "but yours is"),
    (lambda counts, m, n: 1 - math.comb(m - counts, n) / math.comb(m, n), "stops"),
]

# ---- 21.3: look to the side ----


def look(picture, by):
    width = picture.shape[2]
    source = torch.arange(width) + by
    known = (source >= 0) & (source < width)
    return picture[:, :, source.clamp(0, width - 1)] * known, known.expand(picture.shape[1:])


def look_by_slices(picture, by):
    width = picture.shape[2]
    moved, known = torch.zeros_like(picture), torch.zeros(picture.shape[1:], dtype=torch.bool)
    if by > 0:
        moved[:, :, : width - by], known[:, : width - by] = picture[:, :, by:], True
    else:
        moved[:, :, -by:], known[:, -by:] = picture[:, :, : width + by], True
    return moved, known


def look_by_flipping(picture, by):
    if by < 0:
        moved, known = look_by_flipping(picture.flip(2), -by)
        return moved.flip(2), known.flip(1)
    return look_by_slices(picture, by)


def look_by_rolling(picture, by):
    column = torch.arange(picture.shape[2]).repeat(picture.shape[1], 1)
    known = (column < picture.shape[2] - by) & (column >= -by)
    return [picture.roll(-by, 2) * known, known]


def look_right_only(picture, by):
    width = picture.shape[2]
    moved, known = torch.zeros_like(picture), torch.zeros(picture.shape[1:], dtype=torch.bool)
    moved[:, :, : width - by] = picture[:, :, by:]
    known[:, : width - by] = True
    return moved, known


def look_in_place(picture, by):
    picture[:] = look(picture, by)[0]
    return picture, look(picture, by)[1]


LOOK_RIGHT = [look, look_by_slices, look_by_flipping, look_by_rolling]
LOOK_WRONG = [
    (lambda picture, by: None, "returns None"),
    (look_in_place, "changes its input picture in place"),
    (lambda picture, by: look(picture, by)[0], "return two things"),
    (lambda picture, by: look(picture, -by), "you free the other one"),
    (lambda picture, by: look(picture, abs(by)), "you free the other one"),
    (look_right_only, "stops in its line 4"),
    (lambda picture, by: (picture.roll(-by, 2), look(picture, by)[1]), "must not come back"),
    (lambda picture, by: (picture.clone(), look(picture, by)[1]), "has not moved"),
    (lambda picture, by: (picture * look(picture, by)[1], look(picture, by)[1]), "made room on the right"),
    (lambda picture, by: (picture * 0, look(picture, by)[1]), "nothing is left"),
    (lambda picture, by: (look(picture, by)[0] + 1, look(picture, by)[1]), "of the values are wrong"),
    (lambda picture, by: (look(picture, by)[0], ~look(picture, by)[1]), "the opposite"),
    (lambda picture, by: (look(picture, by)[0], look(picture, by)[1].flip(1)), "must free the right side"),
    (lambda picture, by: (look(picture, by)[0], look(picture, abs(by))[1]), "must free the left side"),
    (lambda picture, by: (look(picture, by)[0], look(picture, by)[1] | True), "everything is known"),
    (lambda picture, by: (look(picture, by)[0], look(picture, by)[1] & False), "in 5 columns only"),
    (lambda picture, by: (look(picture, by)[0], (look(picture, by)[0] != 0).any(0)), "and they are known"),
    (lambda picture, by: (look(picture, by)[0], look(picture, by)[1].float()), "keep the type"),
    (lambda picture, by: (picture[:, :, by:], look(picture, by)[1]), "have the shape"),
]

BANK = {"21.1": (CHANCE_RIGHT, CHANCE_WRONG), "21.2": (GRIDS_RIGHT, GRIDS_WRONG), "21.3": (LOOK_RIGHT, LOOK_WRONG)}
