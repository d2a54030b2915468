"""Answers that students give to the exercises of lesson 23."""

import itertools
import random
import statistics

import torch

from minidiffusion.course import ledger

# ---- 23.1: the confounds ----


def confounds(arm, other, tested):
    names = (arm.keys() | other.keys()) - {tested}
    return sorted(n for n in names if n not in arm or n not in other or arm[n] != other[n])


def confounds_with_a_marker(arm, other, tested):
    nothing, found = object(), []
    for name in sorted({*arm, *other}):
        if name != tested and arm.get(name, nothing) != other.get(name, nothing):
            found.append(name)
    return found


def confounds_in_parts(arm, other, tested):
    only = set(arm) ^ set(other)
    changed = {name for name in set(arm) & set(other) if arm[name] != other[name]}
    return sorted((only | changed).difference([tested]))


def twice(arm, other, tested):
    return sorted([n for n in arm if n != tested and n not in other] + confounds(arm, other, tested))


def popping(arm, other, tested):
    return sorted(n for n in arm if n != tested and arm[n] != other.get(n))


CONFOUNDS_RIGHT = [confounds, confounds_with_a_marker, confounds_in_parts]
CONFOUNDS_WRONG = [
    (lambda a, b, t: set(confounds(a, b, t)), "return a list of names"),
    (lambda a, b, t: len(confounds(a, b, t)), "return a list of names"),
    (lambda a, b, t: confounds(a, b, ""), "under test"),
    (lambda a, b, t: confounds(a, b, t)[::-1], "not sorted"),
    (lambda a, b, t: sorted(n for n in a if n != t and n in b and a[n] != b[n]), "only the first arm"),
    (popping, "only the second arm"),
    (lambda a, b, t: sorted(n for n in {*a, *b} if n != t and a.get(n) != b.get(n)), "the value None"),
    (lambda a, b, t: sorted(n for n in {*a, *b} if n != t), "the same in both arms"),
    (lambda a, b, t: sorted(n for n in {*a, *b} - {t} if a.get(n, 0) is not b.get(n, 0)), "same in both arms"),
    (lambda a, b, t: sorted(n for n in a if n != t and a[n] != b[n]), "KeyError"),
    (lambda a, b, t: [n for n in confounds(a, b, t) if type(a.get(n, b.get(n))) is not str], "two others differ"),
    (twice, "more than once"),
    (lambda a, b, t: [], "two others differ"),
    (lambda a, b, t: confounds(a, b, t) if a.get(t) != b.get(t) else [], "tested setting is the same"),
]

# ---- 23.2: flipping signs ----


def sign_flips(differences):
    observed, count = abs(sum(differences)), 0
    for signs in itertools.product([-1, 1], repeat=len(differences)):
        count += abs(sum(s * d for s, d in zip(signs, differences, strict=True))) >= observed - 1e-9
    return count / 2 ** len(differences)


def sign_flips_with_torch(differences):
    x = torch.tensor(differences, dtype=torch.float64)
    n = len(x)
    signs = 1 - 2 * (torch.arange(2**n)[:, None] >> torch.arange(n) & 1)
    return ((signs * x).sum(1).abs() >= x.sum().abs() - 1e-9).double().mean()


def sign_flips_by_recursion(differences):
    def sums(rest):
        if not rest:
            return [0.0]
        return [sign * rest[0] + s for sign in (1, -1) for s in sums(rest[1:])]

    found = sums(differences)
    return len([s for s in found if abs(s) > abs(sum(differences)) - 1e-9]) / len(found)


def all_sums(differences):
    return [
        sum(s * d for s, d in zip(signs, differences, strict=True))
        for signs in itertools.product([-1, 1], repeat=len(differences))
    ]


def share(differences, keep):
    sums, observed = all_sums(differences), sum(differences)
    return sum(keep(s, observed) for s in sums) / len(sums)


def at_random(differences):
    observed = abs(sum(differences))
    drawn = [sum(random.choice((-1, 1)) * d for d in differences) for _ in range(997)]
    return (1 + sum(abs(s) >= observed - 1e-9 for s in drawn)) / 998 + random.random() * 1e-6


FLIPS_RIGHT = [sign_flips, sign_flips_with_torch, sign_flips_by_recursion]
FLIPS_WRONG = [
    (lambda d: share(d, lambda s, o: s >= o - 1e-9), "compare sizes"),
    (lambda d: share(d, lambda s, o: abs(s) > abs(o) + 1e-9), "just as large"),
    (lambda d: sign_flips(d) * 2 ** len(d), "how many there are"),
    (lambda d: 1 - sign_flips(d), "a smaller sum"),
    (lambda d: (sign_flips(d) * 2 ** len(d) - 1) / (2 ** len(d) - 1), "Count them"),
    (lambda d: sign_flips(d) / 2, "compare sizes"),
    (lambda d: min(1.0, 2 * sign_flips(d)), "Do not double"),
    (lambda d: sign_flips(d) * 2 ** len(d) / len(d) ** 2, "not n squared"),
    (at_random, "two calls give two answers"),
    (lambda d: share([x - statistics.mean(d) for x in d], lambda s, o: abs(s) >= abs(o)), "the share is"),
    (lambda d: d.sort() or sign_flips(d), "changes the list"),
    (lambda d: all_sums(d), "must be one number"),
    (lambda d: share([abs(x) for x in d], lambda s, o: abs(s) >= o - 1e-9), "the share is"),
]

