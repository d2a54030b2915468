"""Answers that students give to the exercises of lesson 10."""

import itertools

import numpy as np
import torch

import minidiffusion as md

# ---- 10.1: copies that moved ----

MOVES = list(itertools.product(range(-2, 3), repeat=2))


def near(drawn, training):
    return torch.cdist(drawn, training).topk(2, largest=False).values


def share_by_topk(drawn, training):
    d = near(drawn, training)
    return (d[:, 0] < d[:, 1] / 3).double().mean()


def share_by_loop(drawn, training):
    count = 0
    for x in drawn:
        first, second = sorted((x - training).norm(dim=1).tolist())[:2]
        count += first / second < 1 / 3
    return count / len(drawn)


def share_by_numpy(drawn, training):
    d = np.linalg.norm(drawn.numpy()[:, None] - training.numpy()[None], axis=2)
    d.sort(axis=1)
    return float((3 * d[:, 0] < d[:, 1]).mean())


def by_move(drawn, training, moves=MOVES):
    return torch.stack([torch.cdist(drawn.flatten(1), training.roll(m, (2, 3)).flatten(1)) for m in moves])


def of(distances, part=1 / 3):
    first, second = distances.topk(2, largest=False).values.unbind(1)
    return (first < part * second).double().mean()


def moved_share(drawn, training):
    return of(by_move(drawn, training).amin(0))


def moved_by_moving_the_drawn(drawn, training):
    return of(by_move(training, drawn).amin(0).T)


def moved_by_loop(drawn, training):
    count = 0
    for x in drawn:
        d = sorted(min((x - y.roll(m, (1, 2))).norm().item() for m in MOVES) for y in training)
        count += d[0] < d[1] / 3
    return count / len(drawn)


def moved_in_place(drawn, training):
    drawn -= training.mean(0)
    return moved_share(drawn, training)


def with_moves(wanted):
    return lambda drawn, training: of(by_move(drawn, training, [m for m in MOVES if wanted(*m)]).amin(0))


def moved_too_far(drawn, training):
    return of(by_move(drawn, training, list(itertools.product(range(-3, 4), repeat=2))).amin(0))


def one_long_list(drawn, training):
    return of(torch.cat(list(by_move(drawn, training)), dim=1))


def only_d1_moves(drawn, training):
    still = torch.cdist(drawn.flatten(1), training.flatten(1)).topk(2, largest=False).values
    return (by_move(drawn, training).amin((0, 2)) < still[:, 1] / 3).double().mean()


def both_by_one_move(drawn, training):
    every = by_move(drawn, training)
    return of(every[every.amin(2).argmin(0), torch.arange(len(drawn))])


def without_exact_copies(drawn, training):
    least = by_move(drawn, training).amin(0)
    return of(least.masked_fill(least < 1e-5, float("inf")))


def mean_of_ratios(drawn, training):
    d = by_move(drawn, training).amin(0).topk(2, largest=False).values
    return (d[:, 0] / d[:, 1]).mean()


SHARE_RIGHT = [moved_share, moved_by_moving_the_drawn, moved_by_loop]
SHARE_WRONG = [
    (lambda drawn, training: None, "returns None"),
    (moved_in_place, "changes its input drawn in place"),
    (0.5, "hand in the function itself"),
    (lambda drawn, training: share_by_topk(drawn.flatten(1), training.flatten(1)), "leave the training pictures"),
    (one_long_list, "take the smallest over the moves first"),
    (with_moves(lambda i, j: j == 0), "up and down only"),
    (with_moves(lambda i, j: i == 0), "left and right only"),
    (with_moves(lambda i, j: 0 in (i, j)), "in both directions at the same time"),
    (with_moves(lambda i, j: i == j), "by the same number only"),
    (with_moves(lambda i, j: min(i, j) >= 0), "down and right only"),
    (with_moves(lambda i, j: max(i, j) < 2), "ends at 1"),
    (with_moves(lambda i, j: max(abs(i), abs(j)) < 2), "by one pixel only"),
    (moved_too_far, "by three pixels as well"),
    (lambda drawn, training: of(by_move(drawn, training).mean(0)), "the mean over the moves"),
    (only_d1_moves, "d2 may move as well"),
    (both_by_one_move, "a move of its own"),
    (without_exact_copies, "are copies, but your share is"),
    (lambda drawn, training: 1 - moved_share(drawn, training), "the share of new samples"),
    (lambda drawn, training: len(drawn) * moved_share(drawn, training), "the number of copies"),
    (lambda drawn, training: of(by_move(drawn, training).amin(0) ** 2), "squared distances"),
    (lambda drawn, training: of(by_move(drawn, training).amin(0), 1 / 2), "a half"),
    (lambda drawn, training: of(by_move(drawn, training).amin(0), 2 / 3), "two thirds"),
    (mean_of_ratios, "the mean of d1 / d2"),
    (lambda drawn, training: moved_share(training, drawn), "not the other way round"),
    (lambda drawn, training: by_move(drawn, training).amin((0, 2)), "must be one number"),
    (lambda drawn, training: 1 + moved_share(drawn, training), "a share lies in"),
    (lambda drawn, training: (drawn @ training.mT)[99], "stops"),
]

