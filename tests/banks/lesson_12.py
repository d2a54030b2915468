"""Answers that students give to the exercises of lesson 12."""

import numpy as np
import torch

# ---- 10.1: the nearest matrix of a rank ----


def nearest(matrix, rank):
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    return u[:, :rank] @ torch.diag(s[:rank]) @ vh[:rank]


def nearest_by_zeroing(matrix, rank):
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    return u @ torch.diag(torch.where(torch.arange(len(s)) < rank, s, 0.0)) @ vh


def nearest_by_projection(matrix, rank):
    keep = torch.linalg.svd(matrix).Vh[:rank]
    return matrix @ keep.T @ keep


def nearest_by_sum(matrix, rank):
    u, s, vh = torch.linalg.svd(matrix)
    return sum(s[k] * torch.outer(u[:, k], vh[k]) for k in range(rank))


def nearest_numpy(matrix, rank):
    u, s, vh = np.linalg.svd(matrix.numpy(), full_matrices=False)
    return torch.from_numpy((u[:, :rank] * s[:rank]) @ vh[:rank])


def kept(choose, power=1):
    def nearest(matrix, rank):
        u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
        some = choose(rank)
        return u[:, some] * s[some] ** power @ vh[some]

    return nearest


def nearest_columns(matrix, rank):
    """Keep the longest columns: the rank is right, but a nearer matrix exists."""
    keep = matrix.square().sum(0).argsort(descending=True)[:rank]
    mask = torch.zeros(matrix.shape[1], dtype=matrix.dtype)
    mask[keep] = 1
    return matrix * mask


def nearest_in_place(matrix, rank):
    matrix.copy_(nearest(matrix, rank))
    return matrix


NEAREST_RIGHT = [nearest, nearest_by_zeroing, nearest_by_projection, nearest_by_sum, nearest_numpy]
NEAREST_WRONG = [
    (lambda matrix, rank: None, "returns None"),
    (nearest_in_place, "changes its input matrix in place"),
    (kept(lambda r: slice(-r, None)), "kept the smallest"),
    (kept(lambda r: slice(0, r + 1)), "too high by one"),
    (kept(lambda r: slice(0, r - 1)), "too low by one"),
    (kept(lambda r: slice(0, r), 0), "singular values are missing"),
    (kept(lambda r: slice(0, r), 2), "squared"),
    (lambda matrix, rank: matrix, "the matrix unchanged"),
    (lambda matrix, rank: matrix - nearest(matrix, rank), "the part to drop"),
    (lambda matrix, rank: matrix[:, :rank], "must have the shape"),
    (nearest_columns, "a nearer matrix exists"),
    (lambda matrix, rank: nearest(matrix, rank).float(), "let the matrix keep the type"),
    (lambda matrix, rank: nearest(matrix, rank).double(), "let the matrix keep the type"),
    (lambda matrix, rank: matrix * 0, "has rank 0"),
    (lambda matrix, rank: np.linalg.svd(matrix.numpy()), "must be a tensor"),
    (lambda matrix, rank: torch.linalg.svd(matrix)[0:2], "must be a tensor"),
]

# ---- 10.2: the variance of the best guess of the noise ----


def variances(s, alpha, sigma):
    return sigma**2 / (alpha**2 * s + sigma**2)


def variances_from_snr(s, alpha, sigma):
    return 1 / (1 + alpha**2 / sigma**2 * s)


def variances_from_the_rest(s, alpha, sigma):
    return 1 - alpha**2 * s / (alpha**2 * s + sigma**2)


def variances_from_the_factor(s, alpha, sigma):
    of_x_t = alpha**2 * s + sigma**2
    return (sigma / of_x_t) ** 2 * of_x_t


def variances_in_place(s, alpha, sigma):
    s *= alpha**2
    return sigma**2 / (s + sigma**2)


