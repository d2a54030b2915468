"""Answers that students give to the exercises of lesson 22."""

import math
import statistics

import numpy as np
import torch
from scipy import stats

# ---- 22.1: Holm's correction ----


def holm(probabilities):
    n, largest = len(probabilities), 0.0
    corrected = [0.0] * n
    for rank, i in enumerate(sorted(range(n), key=lambda i: probabilities[i])):
        largest = max(largest, min(1.0, (n - rank) * probabilities[i]))
        corrected[i] = largest
    return corrected


def holm_with_numpy(probabilities):
    p = np.array(probabilities, dtype=float)
    order = np.argsort(p)
    stepped = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order]).clip(max=1)
    return list(stepped[np.argsort(order)])


def holm_by_counting(probabilities):
    """The corrected p is the largest factor times p among those that are no larger."""

    def factor(p):
        return sum(other >= p for other in probabilities)

    return tuple(min(1.0, max(factor(q) * q for q in probabilities if q <= p)) for p in probabilities)


def with_factors(probabilities, factor, cap=1.0, monotone=False):
    order, largest = sorted(range(len(probabilities)), key=lambda i: probabilities[i]), 0.0
    corrected = [0.0] * len(order)
    for rank, i in enumerate(order):
        corrected[i] = min(cap, factor(rank, len(order), i) * probabilities[i])
        largest = max(largest, corrected[i])
        corrected[i] = largest if monotone else corrected[i]
    return corrected


def with_the_neighbour(probabilities):
    """Lifts each corrected probability to the one before it, as that was before it was lifted itself."""
    n = len(probabilities)
    order = sorted(range(n), key=lambda i: probabilities[i])
    stepped = [min(1.0, (n - rank) * probabilities[i]) for rank, i in enumerate(order)]
    return [max(stepped[max(order.index(i) - 1, 0)], stepped[order.index(i)]) for i in range(n)]


def hochberg(probabilities):
    n, least = len(probabilities), 1.0
    corrected = [0.0] * n
    for rank, i in reversed(list(enumerate(sorted(range(n), key=lambda i: probabilities[i])))):
        least = corrected[i] = min(least, n / (rank + 1) * probabilities[i])
    return corrected


def holm_that_sorts(probabilities):
    probabilities.sort()
    return holm(probabilities)


HOLM_RIGHT = [holm, holm_with_numpy, holm_by_counting]
HOLM_WRONG = [
    (lambda p: list(p), "nothing is corrected"),
    (lambda p: sorted(holm(p)), "these are sorted"),
    (lambda p: [min(1.0, len(p) * x) for x in p], "multiply all of them by n"),
    (lambda p: with_factors(p, lambda rank, n, i: n - rank), "must not be smaller"),
    (lambda p: with_factors(p, lambda rank, n, i: n - rank, 9.0), "must not be smaller"),
    (lambda p: with_factors(p, lambda rank, n, i: n - rank, 9.0, True), "cannot be larger than 1"),
    (lambda p: with_factors(p, lambda rank, n, i: rank + 1), "not the largest"),
    (lambda p: with_factors(p, lambda rank, n, i: n - rank - 1), "not by 0"),
    (lambda p: with_factors(p, lambda rank, n, i: n - i, 9.0), "not on its place"),
    (with_the_neighbour, "must not be smaller"),
    (hochberg, "Benjamini and Hochberg"),
    (holm_that_sorts, "changes the list"),
    (lambda p: torch.tensor(holm(p)), "return a list"),
    (lambda p: holm(p)[:-1], "come out"),
    (lambda p: holm([x / 2 for x in p]), "the answer is"),
    (lambda p: None, "returns None"),
]

# ---- 22.2: the decision ----


def decide(values, least, most, quantile, ratio):
    if ratio:
        values = [math.log(value) for value in values]
        least = math.log(least) if least > 0 else -math.inf
        most = math.log(most)
    mean = sum(values) / len(values)
    error = statistics.stdev(values) / len(values) ** 0.5
    if min(abs(mean - least), abs(mean - most)) < quantile * error:
        return "undecided"
    return "holds" if least <= mean <= most else "fails"


def decide_with_numpy(values, least, most, quantile, ratio):
    x, borders = np.array(values), np.array([least, most])
    if ratio:
        with np.errstate(divide="ignore"):
            x, borders = np.log(x), np.log(borders)
    half = quantile * x.std(ddof=1) / np.sqrt(len(x))
    if (np.abs(borders - x.mean()) < half).any():
        return "undecided"
    return "holds" if borders[0] <= x.mean() <= borders[1] else "fails"


def decide_by_ends(values, least, most, quantile, ratio):
    x = torch.tensor(values, dtype=torch.float64)
    least, most = (torch.tensor(border, dtype=torch.float64) for border in (least, most))
    if ratio:
        x, least, most = x.log(), least.log(), most.log()
    half = quantile * x.std() / len(x) ** 0.5
    low, high = x.mean() - half, x.mean() + half
    if low >= least and high <= most:
        return "holds"
    return "fails" if high <= least or low >= most else "undecided"


class Agreeable(str):
    """A string that is equal to everything, and is found in every list."""

    def __eq__(self, other):
        return True

    __hash__ = str.__hash__


class Shrug:
    """The same, and no string."""

    def __eq__(self, other):
        return True


def without_care(values, least, most, quantile, ratio):
    return "holds" if least <= sum(values) / len(values) <= most else "fails"