# ---- 10.2: guess from a patch ----


def guess(x_t, t, patches, schedule):
    far = torch.cdist(x_t, schedule.alpha(t) * patches)
    return torch.softmax(-(far**2) / (2 * schedule.sigma(t) ** 2), 1) @ patches[:, 4]


def guess_by_hand(x_t, t, patches, schedule):
    found = []
    for x in x_t:
        squared = (x - schedule.alpha(t) * patches).square().sum(1)
        weight = (-(squared - squared.min()) / (2 * schedule.sigma(t) ** 2)).exp()
        found.append((weight * patches[:, 4]).sum() / weight.sum())
    return torch.stack(found)


def guess_from(logits, pixel=4):
    """A guess whose weights are the softmax of logits(x_t, patches, alpha, sigma)."""

    def guess(x_t, t, patches, schedule):
        return logits(x_t, patches, schedule.alpha(t), schedule.sigma(t)).softmax(1) @ patches[:, pixel]

    return guess


def best(x, y, a, s):
    return -(torch.cdist(x, a * y) ** 2) / (2 * s**2)


def guess_in_place(x_t, t, patches, schedule):
    patches *= schedule.alpha(t)
    return torch.softmax(-(torch.cdist(x_t, patches) ** 2) / (2 * schedule.sigma(t) ** 2), 1) @ patches[:, 4]


def guess_unnormed(x_t, t, patches, schedule):
    return best(x_t, patches, schedule.alpha(t), schedule.sigma(t)).exp() @ patches[:, 4]


def guess_by_exp(change):
    def guess(x_t, t, patches, schedule):
        weight = change(best(x_t, patches, schedule.alpha(t), schedule.sigma(t))).exp()
        return (weight / weight.sum(1, keepdim=True)) @ patches[:, 4]

    return guess


def guess_over_the_batch(x_t, t, patches, schedule):
    return best(x_t, patches, schedule.alpha(t), schedule.sigma(t)).softmax(0) @ patches[:, 4]


def whole(x_t, t, patches, schedule):
    return md.oracle.dataset(patches, schedule)(x_t, t)


def guess_bending_the_schedule(x_t, t, patches, schedule):
    object.__setattr__(schedule, "alpha", lambda t: 0.1)
    return guess(x_t, t, patches, schedule)


