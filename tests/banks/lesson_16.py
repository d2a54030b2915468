"""Answers that students give to the exercises of lesson 16."""

import numpy as np
import torch

import minidiffusion as md

# ---- 16.1: the copy test ----


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


def share_in_place(drawn, training):
    drawn -= training.mean(0)
    return share_by_topk(drawn, training - training.mean(0))


SHARE_RIGHT = [
    share_by_topk,
    share_by_loop,
    share_by_numpy,
    lambda drawn, training: md.metrics.copy_ratio(drawn, training).share,
]
SHARE_WRONG = [
    (lambda drawn, training: None, "returns None"),
    (share_in_place, "changes its input drawn in place"),
    (0.5, "hand in the function itself"),
    (lambda drawn, training: 1 - share_by_topk(drawn, training), "that are new"),
    (lambda drawn, training: len(drawn) * share_by_topk(drawn, training), "the number of copies"),
    (lambda drawn, training: (near(drawn, training)[:, 0] < 1 / 3).double().mean(), "compare it with the second"),
    (
        lambda drawn, training: (
            (near(drawn, training)[:, 0] ** 2 < near(drawn, training)[:, 1] ** 2 / 3).double().mean()
        ),
        "squared distances",
    ),
    (
        lambda drawn, training: (near(drawn, training)[:, 0] < 2 * near(drawn, training)[:, 1] / 3).double().mean(),
        "two thirds",
    ),
    (
        lambda drawn, training: (near(drawn, training)[:, 0] / near(drawn, training)[:, 1]).mean(),
        "the mean of d1 / d2",
    ),
    (lambda drawn, training: share_by_topk(training, drawn), "a row for each drawing"),
    (lambda drawn, training: near(drawn, training)[:, 0] < near(drawn, training)[:, 1] / 3, "must be one number"),
    (lambda drawn, training: near(drawn, training)[:, 1].mean(), "a share lies in"),
    (lambda drawn, training: (drawn @ training.mT)[99], "stops"),
]

# ---- 16.2: the perfect guess ----


def guess(x_t, t, pictures, schedule):
    far = torch.cdist(x_t, schedule.alpha(t) * pictures)
    return torch.softmax(-(far**2) / (2 * schedule.sigma(t) ** 2), 1) @ pictures


def guess_by_hand(x_t, t, pictures, schedule):
    rows = []
    for x in x_t:
        squared = (x - schedule.alpha(t) * pictures).square().sum(1)
        weight = (-(squared - squared.min()) / (2 * schedule.sigma(t) ** 2)).exp()
        rows.append((weight[:, None] * pictures).sum(0) / weight.sum())
    return torch.stack(rows)


def guess_from(logits):
    """A guess from logits(x_t, pictures, alpha, sigma)."""

    def guess(x_t, t, pictures, schedule):
        return logits(x_t, pictures, schedule.alpha(t), schedule.sigma(t)).softmax(1) @ pictures

    return guess


def guess_in_place(x_t, t, pictures, schedule):
    pictures *= schedule.alpha(t)
    return torch.softmax(-(torch.cdist(x_t, pictures) ** 2) / (2 * schedule.sigma(t) ** 2), 1) @ pictures


def guess_unnormed(x_t, t, pictures, schedule):
    far = torch.cdist(x_t, schedule.alpha(t) * pictures)
    return torch.exp(-(far**2) / (2 * schedule.sigma(t) ** 2)) @ pictures


def guess_over_the_batch(x_t, t, pictures, schedule):
    far = torch.cdist(x_t, schedule.alpha(t) * pictures)
    return torch.softmax(-(far**2) / (2 * schedule.sigma(t) ** 2), 0) @ pictures


GUESS_RIGHT = [
    guess,
    guess_by_hand,
    lambda x_t, t, pictures, schedule: md.oracle.dataset(pictures, schedule)(x_t, t),
    guess_from(lambda x, y, a, s: (a / s**2) * x @ y.T - 0.5 * (a / s) ** 2 * y.square().sum(1)),
]
GUESS_WRONG = [
    (lambda x_t, t, pictures, schedule: None, "returns None"),
    (guess_in_place, "changes its input pictures in place"),
    (guess_from(lambda x, y, a, s: torch.cdist(x, a * y) ** 2 / (2 * s**2)), "the sign is missing"),
    (guess_from(lambda x, y, a, s: -(torch.cdist(x, y) ** 2) / (2 * s**2)), "compare x_t with alpha(t) y"),
    (guess_from(lambda x, y, a, s: -torch.cdist(x, a * y) / (2 * s**2)), "not squared"),
    (guess_from(lambda x, y, a, s: -(torch.cdist(x, a * y) ** 2) / (2 * s)), "sigma is not squared"),
    (guess_from(lambda x, y, a, s: -(torch.cdist(x, a * y) ** 2) / s**2), "the 2 is missing"),
    (guess_from(lambda x, y, a, s: -(torch.cdist(x, a * y) ** 2) / 2), "sigma is missing"),
    (guess_from(lambda x, y, a, s: -(torch.cdist(x, a * y) ** 2) / (2 * a**2)), "changed places"),
    (guess_from(lambda x, y, a, s: torch.zeros(len(x), len(y), dtype=x.dtype)), "the same weight"),
    (lambda x_t, t, pictures, schedule: schedule.alpha(t) * guess(x_t, t, pictures, schedule), "clean pictures"),
    (guess_unnormed, "sum to 1"),
    (guess_over_the_batch, "over the batch"),
    (lambda x_t, t, pictures, schedule: pictures[torch.cdist(x_t, schedule.alpha(t) * pictures).argmin(1)], "nearest"),
    (lambda x_t, t, pictures, schedule: x_t, "x_t itself"),
    (lambda x_t, t, pictures, schedule: guess(x_t, t, pictures, schedule)[0], "have the shape"),
    (lambda x_t, t, pictures, schedule: guess(x_t.float(), t, pictures.float(), schedule), "keep the type"),
]

BANK = {"16.1": (SHARE_RIGHT, SHARE_WRONG), "16.2": (GUESS_RIGHT, GUESS_WRONG)}
