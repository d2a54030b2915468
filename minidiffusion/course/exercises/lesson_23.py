"""Lesson 23: confounds, the test by flipping signs, and what counts as a replication."""

from __future__ import annotations

import copy
import itertools
import math
from typing import Any

from .judge import Wrong, call, name_mistake, number

Settings = dict[str, Any]
ARMS: tuple[tuple[Settings, Settings, str, str], ...] = (  # two arms, what is tested, and what this case is about
    ({"head": "eps", "width": 128, "seed": 0}, {"head": "x0", "width": 128, "seed": 0}, "head", "nothing else differs"),
    (
        {"head": "eps", "width": 128, "schedule": "cosine", "rate": 0.001},
        {"head": "x0", "width": 256, "schedule": "flow", "rate": 0.001},
        "head",
        "two others differ, in the order of the alphabet",
    ),
    ({"head": "eps", "clip": True}, {"head": "x0"}, "head", "only the first arm has a setting"),
    ({"head": "eps"}, {"head": "x0", "ema": 0.99}, "head", "only the second arm has a setting"),
    ({"head": "eps", "clip": None}, {"head": "x0"}, "head", "one arm has a setting with the value None"),
    ({"head": "eps", "width": 64}, {"head": "eps", "width": 32}, "head", "the tested setting is the same in both arms"),
    ({"width": 64, "data": [1, 2]}, {"width": 32, "data": [1, 2]}, "width", "equal lists do not differ"),
)  # fmt: skip


def confounds(answer: Any) -> None:
    """23.1: confounds(arm, other, tested) -> the sorted names of all other settings that differ."""
    for arm, other, tested, what in ARMS:
        right = sorted(
            name
            for name in (arm.keys() | other.keys()) - {tested}
            if name not in arm or name not in other or arm[name] != other[name]
        )
        given = copy.deepcopy(arm), copy.deepcopy(other)
        found = call(answer, arm=given[0], other=given[1], tested=tested)
        if type(found) is not list or any(type(name) is not str for name in found):
            raise Wrong(f"return a list of names. Yours is a {type(found).__name__}.")
        if found == right:
            continue
        if tested in found:
            raise Wrong(f'"{tested}" is the setting under test. It should differ, and it is no confound.')
        if sorted(set(found)) == right and len(found) > len(right):
            raise Wrong("a name comes more than once. A setting is one confound, whichever arm it stands in.")
        if sorted(found) == right:
            raise Wrong(f"the names are right, but not sorted: {found}.")
        if set(found) & {name for name in arm if name in other and arm[name] == other[name]}:
            raise Wrong(f"you name settings that are the same in both arms: {found} for {arm} and {other}.")
        raise Wrong(f"where {what}, the answer is {right}. Yours is {found}, for {arm} and {other}.")


DIFFERENCES = (
    [1.0, 2.0, 0.5, 1.5, 0.7],
    [0.3, -0.2, 0.5, 0.1],
    [-1.0, -2.0, -3.0],
    [0.5],
    [1.0, -1.0, 2.0, -2.0],
    [0.1, 0.2, 0.3, -0.6, 0.4, 0.7],
)


def _flips(differences: list[float]) -> list[float]:
    return [
        sum(s * d for s, d in zip(signs, differences, strict=True))
        for signs in itertools.product([-1, 1], repeat=len(differences))
    ]


def sign_flips(answer: Any) -> None:
    """23.2: sign_flips(differences) -> the share of the sign choices whose sum is at least as large in size."""
    for differences in DIFFERENCES:
        sums, observed, n = _flips(differences), sum(differences), len(differences)
        right = sum(abs(s) >= abs(observed) - 1e-9 for s in sums) / len(sums)
        given = list(differences)
        found = [number(call(answer, differences=given), "the share") for _ in range(2)]
        if not all(type(x) is float and x == y for x, y in zip(given, differences, strict=True)):
            raise Wrong("your function changes the list that comes in. Only read it.")
        if found[0] != found[1]:
            raise Wrong("two calls give two answers. Go through all choices of signs instead of random ones.")
        if abs(found[0] - right) < 1e-9:
            continue
        mistakes = [
            (right * len(sums), "that is how many there are. Return their share of all choices."),
            (1 - right, "that is the share of the choices with a smaller sum."),
            (
                sum(s >= observed - 1e-9 for s in sums) / len(sums),
                "large negative sums count too: compare sizes, without signs.",
            ),
            (
                sum(abs(s) > abs(observed) + 1e-9 for s in sums) / len(sums),
                "sums that are just as large count as well, such as the observed one.",
            ),
            ((right * len(sums) - 1) / (len(sums) - 1), "the observed signs are one of the choices. Count them."),
            (right * len(sums) / n**2, "there are 2 to the n choices, not n squared."),
            (min(1.0, 2 * right), "both directions are in the count already. Do not double it."),
        ]  # fmt: skip
        name_mistake(found[0], mistakes, lambda a, b: abs(a - b) < 1e-9)
        raise Wrong(f"for {differences} the share is {right:.4g}. Yours is {found[0]:.4g}.")


