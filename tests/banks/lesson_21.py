"""Answers that students give to the exercises of lesson 21."""

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


def grids(chances, n):
    return (1 - (1 - chances) ** n).mean()


def grids_by_loop(chances, n):
    total = 0.0
    for chance in chances.tolist():
        bad = 1.0
        for _ in range(n):
            bad *= 1 - chance
        total += 1 - bad
    return total / len(chances)


def grids_by_logarithms(chances, n):
    return -torch.expm1(n * torch.log1p(-chances)).mean().item()


def in_place(chances, n):
    chances -= 1
    return 1 - ((-chances) ** n).mean()


GRIDS_RIGHT = [grids, grids_by_loop, grids_by_logarithms]
GRIDS_WRONG = [
    (lambda chances, n: None, "returns None"),
    (in_place, "changes its input chances in place"),
    (lambda chances, n: 1 - (1 - chances.mean()) ** n, "the friend's answer"),
    (lambda chances, n: (chances**n).mean(), "all pictures are good"),
    (lambda chances, n: ((1 - chances) ** n).mean(), "all pictures are bad"),
    (lambda chances, n: n * chances.mean(), "number of good pictures"),
    (lambda chances, n: chances.mean(), "n must matter"),
    (lambda chances, n: (1 - chances**n).mean(), "at least one bad"),
    (lambda chances, n: (n * chances * (1 - chances) ** (n - 1)).mean(), "exactly one good"),
    (lambda chances, n: (1 - (1 - chances) ** n).sum(), "number of prompts"),
    (lambda chances, n: (n * chances).clamp(max=1).mean(), "do not add up"),
    (lambda chances, n: 1 - (1 - chances) ** n, "must be one number"),
    (lambda chances, n: 0.9, "but yours is 0.9000"),
]

# ---- 21.3: look to the right ----


def look(picture, by):
    width = picture.shape[2]
    moved, known = torch.zeros_like(picture), torch.zeros(picture.shape[1:], dtype=torch.bool)
    moved[:, :, : width - by] = picture[:, :, by:]
    known[:, : width - by] = True
    return moved, known


def look_by_joining(picture, by):
    channels, rows, _ = picture.shape
    left = picture[:, :, by:]
    return torch.cat([left, torch.zeros(channels, rows, by)], 2), torch.cat(
        [torch.ones_like(left[0], dtype=torch.bool), torch.zeros(rows, by, dtype=torch.bool)], 1
    )


def look_by_rolling(picture, by):
    known = torch.arange(picture.shape[2]).repeat(picture.shape[1], 1) < picture.shape[2] - by
    return [picture.roll(-by, 2) * known, known]


def look_in_place(picture, by):
    picture[:, :, :-by] = picture[:, :, by:].clone()
    return picture, look(picture, by)[1]


def other_way(picture, by):
    return look(picture.flip(2), by)[0].flip(2)


LOOK_RIGHT = [look, look_by_joining, look_by_rolling]
LOOK_WRONG = [
    (lambda picture, by: None, "returns None"),
    (look_in_place, "changes its input picture in place"),
    (lambda picture, by: look(picture, by)[0], "return two things"),
    (lambda picture, by: (other_way(picture, by), look(picture, by)[1]), "frees the left side"),
    (lambda picture, by: (picture.roll(-by, 2), look(picture, by)[1]), "must not come back"),
    (lambda picture, by: (picture.clone(), look(picture, by)[1]), "has not moved"),
    (lambda picture, by: (picture * look(picture, by)[1], look(picture, by)[1]), "made room on the right"),
    (lambda picture, by: (look(picture, by)[0] + 1, look(picture, by)[1]), "values are wrong"),
    (lambda picture, by: (look(picture, by)[0], ~look(picture, by)[1]), "the opposite"),
    (lambda picture, by: (look(picture, by)[0], look(picture, by)[1].flip(1)), "the mask frees the left side"),
    (lambda picture, by: (look(picture, by)[0], look(picture, by)[1] | True), "everything is known"),
    (lambda picture, by: (look(picture, by)[0], look(picture, by)[1] & False), "in the first 5 columns only"),
    (lambda picture, by: (look(picture, by)[0], look(picture, by)[1].float()), "keep the type"),
    (lambda picture, by: (picture[:, :, by:], look(picture, by)[1]), "have the shape"),
]

BANK = {"21.1": (CHANCE_RIGHT, CHANCE_WRONG), "21.2": (GRIDS_RIGHT, GRIDS_WRONG), "21.3": (LOOK_RIGHT, LOOK_WRONG)}
