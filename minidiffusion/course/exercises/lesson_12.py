"""Lesson 12: the nearest matrix of a rank, what predicting noise demands of a network, the cost of a bottleneck."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .judge import Wrong, call, close, name_mistake, number, same_kind


def nearest_of_rank(answer: Any) -> None:
    """10.1: nearest_of_rank(matrix, rank) -> the matrix of this rank with the smallest squared difference."""
    generator = torch.Generator().manual_seed(0)
    for rows, columns, rank in ((6, 6, 2), (5, 9, 3), (9, 5, 4), (7, 7, 7)):
        matrix = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
        u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
        right = u[:, :rank] * s[:rank] @ vh[:rank]
        yours = same_kind(call(answer, matrix=matrix, rank=rank), matrix, "the matrix")
        if close(yours, right):
            continue
        mistakes = [
            (u[:, -rank:] * s[-rank:] @ vh[-rank:], "you kept the smallest singular values: keep the largest."),
            (matrix - right, "that is the part to drop: return the part to keep."),
            (u[:, : rank + 1] * s[: rank + 1] @ vh[: rank + 1], "your rank is too high by one."),
            (u[:, : rank - 1] * s[: rank - 1] @ vh[: rank - 1], "your rank is too low by one."),
            (u[:, :rank] @ vh[:rank], "the singular values are missing between U and V."),
            (u[:, :rank] * s[:rank] ** 2 @ vh[:rank], "you squared the singular values: use them as they are."),
            (matrix, "you return the matrix unchanged, with its full rank: keep only `rank` singular values."),
        ]
        name_mistake(yours, mistakes)
        found = int(torch.linalg.matrix_rank(yours))
        if found != rank:
            raise Wrong(f"your matrix has rank {found}, but we asked for rank {rank}.")
        least, far = (matrix - right).square().sum(), (matrix - yours).square().sum()
        raise Wrong(
            f"the rank is right, but a nearer matrix exists: your squared difference is {far:.3g}, and {least:.3g} is "
            "possible. Start from the singular value decomposition."
        )
    same_kind(call(answer, matrix=torch.eye(3), rank=1), torch.eye(3), "the matrix")


def _cases() -> list[tuple[Tensor, float, float]]:
    s = torch.tensor([0.0, 4.0, 0.2, 0.0, 1.3, 0.0], dtype=torch.float64)  # unsorted, so that an answer has to sort
    return [(s, 0.5, 0.75**0.5), (s, 0.9, 0.3), (2 * s + 0.1, 0.3, 0.7)]


def noise_variances(answer: Any) -> None:
    """10.2: noise_variances(s, alpha, sigma) -> the variance of E[eps | x_t] on each axis.

    It is sigma^2 / (alpha^2 s + sigma^2).
    """
    for s, alpha, sigma in _cases():
        total = alpha**2 * s + sigma**2
        right = sigma**2 / total
        yours = same_kind(call(answer, s=s, alpha=alpha, sigma=sigma), s, "the result")
        if close(yours, right):
            continue
        mistakes = [
            (torch.ones_like(s), "that is the variance of the noise itself, but we ask for that of its best guess."),
            (alpha**2 * s / total, "that is the part of the noise that stays unknown. Subtract it from 1."),
            (alpha**2 * s**2 / total, "that is the variance of the best guess of x0. Ask about the noise instead."),
            (sigma / total, "that is the factor in front of x_t. In the variance, the covariance sigma is squared."),
            ((sigma / total) ** 2, "you squared the factor in front of x_t. Multiply by the variance of x_t as well."),
            (sigma**2 / total**0.5, "divide by the variance of x_t, not by its root."),
            (sigma / total**0.5, "that is the standard deviation: square it."),
            (1 / total, "the numerator is missing: it is the square of sigma, the covariance of eps and x_t."),
            (total, "that is the variance of x_t. It belongs in the denominator."),
            (sigma**2 / (s + sigma**2), "x0 is scaled by alpha, and so its variance s by alpha^2."),
            (sigma**2 / (alpha * s + sigma**2), "in the variance of x_t, alpha must be squared."),
            (sigma**2 / (alpha**2 * s**2 + sigma**2), "s is a variance already, so do not square it."),
            (sigma / (alpha * s + sigma), "in a variance, alpha and sigma must be squared."),
            (alpha**2 / (sigma**2 * s + alpha**2), "alpha and sigma are swapped."),
        ]
        name_mistake(yours, mistakes)
        at = f"at alpha = {alpha:.2g} and sigma = {sigma:.2g}"
        flat = s == 0
        if bool(flat.any()) and not close(yours[flat], torch.ones_like(s[flat])):
            raise Wrong(
                f"{at}, on the axes where the data has no spread (s = 0), yours is {yours[flat][0]:.3g}. There, x_t "
                "is just sigma eps, so the best guess is eps itself."
            )
        raise Wrong(f"{at}, your variances are off by up to {(yours - right).abs().max():.2g}.")


def bottleneck_cost(answer: Any) -> None:
    """10.3: bottleneck_cost(s, alpha, sigma, rank) -> the extra error in x0 if the network predicts eps.

    It is the sum of the variances of the dropped axes, divided by the SNR.
    """
    for s, alpha, sigma in _cases():
        for rank in (2, 5, 0, len(s)):
            total = alpha**2 * s + sigma**2
            variances, snr = sigma**2 / total, alpha**2 / sigma**2
            order = variances.sort(descending=True).values
            right = order[rank:].sum().item() / snr
            yours = number(call(answer, s=s, alpha=alpha, sigma=sigma, rank=rank), "the cost")
            if abs(yours - right) < 1e-6 * (1 + right):
                continue
            in_x0 = (alpha**2 * s**2 / total).sort(descending=True).values[rank:].sum()
            mistakes = [
                (order[rank:].sum(), "that is the error in eps. Divide by the SNR to get the error in x0."),
                (order[rank:].sum() * snr, "you multiplied by the SNR: divide by it to get the error in x0."),
                (order[rank:].sum() / snr**0.5, "these errors are squared, so divide by the SNR and not by its root."),
                (order[:rank].sum() / snr, "you summed over the axes that pass: sum over those that are dropped."),
                (order.flip(0)[rank:].sum() / snr, "the bottleneck keeps the largest variances and drops the others."),
                (order.flip(0)[:rank].sum() / snr, "you summed the `rank` smallest: sum all but the `rank` largest."),
                (variances[rank:].sum() / snr, "the axes are not sorted: sort their variances first, largest first."),
                (order[rank:].mean() / snr, "that is a mean: sum over the dropped axes instead."),
                (order[rank + 1 :].sum() / snr, "you let one axis too many pass: only `rank` of them do."),
                (order[max(rank - 1, 0) :].sum() / snr, "you let one axis too few pass: `rank` of them do."),
                (in_x0, "that is the cost if the network predicts x0. Here it predicts the noise."),
                (s.sort(descending=True).values[rank:].sum(), "use the variances of the output, not of the data."),
            ]
            name_mistake(yours, mistakes, lambda a, b: abs(a - b.item()) < 1e-6 * (1 + abs(b.item())))
            raise Wrong(f"with {rank} of {len(s)} axes and an SNR of {snr:.3g}, your cost is {yours:.4g}.")


CHECKS = {"12.1": nearest_of_rank, "12.2": noise_variances, "12.3": bottleneck_cost}
