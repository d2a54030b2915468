"""Lesson 22: the confidence interval, the rule, and the verdict."""

from __future__ import annotations

import itertools
import math
from typing import Any

from .judge import Wrong, call, name_mistake, number


def interval(answer: Any) -> None:
    """17.1: interval(values, quantile) -> (low, high) = mean -+ quantile s / sqrt(n), where s divides by n - 1."""
    for values, quantile in (([1.0, 2.0, 4.0, 4.5, 6.0], 2.776), ([-3.0, 5.0], 12.706), ([0.5, 0.7, 0.4, 0.1], 3.182)):
        n, mean = len(values), sum(values) / len(values)
        s = math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1))
        right = quantile * s / math.sqrt(n)
        pair = call(answer, values=list(values), quantile=quantile)
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise Wrong(f"return a pair (low, high). Yours is a {type(pair).__name__}.")
        low, high = (number(end, "each end of the interval") for end in pair)
        half, middle = (high - low) / 2, (high + low) / 2
        if half < 0:
            raise Wrong("low is larger than high: subtract to get low, and add to get high.")
        if abs(middle - mean) > 1e-6:
            if abs(middle - sorted(values)[n // 2]) < 1e-6:
                raise Wrong("your interval is centred on the median: centre it on the mean.")
            raise Wrong(f"for {values} the interval must be centred on the mean {mean:g}, not on {middle:.4g}.")
        if abs(half - right) > 1e-6 * max(1.0, right):
            mistakes = [
                (right * math.sqrt((n - 1) / n), "in this standard deviation, divide by n - 1, not by n."),
                (quantile * s, "that is the spread of single values. The mean varies less: divide by sqrt(n)."),
                (quantile * s / n, "divide by the square root of n, not by n."),
                (s / math.sqrt(n), "the quantile is missing."),
                (quantile * s**2 / math.sqrt(n), "you used the variance: take its root."),
                (1.96 * s / math.sqrt(n), "1.96 is right for very many values. Use the quantile that comes in."),
                (right / 2, "your interval is half as wide as it should be: quantile s / sqrt(n) on either side."),
                ((max(values) - min(values)) / 2, "that is the range of the values, not their scatter."),
            ]
            name_mistake(half, mistakes, lambda a, b: abs(a - b) < 1e-6 * max(1.0, b))
            raise Wrong(f"for {values} the half width must be {right:.4g}, but yours is {half:.4g}.")


def _word(answer: Any, words: tuple[str, ...]) -> str:
    """The answer, if it is one of these words: a plain string, since another object could claim to be equal to all."""
    if type(answer) is not str or answer not in words:
        yours = repr(answer) if type(answer) is str else f"a {type(answer).__name__}"
        raise Wrong(f"return one of the strings {', '.join(map(repr, words))}. Yours is {yours}.")
    return answer


def decide(answer: Any) -> None:
    """17.2: decide(low, high, least, most) -> "holds", "fails" or "undecided"."""
    for low, high, least, most, right in (
        (0.2, 0.3, 0.0, 1.0, "holds"),
        (0.0, 1.0, 0.0, 1.0, "holds"),
        (5.0, 6.0, 1.0, math.inf, "holds"),
        (1.5, 2.0, 0.0, 1.0, "fails"),
        (-2.0, -1.5, 0.0, 1.0, "fails"),
        (0.9, 1.1, 0.0, 1.0, "undecided"),
        (-0.1, 0.1, 0.0, 1.0, "undecided"),
        (-5.0, 5.0, 0.0, 1.0, "undecided"),
    ):
        word = _word(call(answer, low=low, high=high, least=least, most=most), ("holds", "fails", "undecided"))
        if word != right:
            where = f"for the interval from {low:g} to {high:g} and the range from {least:g} to {most:g}"
            if right == "undecided" and low < least and high > most:
                raise Wrong(f'{where}, the interval is wider than the range, so we cannot tell: "undecided".')
            if right == "undecided":
                raise Wrong(
                    f"{where}, a border of the range is inside the interval, so other seeds might change the "
                    'answer: "undecided".'
                )
            if right == "holds":
                raise Wrong(f'{where}, all of the interval is inside the range, borders included: "holds".')
            side = "below" if high < least else "above"
            raise Wrong(f'{where}, all of the interval is {side} the range: "fails".')


def verdict(answer: Any) -> None:
    """17.3: verdict(decided) -> "supported", "partly", "wrong" or "open"."""
    cases = [list(parts) for n in range(4) for parts in itertools.product(("holds", "fails", "undecided"), repeat=n)]
    for decided in cases:
        words = set(decided)
        right, why = "partly", "some parts hold and some fail"
        if not words or "undecided" in words:
            right, why = "open", "a part is undecided"
        elif len(words) == 1:
            right, why = ("supported", "all parts hold") if "holds" in words else ("wrong", "no part holds")
        given = list(decided)
        word = _word(call(answer, decided=given), ("supported", "partly", "wrong", "open"))
        if [(type(part), part) for part in given] != [(str, part) for part in decided]:
            raise Wrong("your function changes the list that comes in. Only read it.")
        if word != right:
            if not decided:
                raise Wrong('a claim without parts has not been measured, so it is "open".')
            raise Wrong(f'for {decided} the verdict is "{right}", because {why}. Yours is "{word}".')


CHECKS = {"22.1": interval, "22.2": decide, "22.3": verdict}
