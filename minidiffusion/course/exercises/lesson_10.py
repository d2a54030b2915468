"""Lesson 10: the nearest matrix of a rank, what the noise asks of a network, what a bottleneck costs it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .judge import Wrong, call, close, name_mistake, number, same_kind


def nearest_of_rank(answer: Any) -> None:
    """10.1: nearest_of_rank(matrix, rank) -> the matrix of this rank with the least squared difference."""
    generator = torch.Generator().manual_seed(0)
    for rows, columns, rank in ((6, 6, 2), (5, 9, 3), (9, 5, 4), (7, 7, 7)):
        matrix = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
        yours = same_kind(call(answer, matrix=matrix, rank=rank), matrix, "the matrix")
        u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
        right = u[:, :rank] * s[:rank] @ vh[:rank]
        if close(yours, right):
            continue
        name_mistake(
            yours,
            [
                (u[:, -rank:] * s[-rank:] @ vh[-rank:], "you kept the smallest singular values: keep the largest."),
                (matrix - right, "that is what is dropped. Return what is kept."),
                (u[:, : rank + 1] * s[: rank + 1] @ vh[: rank + 1], "that is one rank too many."),
                (u[:, : rank - 1] * s[: rank - 1] @ vh[: rank - 1], "that is one rank too few."),
                (u[:, :rank] @ vh[:rank], "the singular values are missing between U and V."),
                (u[:, :rank] * s[:rank] ** 2 @ vh[:rank], "the singular values are squared: take them as they are."),
                (matrix, "that is the matrix as it came, of full rank. Drop axes until `rank` are left."),
            ],
        )
        found = int(torch.linalg.matrix_rank(yours))
        if found != rank:
            raise Wrong(f"yours has rank {found}, and {rank} was asked for.")
        least, far = (matrix - right).square().sum(), (matrix - yours).square().sum()
        raise Wrong(
            f"the rank is right, but it is not the nearest: your squared difference is {far:.3g}, and {least:.3g} "
            "is possible. The axes are those of the singular value decomposition."
        )
    same_kind(call(answer, matrix=torch.eye(3), rank=1), torch.eye(3), "the matrix")


def _cases() -> list[tuple[Tensor, float, float]]:
    s = torch.tensor([0.0, 4.0, 0.2, 0.0, 1.3, 0.0], dtype=torch.float64)  # in no order, so that sorting matters
    return [(s, 0.5, 0.75**0.5), (s, 0.9, 0.3), (2 * s + 0.1, 0.3, 0.7)]


def noise_variances(answer: Any) -> None:
    """10.2: noise_variances(s, alpha, sigma) -> sigma^2 / (alpha^2 s + sigma^2), that of E[eps | x_t], axis by axis."""
    for s, alpha, sigma in _cases():
        yours = same_kind(call(answer, s=s, alpha=alpha, sigma=sigma), s, "the variances")
        total = alpha**2 * s + sigma**2
        if close(yours, sigma**2 / total):
            continue
        name_mistake(
            yours,
            [
                (torch.ones_like(s), "that is the variance of the noise itself. Asked is that of its best guess."),
                (alpha**2 * s / total, "that is the part of the noise that cannot be known: 1 minus it is left."),
                (alpha**2 * s**2 / total, "that is the best guess of x0. The noise has the covariance sigma with x_t."),
                (sigma / total, "sigma over the variance is the factor of x_t. The covariance enters squared here."),
                ((sigma / total) ** 2, "you squared the factor of x_t. Multiply by the variance of x_t as well."),
                (sigma**2 / total**0.5, "divide by the variance of x_t, not by its root."),
                (sigma / total**0.5, "that is the standard deviation: square it."),
                (1 / total, "the covariance of the noise with x_t is sigma, and it enters squared."),
                (total, "that is the variance of x_t, what the covariance is divided by."),
                (sigma**2 / (s + sigma**2), "x0 fades: along an axis x_t has the variance alpha^2 s + sigma^2."),
                (sigma**2 / (alpha * s + sigma**2), "alpha enters squared into the variance of x_t."),
                (sigma**2 / (alpha**2 * s**2 + sigma**2), "s is a variance already: do not square it."),
                (sigma / (alpha * s + sigma), "alpha and sigma enter squared into variances."),
                (alpha**2 / (sigma**2 * s + alpha**2), "alpha and sigma have changed places."),
            ],
        )
        raise Wrong(
            f"at alpha {alpha:.2g}, sigma {sigma:.2g}, where the data has no width (s = 0), yours is {yours[s == 0]}; "
            "there x_t is nothing but sigma eps, so the guess is eps itself."
            if bool((s == 0).any()) and not close(yours[s == 0], torch.ones_like(s[s == 0]))
            else f"at alpha {alpha:.2g}, sigma {sigma:.2g}, your variances are off by "
            f"{(yours - sigma**2 / total).abs().max():.2g}."
        )


def bottleneck_cost(answer: Any) -> None:
    """10.3: bottleneck_cost(s, alpha, sigma, rank) -> what eps-prediction loses in x0: dropped variances over SNR."""
    for s, alpha, sigma in _cases():
        for rank in (2, 5, 0, len(s)):
            yours = number(call(answer, s=s, alpha=alpha, sigma=sigma, rank=rank), "the cost")
            total = alpha**2 * s + sigma**2
            said, snr = sigma**2 / total, alpha**2 / sigma**2
            order = said.sort(descending=True).values
            right = order[rank:].sum().item() / snr
            if abs(yours - right) < 1e-6 * (1 + right):
                continue
            in_x0 = (alpha**2 * s**2 / total).sort(descending=True).values[rank:].sum()
            for wrong, sentence in (
                (order[rank:].sum(), "that is the error in eps. In x0 it is divided by the SNR."),
                (order[rank:].sum() * snr, "you multiplied by the SNR: an error in eps is divided by it."),
                (order[rank:].sum() / snr**0.5, "errors here are squared, so divide by the SNR and not by its root."),
                (order[:rank].sum() / snr, "that is what passes. Count the axes that are dropped."),
                (order.flip(0)[rank:].sum() / snr, "the bottleneck keeps the largest variances and drops the others."),
                (order.flip(0)[:rank].sum() / snr, "those are the `rank` smallest. Dropped are all after the largest."),
                (said[rank:].sum() / snr, "the axes come in no order: sort their variances first, the largest first."),
                (order[rank:].mean() / snr, "that is a mean: the squared error is the sum over the dropped axes."),
                (order[rank + 1 :].sum() / snr, "one axis too many passes: `rank` of them do."),
                (order[max(rank - 1, 0) :].sum() / snr, "one axis too few passes: `rank` of them do."),
                (in_x0, "that is the cost with x0 as the output. Here the network predicts the noise."),
                (s.sort(descending=True).values[rank:].sum(), "what counts is the variance of the output, not s."),
            ):
                if abs(yours - wrong.item()) < 1e-6 * (1 + abs(wrong.item())):
                    raise Wrong(sentence)
            raise Wrong(f"with {rank} of {len(s)} axes at an SNR of {snr:.3g}, your cost is {yours:.4g}.")


CHECKS = {"10.1": nearest_of_rank, "10.2": noise_variances, "10.3": bottleneck_cost}