def _team(first: int, *values: float) -> dict[int, float]:
    return {first + i: value for i, value in enumerate(values)}


IN, OUT, WIDE, MANY = (1.2, 1.3, 1.25), (0.7, 0.8, 0.75), (0.8, 1.4, 1.1), (0.9, 1.4, 1.3, 1.5, 1.4, 1.2)
TEAMS: tuple[tuple[dict[int, float], dict[int, float], float, float, str, str], ...] = (
    (_team(0, *IN), _team(10, *IN), 1.0, math.inf, "replicated", "both intervals are inside the range"),
    (_team(0, *OUT), _team(10, 0.3, 0.4, 0.35), 1.0, math.inf, "replicated", "both intervals are outside: both fail"),
    (_team(0, *IN), _team(10, *OUT), 1.0, math.inf, "contradicted", "one is inside and one outside"),
    (_team(0, *OUT), _team(10, *IN), 1.0, math.inf, "contradicted", "one is outside and one inside"),
    (_team(0, *IN), _team(10, *WIDE), 1.0, math.inf, "undecided", "the second interval contains a border"),
    (_team(0, *WIDE), _team(10, *OUT), 1.0, math.inf, "undecided", "the first interval contains a border"),
    (_team(0, *WIDE), _team(10, *WIDE), 1.0, math.inf, "undecided", "both intervals contain a border"),
    (_team(0, 5.0, 5.1, 5.2), _team(10, 9.0, 9.1, 9.2), 1.0, math.inf, "replicated", "apart, but both are inside"),
    (_team(0, 3.0, 3.1), _team(10, -1.0, -1.1), 0.0, 2.0, "replicated", "one is above and one below: both fail"),
    (_team(0, *WIDE), _team(2, *IN), 1.0, math.inf, "not new", "seed 2 is in both runs"),
    (_team(0, *IN), _team(0, *OUT), 1.0, math.inf, "not new", "all seeds are in both runs"),
    (_team(0, *IN), _team(10, *IN), -1.0, 2.0, "replicated", "both intervals are inside the range"),
    (_team(0, *IN), _team(10, *IN, 0.6), 1.0, math.inf, "undecided", "a border is in the second interval"),
    (_team(0, 1.1, 1.35, 1.3), _team(10, *IN), 1.0, math.inf, "undecided", "a border is in the first 95% interval"),
    (_team(0, *MANY), _team(10, *IN), 1.0, math.inf, "replicated", "both 95% intervals are inside, if not all values"),
)  # fmt: skip


def replication(answer: Any) -> None:
    """23.3: replication(first, second, least, most) -> "not new", "replicated", "contradicted" or "undecided"."""
    words = ("not new", "replicated", "contradicted", "undecided")
    for first, second, least, most, right, why in TEAMS:
        word = call(answer, first=dict(first), second=dict(second), least=least, most=most)
        if type(word) is not str or word not in words:
            yours = repr(word) if type(word) is str else f"a {type(word).__name__}"
            raise Wrong(f"return one of the strings {', '.join(map(repr, words))}. Yours is {yours}.")
        if word != right:
            range_ = f"from {least:g} to {most:g}"
            raise Wrong(f'for {first} and {second}, {range_}: {why}, so it is "{right}". Yours is "{word}".')


CHECKS = {"23.1": confounds, "23.2": sign_flips, "23.3": replication}
