"""Lesson 17: the interval, the rule, the verdict."""

from __future__ import annotations

import itertools
import math
from typing import Any

from .judge import NotAttempted, Wrong, call, number


def interval(answer: Any) -> None:
    """17.1: interval(values, quantile) -> (low, high) = mean -+ quantile s / sqrt(n), s with n - 1."""
    for values, quantile in (([1.0, 2.0, 4.0, 4.5, 6.0], 2.776), ([-3.0, 5.0], 12.706), ([0.5, 0.7, 0.4, 0.1], 3.182)):
        got = call(answer, values=list(values), quantile=quantile)
        if not isinstance(got, (tuple, list)) or len(got) != 2:
            raise Wrong(f"it must return a pair (low, high), and yours is {got!r}.")
        low, high = (number(end, "each end") for end in got)
        n, mean = len(values), sum(values) / len(values)
        s = math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1))
        right = quantile * s / math.sqrt(n)
        half, middle = (high - low) / 2, (high + low) / 2
        if half < 0:
            raise Wrong("low is above high: subtract first, add second.")
        if abs(middle - mean) > 1e-6:
            if abs(middle - sorted(values)[n // 2]) < 1e-6:
                raise Wrong("the interval is that of the mean, and yours is around the median.")
            raise Wrong(f"the interval of {values} must be around the mean {mean:g}, and yours is around {middle:.4g}.")
        if abs(half - right) > 1e-6 * max(1.0, right):
            for wrong, sentence in (
                (right * math.sqrt((n - 1) / n), "the standard deviation divides by n - 1 here, not by n."),
                (quantile * s, "that is the scatter of single numbers; the mean's is smaller: divide by sqrt(n)."),
                (quantile * s / n, "divide by the root of n, not by n."),
                (s / math.sqrt(n), "the quantile is missing."),
                (quantile * s**2 / math.sqrt(n), "that is the variance: take its root."),
                (1.96 * s / math.sqrt(n), "1.96 is for very many numbers. Use the quantile that comes in."),
                (right / 2, "it is half as wide as it should be: quantile s / sqrt(n) on either side."),
                (
                    (max(values) - min(values)) / 2,
                    "that is the range of the values. It grows with n; the interval shrinks.",
                ),
            ):
                if abs(half - wrong) < 1e-6 * max(1.0, wrong):
                    raise Wrong(sentence)
            raise Wrong(f"for {values} the half width must be {right:.4g}, and yours is {half:.4g}.")


def decide(answer: Any) -> None:
    """17.2: decide(low, high, least, most) -> "holds", "fails" or "undecided"."""
    words = ("holds", "fails", "undecided")
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
        got = call(answer, low=low, high=high, least=least, most=most)
        if got is ...:
            raise NotAttempted
        if got not in words:
            raise Wrong(f'the answer must be one of "holds", "fails", "undecided", and yours is {got!r}.')
        if got != right:
            where = f"the interval from {low:g} to {high:g} and the range from {least:g} to {most:g}"
            if right == "undecided" and low < least and high > most:
                raise Wrong(f'{where}: the interval is wider than the range, so nothing is known: "undecided".')
            if right == "undecided":
                raise Wrong(f'{where}: a border is within the interval, so another draw might flip it: "undecided".')
            if right == "holds":
                raise Wrong(f'{where}: all of the interval is inside, the borders included: "holds".')
            side = "below" if high < least else "above"
            raise Wrong(f'{where}: all of the interval is {side} the range: "fails".')


def verdict(answer: Any) -> None:
    """17.3: verdict(decided) -> "supported", "partly", "wrong" or "open"."""
    cases = [list(parts) for n in range(4) for parts in itertools.product(("holds", "fails", "undecided"), repeat=n)]
    for decided in cases:
        kinds = set(decided)
        right = (
            "open"
            if not decided or "undecided" in kinds
            else "supported"
            if kinds == {"holds"}
            else "wrong"
            if kinds == {"fails"}
            else "partly"
        )
        kept = list(decided)
        got = call(answer, decided=decided)
        if decided != kept:
            raise Wrong("it changes the list that comes in. Count, and leave it as it is.")
        if got not in ("supported", "partly", "wrong", "open"):
            raise Wrong(f'the answer must be "supported", "partly", "wrong" or "open", and yours is {got!r}.')
        if got != right:
            if not decided:
                raise Wrong('a claim without parts has not been measured: "open".')
            raise Wrong(f'for {decided} the verdict is "{right}", and yours is "{got}".')


CHECKS = {"17.1": interval, "17.2": decide, "17.3": verdict}