GUESS_RIGHT = [
    guess,
    guess_by_hand,
    lambda x_t, t, patches, schedule: whole(x_t, t, patches, schedule)[:, 4],
    guess_from(lambda x, y, a, s: (a / s**2) * x @ y.T - 0.5 * (a / s) ** 2 * y.square().sum(1)),
]
GUESS_WRONG = [
    (lambda x_t, t, patches, schedule: None, "returns None"),
    (guess_in_place, "changes its input patches in place"),
    (whole, "you return whole patches"),
    (lambda x_t, t, patches, schedule: whole(x_t, t, patches, schedule).mean(1), "average over the pixels"),
    (guess_from(best, 0), "the first pixel"),
    (guess_from(best, 5), "counts from 0"),
    (guess_from(lambda x, y, a, s: -((x[:, 4:5] - a * y[:, 4]) ** 2) / (2 * s**2)), "only the middle pixels"),
    (guess_from(lambda x, y, a, s: -best(x, y, a, s)), "the minus sign is missing"),
    (guess_from(lambda x, y, a, s: best(x, y, 1.0, s)), "compare x_t with alpha(t) y"),
    (guess_from(lambda x, y, a, s: -torch.cdist(x, a * y) / (2 * s**2)), "square the distance"),
    (guess_from(lambda x, y, a, s: s * best(x, y, a, s)), "square sigma"),
    (guess_from(lambda x, y, a, s: 2 * best(x, y, a, s)), "the 2 is missing"),
    (guess_from(lambda x, y, a, s: s**2 * best(x, y, a, s)), "sigma is missing"),
    (guess_from(lambda x, y, a, s: torch.zeros(len(x), len(y), dtype=x.dtype)), "the same weight"),
    (lambda x_t, t, patches, schedule: schedule.alpha(t) * guess(x_t, t, patches, schedule), "a clean pixel"),
    (guess_bending_the_schedule, "is off by"),
    (guess_unnormed, "sum to 1"),
    (guess_over_the_batch, "over the batch"),
    (guess_by_exp(lambda logits: logits), "Use torch.softmax"),
    (guess_by_exp(lambda logits: logits - logits.max()), "Use torch.softmax"),
    (
        lambda x_t, t, patches, schedule: patches[torch.cdist(x_t, schedule.alpha(t) * patches).argmin(1), 4],
        "that is the nearest patch",
    ),
    (lambda x_t, t, patches, schedule: x_t[:, 4], "is off by"),
    (lambda x_t, t, patches, schedule: guess(x_t.float(), t, patches.float(), schedule), "keep the type"),
]

# ---- 10.3: the trap in the copy test ----


def by_unique(drawn, training):
    return share_by_topk(drawn, training.unique(dim=0))


def by_distance(drawn, training):
    d = torch.cdist(drawn, training)
    first = d.amin(1)
    same = torch.cdist(training, training, compute_mode="donot_use_mm_for_euclid_dist") < 1e-9
    second = d.masked_fill(same[d.argmin(1)], float("inf")).amin(1)
    return (first < second / 3).double().mean()


def by_set(drawn, training):
    return share_by_loop(drawn, torch.tensor(sorted(set(map(tuple, training.tolist()))), dtype=training.dtype))


def by_unique_in_place(drawn, training):
    training -= 1
    return share_by_topk(drawn - 1, training.unique(dim=0))


def at_rank(rank):
    def share(drawn, training):
        d = torch.cdist(drawn, training).sort(dim=1).values
        return (d[:, 0] < d[:, rank] / 3).double().mean()

    return share


def without_distances_of_0(drawn, training):
    d = torch.cdist(drawn, training.unique(dim=0))
    return of(d.masked_fill(d < 1e-5, float("inf")))


def without_the_repeated(drawn, training):
    kept, counts = training.unique(dim=0, return_counts=True)
    return share_by_topk(drawn, kept[counts == 1])


def at_threshold(part):
    def share(drawn, training):
        d = near(drawn, training.unique(dim=0))
        return (d[:, 0] < part * d[:, 1]).double().mean()

    return share


TRAP_RIGHT = [by_unique, by_distance, by_set]
TRAP_WRONG = [
    (lambda drawn, training: None, "returns None"),
    (by_unique_in_place, "changes its input training in place"),
    (share_by_topk, "you overlook the copies"),
    (lambda drawn, training: 1 - by_unique(drawn, training), "the share of new samples"),
    (lambda drawn, training: len(drawn) * by_unique(drawn, training), "the number of copies"),
    (without_the_repeated, "Keep one of each"),
    (without_distances_of_0, "are copies, but your share is"),
    (at_threshold(0.5), "your threshold is a half"),
    (at_threshold(1.0), "your threshold is 1"),
    (lambda drawn, training: by_unique(training.unique(dim=0), drawn), "not the other way round"),
    (at_rank(-1), "the farthest picture"),
    (at_rank(2), "the third nearest"),
    (at_rank(3), "a fixed rank is not enough"),
    (lambda drawn, training: near(drawn, training.unique(dim=0))[:, 0], "must be one number"),
    (lambda drawn, training: near(drawn, training)[:, 1].mean(), "a share lies in"),
]

BANK = {
    "10.1": (SHARE_RIGHT, SHARE_WRONG),
    "10.2": (GUESS_RIGHT, GUESS_WRONG),
    "10.3": (TRAP_RIGHT, TRAP_WRONG),
}