VARIANCES_RIGHT = [variances, variances_from_snr, variances_from_the_rest, variances_from_the_factor]
VARIANCES_WRONG = [
    (lambda s, alpha, sigma: None, "returns None"),
    (variances_in_place, "changes its input s in place"),
    (lambda s, alpha, sigma: torch.ones_like(s), "the noise itself"),
    (lambda s, alpha, sigma: alpha**2 * s / (alpha**2 * s + sigma**2), "stays unknown"),
    (lambda s, alpha, sigma: alpha**2 * s**2 / (alpha**2 * s + sigma**2), "best guess of x0"),
    (lambda s, alpha, sigma: sigma / (alpha**2 * s + sigma**2), "covariance sigma is squared"),
    (lambda s, alpha, sigma: (sigma / (alpha**2 * s + sigma**2)) ** 2, "squared the factor"),
    (lambda s, alpha, sigma: sigma**2 / (alpha**2 * s + sigma**2) ** 0.5, "not by its root"),
    (lambda s, alpha, sigma: variances(s, alpha, sigma) ** 0.5, "standard deviation"),
    (lambda s, alpha, sigma: 1 / (alpha**2 * s + sigma**2), "the numerator is missing"),
    (lambda s, alpha, sigma: alpha**2 * s + sigma**2, "the variance of x_t"),
    (lambda s, alpha, sigma: sigma**2 / (s + sigma**2), "x0 is scaled by alpha"),
    (lambda s, alpha, sigma: sigma**2 / (alpha * s + sigma**2), "x_t, alpha must be squared"),
    (lambda s, alpha, sigma: sigma**2 / (alpha**2 * s**2 + sigma**2), "a variance already"),
    (lambda s, alpha, sigma: sigma / (alpha * s + sigma), "alpha and sigma must be squared"),
    (lambda s, alpha, sigma: variances(s, sigma, alpha), "are swapped"),
    (lambda s, alpha, sigma: variances(s, alpha, sigma).sum(), "must have the shape"),
    (lambda s, alpha, sigma: sigma**2 * torch.ones_like(s), "the best guess is eps itself"),
    (lambda s, alpha, sigma: variances(s, alpha, sigma).float(), "let the result keep the type"),
]

# ---- 10.3: what a bottleneck costs ----


def cost(s, alpha, sigma, rank):
    said = variances(s, alpha, sigma)
    return said.sort(descending=True).values[rank:].sum() * sigma**2 / alpha**2


def cost_from_below(s, alpha, sigma, rank):
    dropped = variances(s, alpha, sigma).sort().values[: len(s) - rank]
    return dropped.sum().item() / (alpha**2 / sigma**2)


def cost_topk(s, alpha, sigma, rank):
    said = variances(s, alpha, sigma)
    return (said.sum() - said.topk(rank).values.sum()) * (sigma / alpha) ** 2


def cost_python(s, alpha, sigma, rank):
    said = sorted((float(v) for v in variances(s, alpha, sigma)), reverse=True)
    return sum(said[rank:]) / alpha**2 * sigma**2


def dropped(s, alpha, sigma, rank):
    return variances(s, alpha, sigma).sort(descending=True).values[rank:]


def x0_cost(s, alpha, sigma, rank):
    return (alpha**2 * s**2 / (alpha**2 * s + sigma**2)).sort(descending=True).values[rank:].sum()


COST_RIGHT = [cost, cost_from_below, cost_topk, cost_python]
COST_WRONG = [
    (lambda s, alpha, sigma, rank: None, "returns None"),
    (lambda s, alpha, sigma, rank: dropped(s, alpha, sigma, rank).sum(), "the error in eps"),
    (
        lambda s, alpha, sigma, rank: dropped(s, alpha, sigma, rank).sum() * (alpha / sigma) ** 2,
        "multiplied by the SNR",
    ),
    (lambda s, alpha, sigma, rank: dropped(s, alpha, sigma, rank).sum() * sigma / alpha, "not by its root"),
    (
        lambda s, alpha, sigma, rank: (
            variances(s, alpha, sigma).sort(descending=True).values[:rank].sum() * (sigma / alpha) ** 2
        ),
        "the axes that pass",
    ),
    (
        lambda s, alpha, sigma, rank: variances(s, alpha, sigma).sort().values[rank:].sum() * (sigma / alpha) ** 2,
        "keeps the largest",
    ),
    (
        lambda s, alpha, sigma, rank: variances(s, alpha, sigma).sort().values[:rank].sum() * (sigma / alpha) ** 2,
        "smallest",
    ),
    (lambda s, alpha, sigma, rank: variances(s, alpha, sigma)[rank:].sum() * (sigma / alpha) ** 2, "not sorted"),
    (lambda s, alpha, sigma, rank: dropped(s, alpha, sigma, rank).mean() * (sigma / alpha) ** 2, "that is a mean"),
    (lambda s, alpha, sigma, rank: cost(s, alpha, sigma, rank + 1), "too many pass"),
    (lambda s, alpha, sigma, rank: cost(s, alpha, sigma, max(rank - 1, 0)), "too few pass"),
    (x0_cost, "if the network predicts x0"),
    (lambda s, alpha, sigma, rank: s.sort(descending=True).values[rank:].sum(), "not of the data"),
    (lambda s, alpha, sigma, rank: dropped(s, alpha, sigma, rank), "must be one number"),
    (lambda s, alpha, sigma, rank: 42.0, "your cost is 42"),
]

BANK = {
    "12.1": (NEAREST_RIGHT, NEAREST_WRONG),
    "12.2": (VARIANCES_RIGHT, VARIANCES_WRONG),
    "12.3": (COST_RIGHT, COST_WRONG),
}
