"""Answers that students give to the exercises of lesson 22."""

import math
import statistics

import numpy as np

# ---- 17.1: the interval ----


def interval(values, quantile, ddof=1, root=True, times=1.0):
    mean = sum(values) / len(values)
    s = float(np.std(values, ddof=ddof))
    half = times * quantile * s / (len(values) ** 0.5 if root else 1)
    return mean - half, mean + half


def interval_by_library(values, quantile):
    half = quantile * statistics.stdev(values) / math.sqrt(len(values))
    return statistics.mean(values) - half, statistics.mean(values) + half


def interval_as_list(values, quantile):
    values = np.array(values)
    error = values.std(ddof=1) / np.sqrt(len(values))
    return [values.mean() - quantile * error, values.mean() + quantile * error]


def around_the_median(values, quantile):
    half = quantile * statistics.stdev(values) / math.sqrt(len(values))
    middle = sorted(values)[len(values) // 2]
    return middle - half, middle + half


INTERVAL_RIGHT = [interval, interval_by_library, interval_as_list]
INTERVAL_WRONG = [
    (lambda v, q: interval(v, q, ddof=0), "n - 1"),
    (lambda v, q: interval(v, q, root=False), "divide by sqrt(n)"),
    (lambda v, q: interval(v, q / len(v), root=False), "not by n"),
    (lambda v, q: interval(v, 1.0), "the quantile is missing"),
    (lambda v, q: interval(v, 1.96), "1.96"),
    (lambda v, q: interval(v, q, times=0.5), "half as wide"),
    (lambda v, q: interval(v, q, times=statistics.stdev(v)), "you used the variance"),
    (lambda v, q: interval(v, q)[::-1], "low is larger than high"),
    (lambda v, q: interval(v, q)[1], "a pair"),
    (lambda v, q: (min(v), max(v)), "the range of the values"),
    (lambda v, q: (v[0], v[1]), "centred on the mean"),
    (around_the_median, "centred on the median"),
    (lambda v, q: interval(v, q, times=3.0), "half width"),
    (lambda v, q: None, "returns None"),
]

# ---- 17.2: the rule ----


def decide(low, high, least, most):
    if least <= low and high <= most:
        return "holds"
    return "fails" if high < least or low > most else "undecided"


def decide_by_borders(low, high, least, most):
    if any(low < border < high for border in (least, most)):
        return "undecided"
    return "holds" if low >= least and high <= most else "fails"


def decide_by_overlap(low, high, least, most):
    overlap = min(high, most) - max(low, least)
    if overlap < 0:
        return "fails"
    return "holds" if overlap == high - low else "undecided"


class Agreeable(str):
    """A string that is equal to everything, and is found in every list."""

    def __eq__(self, other):
        return True

    __hash__ = str.__hash__


class Shrug:
    """The same, and no string."""

    def __eq__(self, other):
        return True


DECIDE_RIGHT = [decide, decide_by_borders, decide_by_overlap]
DECIDE_WRONG = [
    (lambda low, high, least, most: least <= low and high <= most, "return one of the strings"),
    (lambda low, high, least, most: decide(low, high, least, most).title(), "return one of the strings"),
    (lambda *inputs: Agreeable("holds"), "Yours is a Agreeable"),
    (lambda *inputs: Shrug(), "Yours is a Shrug"),
    (lambda low, high, least, most: "holds" if least <= (low + high) / 2 <= most else "fails", "other seeds might"),
    (lambda low, high, least, most: "holds" if least <= low and high <= most else "fails", "other seeds might"),
    (lambda low, high, least, most: "holds" if least < low and high < most else "undecided", "borders included"),
    (lambda low, high, least, most: "undecided" if decide(low, high, least, most) == "fails" else "holds", "above"),
    (lambda low, high, least, most: "fails" if high < least else decide(low, high, least, math.inf), "above the range"),
    (lambda low, high, least, most: "fails" if low > most else decide(low, high, -math.inf, most), "below the range"),
    (lambda low, high, least, most: "holds" if low <= least and most <= high else "undecided", "is inside"),
    (
        lambda low, high, least, most: {"holds": "fails", "fails": "holds"}.get(decide(low, high, least, most)),
        "is inside",
    ),
]

# ---- 17.3: the verdict ----


def verdict(decided):
    if not decided or "undecided" in decided:
        return "open"
    holds = decided.count("holds")
    return "supported" if holds == len(decided) else "partly" if holds else "wrong"


def verdict_by_sets(decided):
    words = set(decided)
    if words == {"holds"}:
        return "supported"
    if words == {"fails"}:
        return "wrong"
    return "partly" if words == {"holds", "fails"} else "open"


def verdict_by_all(decided):
    if len(decided) == 0 or any(part == "undecided" for part in decided):
        return "open"
    if all(part == "holds" for part in decided):
        return "supported"
    return "partly" if any(part == "holds" for part in decided) else "wrong"


def verdict_that_eats(decided):
    while "undecided" in decided:
        decided.remove("undecided")
        return "open"
    return verdict(decided)


def verdict_that_puts_equals_in(decided):
    found = verdict(decided)
    decided[:] = [Agreeable()] * len(decided)
    return found


def verdict_without_none(decided):
    if "undecided" in decided:
        return "open"
    return "supported" if all(part == "holds" for part in decided) else verdict(decided)


VERDICT_RIGHT = [verdict, verdict_by_sets, verdict_by_all]
VERDICT_WRONG = [
    (lambda decided: decided.count("holds"), "return one of the strings"),
    (verdict_without_none, "has not been measured"),
    (lambda decided: "wrong" if not decided else verdict(decided), "has not been measured"),
    (verdict_that_eats, "changes the list"),
    (verdict_that_puts_equals_in, "changes the list"),
    (lambda decided: Agreeable("open"), "Yours is a Agreeable"),
    (lambda decided: Shrug(), "Yours is a Shrug"),
    (lambda decided: "open" if not decided else "supported" if "holds" in decided else "wrong", 'is "open"'),
    (lambda decided: "wrong" if "fails" in decided else verdict(decided), 'the verdict is "'),
    (lambda decided: verdict([part for part in decided if part != "undecided"]), 'is "open"'),
    (lambda decided: verdict(decided[:1]), 'the verdict is "'),
    (lambda decided: "partly" if "undecided" in decided else verdict(decided), 'is "open"'),
    (lambda decided: "partly" if verdict(decided) == "wrong" else verdict(decided), 'is "wrong"'),
    (lambda decided: verdict(decided).upper(), "return one of the strings"),
]

BANK = {
    "22.1": (INTERVAL_RIGHT, INTERVAL_WRONG),
    "22.2": (DECIDE_RIGHT, DECIDE_WRONG),
    "22.3": (VERDICT_RIGHT, VERDICT_WRONG),
}
