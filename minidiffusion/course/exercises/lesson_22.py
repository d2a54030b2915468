"""Lesson 22: Holm's correction, the decision on a part, and the number of seeds that would decide it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

from .. import ledger
from .judge import Wrong, call, name_mistake, number


def _near(a: Sequence[float], b: Sequence[float]) -> bool:
    return len(a) == len(b) and all(abs(x - y) < 1e-9 for x, y in zip(a, b, strict=True))


def _falsely_corrected(probabilities: Sequence[float]) -> list[tuple[list[float], str]]:
    n, order = len(probabilities), sorted(range(len(probabilities)), key=probabilities.__getitem__)
    rank = {i: place for place, i in enumerate(order)}
    right = ledger.holm(probabilities)
    hochberg, least = [0.0] * n, 1.0
    for i in reversed(order):
        least = min(least, n / (rank[i] + 1) * probabilities[i])
        hochberg[i] = least
    uncapped, largest = [0.0] * n, 0.0
    for i in order:
        largest = uncapped[i] = max(largest, (n - rank[i]) * probabilities[i])
    ranks = [rank[i] for i in range(n)]
    factors = {
        "you multiply all of them by n. Only the smallest is: the next by n - 1.": [n] * n,
        "it is the smallest that is multiplied by n, not the largest.": [r + 1 for r in ranks],
        "the largest is multiplied by 1, not by 0: count from n down to 1.": [n - r - 1 for r in ranks],
        "the factor depends on the rank of a probability, not on its place in the list.": [n - i for i in range(n)],
        "a corrected probability must not be smaller than that of a smaller probability.": [n - r for r in ranks],
    }
    mistakes = [
        ([min(most, f * p) for f, p in zip(factor, probabilities, strict=True)], sentence)
        for sentence, factor in factors.items()
        for most in (1.0, math.inf)
    ]
    return [
        (list(probabilities), "these are the probabilities that came in: nothing is corrected."),
        ([right[i] for i in order], "these are sorted. Return them in the order of the parts that came in."),
        (uncapped, "a probability cannot be larger than 1."),
        (hochberg, "that is the correction of Benjamini and Hochberg, which is less strict: start from the smallest."),
        *mistakes,
    ]


LISTS: tuple[list[float], ...] = (
    [0.02, 0.01, 0.6, 0.013],
    [0.3, 0.04, 0.02],
    [0.01],
    [0.5, 0.9, 0.0011, 0.7, 0.0014, 0.001],
    [],
)


def holm(answer: Any) -> None:
    """22.1: holm(probabilities) -> the corrected ones, in the same order."""
    for probabilities in LISTS:
        right, given = ledger.holm(probabilities), list(probabilities)
        found = call(answer, probabilities=given)
        if not _is(given, probabilities):
            raise Wrong("your function changes the list that comes in. Only read it, or sort a copy.")
        if type(found) not in (list, tuple):
            raise Wrong(f"return a list with one number for each part. Yours is a {type(found).__name__}.")
        if len(found) != len(probabilities):
            raise Wrong(f"{len(probabilities)} probabilities come in, and {len(found)} come out.")
        values = [number(value, "each corrected probability") for value in found]
        if not _near(values, right):
            name_mistake(values, _falsely_corrected(probabilities), _near)
            by_size = [value for _, value in sorted(zip(probabilities, values, strict=True))]
            if by_size != sorted(by_size):
                raise Wrong("a corrected probability must not be smaller than that of a smaller probability.")
            wanted, shown = ([float(f"{value:.4g}") for value in one] for one in (right, values))
            raise Wrong(f"for {probabilities} the answer is {wanted}, but yours is {shown}.")


def _is(a: Sequence[Any], b: Sequence[float]) -> bool:
    """Whether a list still holds the numbers that were put in; an object in it might claim to be equal to them."""
    return len(a) == len(b) and all(type(x) is float and x == y for x, y in zip(a, b, strict=True))


CASES = (  # values, least, most, quantile, ratio
    ([0.2, 0.3, 0.4], 0.0, 1.0, 4.303, False),
    ([5.0, 5.5, 6.5], 1.0, math.inf, 4.303, False),
    ([1.5, 1.7, 2.0, 1.6], 0.0, 1.0, 3.182, False),
    ([-2.0, -1.5, -1.7], 0.0, 1.0, 4.303, False),
    ([0.5, 1.0, 1.8], -9.0, 1.0, 4.303, False),
    ([0.0, 0.5, 1.0], 0.0, 1.0, 4.303, False),
    ([0.8, 1.0, 1.6, 1.2, 1.3], 1.0, 5.0, 2.776, False),
    ([0.5, 0.0, 2.5, 1.2], 0.0, 4.0, 3.182, False),
    ([0.6, 1.6, 1.1, 1.5, 1.4, 1.3, 1.6, 0.9], 0.9, 5.0, 2.365, False),
    ([0.3, 0.5, 0.7], 0.05, 9.0, 4.303, False),
    ([0.7, 0.9, 1.1], 1.0, 5.0, 4.303, False),
    ([1.0, 1.1, 1.2, 6.0], 1.6, math.inf, 0.25, False),
    ([0.25, 0.5, 0.3], 0.0, 0.9, 4.303, True),
    ([0.5, 0.4, 9.0, 0.6, 0.5], 1.1, math.inf, 0.25, True),
    ([2.0, 2.2, 2.1], 1.1, math.inf, 4.303, True),
    ([1.4, 1.5, 1.6], 0.0, 1.1, 4.303, True),
    ([0.5, 2.0, 1.0], 0.9, 1.1, 4.303, True),
)


def _decided(values: Sequence[float], least: float, most: float, quantile: float, ratio: bool) -> tuple[str, str]:
    borders = [least, most]
    if ratio:
        values = [math.log(value) for value in values]
        borders = [math.log(border) if border > 0 else -math.inf for border in borders]
    mean, error = statistics.fmean(values), statistics.stdev(values) / len(values) ** 0.5
    inside, away = borders[0] <= mean <= borders[1], min(abs(mean - border) for border in borders)
    if away < quantile * error:
        return "undecided", f"a border is {away / error:.2g} standard errors from the mean, fewer than {quantile:g}"
    where = "inside the range" if inside else "below the range" if mean < borders[0] else "above the range"
    return "holds" if inside else "fails", f"the mean is {where}, and no border is within {quantile:g} standard errors"


def decide(answer: Any) -> None:
    """22.2: decide(values, least, most, quantile, ratio) -> "holds", "fails" or "undecided"."""
    for values, least, most, quantile, ratio in CASES:
        right, why = _decided(values, least, most, quantile, ratio)
        given = list(values)
        word = _word(
            call(answer, values=given, least=least, most=most, quantile=quantile, ratio=ratio),
            ("holds", "fails", "undecided"),
        )
        if not _is(given, values):
            raise Wrong("your function changes the list that comes in. Only read it.")
        if word == right:
            continue
        scale = " on the log scale" if ratio else ""
        where = f"for {values}, from {least:g} to {most:g}, quantile {quantile:g}, ratio {ratio}"
        raise Wrong(f'{where}{":" + scale if ratio else ","} {why}: "{right}". Yours is "{word}".')


def _word(answer: Any, words: tuple[str, ...]) -> str:
    """The answer, if it is one of these words: a plain string, since another object could claim to be equal to all."""
    if type(answer) is not str or answer not in words:
        yours = repr(answer) if type(answer) is str else f"a {type(answer).__name__}"
        raise Wrong(f"return one of the strings {', '.join(map(repr, words))}. Yours is {yours}.")
    return answer


def _probability(values: Sequence[float], border: float, n: int, lost: int = 1) -> float:
    from scipy import stats

    away = abs(statistics.fmean(values) - border) / statistics.stdev(values)
    return float(2 * stats.t.sf(away * n**0.5, n - lost))


def _enough(
    values: Sequence[float], border: float, parts: int, spread: float = 1.0, sides: float = 1.0, lost: int = 1
) -> int:
    """The number of seeds; `spread`, `sides` and `lost` (degrees of freedom) are what a mistake changes."""
    middle = statistics.fmean(values)
    wider = [middle + (value - middle) * spread for value in values]
    n = 2
    while sides * parts * _probability(wider, border, n, lost) > 0.05:
        n += 1
    return n


def _normal(values: Sequence[float], border: float, parts: int) -> int:
    away = abs(statistics.fmean(values) - border) / statistics.stdev(values)
    n = 2
    while 2 * parts * statistics.NormalDist().cdf(-away * n**0.5) > 0.05:
        n += 1
    return n


def seeds_needed(answer: Any) -> None:
    """22.3: seeds_needed(values, border, parts) -> the smallest n at which the part would be decided."""
    cases: tuple[tuple[list[float], float, int], ...] = (
        ([0.37, 0.6, 0.35, 0.5, 0.53], 0.5, 30),
        ([1.0, 1.4, 1.1, 1.6], 0.9, 1),
        ([0.2, 0.9, 0.4], 1.0, 12),
        ([5.0, 5.1, 5.05], 1.0, 1),
        ([1.0, 1.4, 1.2], 0.9, 1),
        ([2.0, 2.5, 3.0], 1.0, 30),
    )
    for values, border, parts in cases:
        right, given = _enough(values, border, parts), list(values)
        found = call(answer, values=given, border=border, parts=parts)
        if not _is(given, values):
            raise Wrong("your function changes the list that comes in. Only read it.")
        n = number(found, "the number of seeds")
        if type(found) is bool or n != int(n):
            raise Wrong(f"a number of seeds is a whole number. Yours is {found}.")
        if n == right:
            continue
        count = len(values)
        mistakes = [
            (_enough(values, border, parts, lost=0), "n seeds leave n - 1 degrees of freedom, for the mean takes one."),
            (_enough(values, border, 1), "the correction is missing: multiply the probability by `parts`."),
            (
                _enough(values, border, parts, sides=0.5),
                "the mean may be off on either side: double the probability.",
            ),
            (
                _normal(values, border, parts),
                "that is the normal distribution. Few seeds need Student's, `stats.t`.",
            ),
            (
                _enough(values, border, parts, ((count - 1) / count) ** 0.5),
                "divide by n - 1 in the standard deviation.",
            ),
            (right - count, "these are the seeds that are still missing. Count all of them."),
            (right - 1, "one too few: with that number the probability is still above 0.05."),
            (right + 1, "one too many: with one seed fewer it is decided already."),
        ]
        if right > 2 or n < 2:
            name_mistake(n, mistakes, lambda a, b: a == b)
        if n < 2:
            raise Wrong("one seed has no standard deviation: at least 2.")
        raise Wrong(f"for {values}, the border {border:g} and {parts} parts, n is {right}. Yours is {n:g}.")


CHECKS = {"22.1": holm, "22.2": decide, "22.3": seeds_needed}