# ---- 23.3: the replication ----


def decided(run, least, most):
    low, high = ledger.interval(list(run.values()))
    if least <= low and high <= most:
        return True
    return False if high < least or low > most else None


def replication(first, second, least, most):
    if first.keys() & second.keys():
        return "not new"
    words = decided(first, least, most), decided(second, least, most)
    if None in words:
        return "undecided"
    return "replicated" if words[0] == words[1] else "contradicted"


def replication_by_table(first, second, least, most):
    table = {(True, True): "replicated", (False, False): "replicated"}
    table |= {(True, False): "contradicted", (False, True): "contradicted"}
    if not set(first).isdisjoint(second):
        return "not new"
    return table.get((decided(first, least, most), decided(second, least, most)), "undecided")


def replication_by_borders(first, second, least, most):
    if any(seed in second for seed in first):
        return "not new"
    sides = []
    for run in (first, second):
        low, high = ledger.interval([run[seed] for seed in run])
        if any(low < border < high for border in (least, most)):
            return "undecided"
        sides.append(least <= low and high <= most)
    return "replicated" if len(set(sides)) == 1 else "contradicted"


def by_overlap(first, second, least, most):
    if first.keys() & second.keys():
        return "not new"
    (a, b), (c, d) = (ledger.interval(list(run.values())) for run in (first, second))
    return "replicated" if a <= d and c <= b else "contradicted"


def by_interval(ends):
    """Decides by ends(values) instead of the 95% interval."""

    def judged(first, second, least, most):
        if first.keys() & second.keys():
            return "not new"
        runs = [ends(list(run.values())) for run in (first, second)]
        if any(low < border < high for low, high in runs for border in (least, most)):
            return "undecided"
        inside = [least <= low and high <= most for low, high in runs]
        return "replicated" if inside[0] == inside[1] else "contradicted"

    return judged


def around(width):
    """The mean plus and minus width(standard deviation, n)."""

    def ends(values):
        mean, half = statistics.fmean(values), width(statistics.stdev(values), len(values))
        return mean - half, mean + half

    return ends


def by_means(first, second, least, most):
    if first.keys() & second.keys():
        return "not new"
    inside = [least <= statistics.fmean(run.values()) <= most for run in (first, second)]
    return "replicated" if inside[0] == inside[1] else "contradicted"


def only_success(first, second, least, most):
    found = replication(first, second, least, most)
    return "contradicted" if found == "replicated" and decided(first, least, most) is False else found


def renamed(run):
    """The same values under seeds that nobody has used."""
    return dict(enumerate(run.values(), 99))


class Agreeable(str):
    """A string that is equal to everything, and is found in every list."""

    def __eq__(self, other):
        return True

    __hash__ = str.__hash__


REPLICATION_RIGHT = [replication, replication_by_table, replication_by_borders]
REPLICATION_WRONG = [
    (lambda *i: replication(*i) == "replicated", "return one of the strings"),
    (lambda *i: replication(*i).title(), "return one of the strings"),
    (lambda *i: Agreeable("replicated"), "Yours is a Agreeable"),
    (by_overlap, "both fail"),
    (by_interval(lambda values: (min(values), max(values))), "95% interval"),
    (by_interval(around(lambda s, n: 1.96 * s / n**0.5)), "in the first 95% interval"),
    (by_interval(around(lambda s, n: 2 * s)), "if not all values"),
    (lambda a, *rest: "undecided" if decided(a, *rest[1:]) is None else replication(a, *rest), "seed 2 is in both"),
    (by_means, "contains a border"),
    (only_success, "both fail"),
    (lambda a, b, low, high: replication(a, renamed(b), low, high), "in both runs"),
    (lambda a, b, low, high: replication(a, b if a.keys() == b.keys() else renamed(b), low, high), "seed 2 is in both"),
    (lambda *i: {"undecided": "contradicted"}.get(replication(*i), replication(*i)), "contains a border"),
    (lambda a, b, low, high: replication(a, b, low, float("inf")), "both fail"),
    (lambda a, b, low, high: (decided(a, low, high), decided(b, low, high)), "return one of the strings"),
    (lambda a, b, low, high: replication(a, b, -9.0, high), "one is inside and one outside"),
    (lambda *i: {"contradicted": "undecided"}.get(replication(*i), replication(*i)), '"contradicted"'),
]

BANK = {
    "23.1": (CONFOUNDS_RIGHT, CONFOUNDS_WRONG),
    "23.2": (FLIPS_RIGHT, FLIPS_WRONG),
    "23.3": (REPLICATION_RIGHT, REPLICATION_WRONG),
}