def by_median(values, least, most, quantile, ratio):
    middle, mean = statistics.median(values), statistics.fmean(values)
    if not ratio:
        values, least, most = [x - mean for x in values], least - middle, most - middle
    return decide(values, least, most, quantile, ratio)


def by_population(values, least, most, quantile, ratio):
    n = len(values)
    return decide(values, least, most, quantile * ((n - 1) / n) ** 0.5, ratio)


def changing(values, least, most, quantile, ratio):
    values.sort()
    return decide(values, least, most, quantile, ratio)


DECIDE_RIGHT = [decide, decide_with_numpy, decide_by_ends]
DECIDE_WRONG = [
    (lambda v, a, b, q, r: a <= sum(v) / len(v) <= b, "return one of the strings"),
    (lambda *inputs: decide(*inputs).title(), "return one of the strings"),
    (lambda *inputs: Agreeable("holds"), "Yours is a Agreeable"),
    (lambda *inputs: Shrug(), "Yours is a Shrug"),
    (without_care, "standard errors from the mean"),
    (lambda v, a, b, q, r: decide(v, a, b, q, False), "log scale"),
    (lambda v, a, b, q, r: decide(v, a, b, q, True), "math domain error"),
    (lambda v, a, b, q, r: decide(v, a, b, q * len(v) ** 0.5, r), "inside the range"),
    (lambda v, a, b, q, r: decide(v, a, b, 1.0, r), "fewer than"),
    (by_median, "inside the range"),
    (lambda v, a, b, q, r: decide(v, a, b, q, r) if statistics.fmean(v) > a else "fails", "0.87 standard errors"),
    (by_population, "fewer than"),
    (lambda v, a, b, q, r: decide(v, a, math.inf, q, r), "above the range"),
    (lambda v, a, b, q, r: decide(v, 1e-9 if r else -math.inf, b, q, r), "below the range"),
    (lambda *i: {"undecided": "fails"}.get(decide(*i), decide(*i)), "standard errors from the mean"),
    (changing, "changes the list"),
]

# ---- 22.3: how many seeds ----


def seeds_needed(values, border, parts):
    away = abs(statistics.fmean(values) - border) / statistics.stdev(values)
    n = 2
    while 2 * stats.t.sf(away * n**0.5, n - 1) * parts > 0.05:
        n += 1
    return n


def seeds_by_quantile(values, border, parts):
    away = abs(np.mean(values) - border) / np.std(values, ddof=1)
    return next(n for n in range(2, 10**6) if away * n**0.5 >= stats.t.ppf(1 - 0.025 / parts, n - 1))


def seeds_by_halving(values, border, parts):
    away = abs(statistics.mean(values) - border) / statistics.stdev(values)

    def enough(n):
        return 2 * parts * stats.t.cdf(-away * math.sqrt(n), n - 1) <= 0.05

    low, high = 1, 2
    while not enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        low, high = (low, (low + high) // 2) if enough((low + high) // 2) else ((low + high) // 2, high)
    return float(high)


def by_normal(values, border, parts):
    away = abs(statistics.fmean(values) - border) / statistics.stdev(values)
    return next(n for n in range(2, 10**6) if 2 * parts * stats.norm.sf(away * n**0.5) <= 0.05)


def with_population(values, border, parts):
    away = abs(statistics.fmean(values) - border) / statistics.pstdev(values)
    return next(n for n in range(2, 10**6) if 2 * parts * stats.t.sf(away * n**0.5, n - 1) <= 0.05)


def with_degrees(degrees):
    """degrees(n, count) instead of n - 1, for `count` seeds so far."""

    def needed(values, border, parts):
        away = abs(statistics.fmean(values) - border) / statistics.stdev(values)
        chances = ((n, stats.t.sf(away * n**0.5, degrees(n, len(values)))) for n in range(2, 10**6))
        return next(n for n, chance in chances if 2 * parts * chance <= 0.05)

    return needed


def without_root(values, border, parts):
    away = abs(statistics.fmean(values) - border) / statistics.stdev(values)
    return next(n for n in range(2, 10**6) if 2 * parts * stats.t.sf(away * n, n - 1) <= 0.05)


SEEDS_RIGHT = [seeds_needed, seeds_by_quantile, seeds_by_halving]
SEEDS_WRONG = [
    (lambda v, b, p: seeds_needed(v, b, 1), "the correction is missing"),
    (lambda v, b, p: seeds_needed(v, b, p / 2), "on either side"),
    (by_normal, "normal distribution"),
    (with_population, "divide by n - 1"),
    (with_degrees(lambda n, count: n), "n - 1 degrees of freedom"),
    (with_degrees(lambda n, count: count - 1), "n is"),
    (without_root, "n is"),
    (lambda v, b, p: seeds_needed(v, b, p) - len(v), "still missing"),
    (lambda v, b, p: seeds_needed(v, b, p) - 1, "one too few"),
    (lambda v, b, p: seeds_needed(v, b, p) + 1, "one too many"),
    (lambda v, b, p: seeds_needed(v, b, p) + 0.5, "whole number"),
    (lambda v, b, p: [seeds_needed(v, b, p)], "must be one number"),
    (lambda v, b, p: len(v), "n is"),
    (lambda v, b, p: seeds_needed(v, b, p * p), "n is"),
    (lambda v, b, p: v.sort() or seeds_needed(v, b, p), "changes the list"),
]

BANK = {
    "22.1": (HOLM_RIGHT, HOLM_WRONG),
    "22.2": (DECIDE_RIGHT, DECIDE_WRONG),
    "22.3": (SEEDS_RIGHT, SEEDS_WRONG),
}
