"""The best guess of a network that sees only patches (Kamb and Ganguli 2024): no training, and yet new pictures.

A convolutional network predicts a pixel from the patch of x_t around it, in the same way at every place. The best such
prediction is again a softmax-weighted mean of training data, now pixel by pixel. Each pixel may follow another training
picture, so the whole can be a picture that was not in the data.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from .. import check
from ..schedule import Schedule, Time
from .base import Oracle
from .items import logits, softmax_mean

Span = tuple[int, int]  # rows or columns, from the first to before the second


class Patches(Oracle):
    """E[pixel of x0 | the patch of x_t around it], for data that is one of N given pictures.

    With P_i the patches of the training pictures and c_i the pixels in their middles, the guess is

        sum_i softmax_i(-||patch of x_t - alpha P_i||^2 / (2 sigma^2)) c_i

    Local: the P_i of a pixel are those at its own place, one a picture (the paper's LS machine).
    Equivariant: they are those at all places, for a network that does not know where it is (its ELS machine).

    Beyond the border a convolution sees zeros, without noise, so near the border a network can tell how far away it is.
    There, a pixel is compared with patches that the border cuts in the same way (the paper's boundary-broken ELS). What
    is cut off is zero in both patches and drops out. The paper fits a size to each noise level; here there is one size.

    `score` follows from the guess by Tweedie's formula, but it is not the gradient of a log-density: the pixels are
    predicted one by one, and need not fit one distribution. So there is neither `log_density` nor an exact `sample`;
    use md.sample.
    """

    def __init__(
        self, x0: Float[Tensor, "N channel height width"], schedule: Schedule, size: int, equivariant: bool = True
    ):
        if not isinstance(x0, Tensor) or not x0.is_floating_point() or x0.ndim != 4 or x0.numel() == 0:
            raise TypeError("x0 must be floating point pictures (N, channel, height, width), one or more")
        if isinstance(size, bool) or not isinstance(size, int) or size < 1 or size % 2 == 0:
            raise ValueError(f"size must be odd and at least 1, so that a pixel is in the middle, got {size!r}")
        self.x0, self.schedule, self.size, self.equivariant = x0, schedule, size, equivariant

    def __call__(
        self, x_t: Float[Tensor, "batch channel height width"], t: Time, cond: Any = None
    ) -> Float[Tensor, "batch channel height width"]:
        """The guess for each pixel; where sigma = 0 that is x_t. cond: must be None."""
        if cond is not None:
            raise ValueError(f"cond must be None: this oracle has no classes, got {check.came(cond)}")
        if x_t.shape[1:] != self.x0.shape[1:]:
            raise ValueError(f"x_t must be (batch, {tuple(self.x0.shape[1:])}), got {tuple(x_t.shape)}")
        x, items = x_t.double(), self.x0.to(x_t.device)
        _, alpha, sigma, _ = self._at(t, x)
        noise = torch.where(sigma == 0, 1.0, sigma)  # without noise nothing is guessed, but nan would spread
        guess = x.clone()
        for rows in self._spans(x.shape[2]):
            for columns in self._spans(x.shape[3]):
                guess[:, :, slice(*rows), slice(*columns)] = self._guess(x, items, alpha, noise, rows, columns)
        return torch.where(sigma == 0, x, guess).to(x_t.dtype)

    def _spans(self, length: int) -> list[Span]:
        """Rows (or columns) that share their candidates: those that no border cuts together, all others one by one."""
        reach, alone = self.size // 2, [(i, i + 1) for i in range(length)]
        if not self.equivariant or length <= 2 * reach:
            return alone
        return [*alone[:reach], (reach, length - reach), *alone[length - reach :]]

    def _guess(
        self, x: Tensor, items: Tensor, alpha: Tensor, sigma: Tensor, rows: Span, columns: Span
    ) -> Float[Tensor, "batch channel rows columns"]:
        shape = (len(x), rows[1] - rows[0], columns[1] - columns[0], x.shape[1])
        places, means = shape[1] * shape[2], []
        patches, _ = self._patches(x, rows, columns)
        alpha, sigma = (a.flatten().expand(len(x)).repeat_interleave(places)[:, None] for a in (alpha, sigma))
        # 256 against 1,024 at a time, or one picture's: this bounds the memory, and fits into a processor's cache
        for patch, a, s in zip(patches.split(256), alpha.split(256), sigma.split(256), strict=True):
            chunks = (self._patches(some.double(), rows, columns) for some in items.split(max(1024 // places, 1)))
            mean, _ = softmax_mean((logits(patch, candidate, a, s), middle) for candidate, middle in chunks)
            means.append(mean)
        return torch.cat(means).view(shape).permute(0, 3, 1, 2)

    def _patches(self, images: Tensor, rows: Span, columns: Span) -> tuple[Tensor, Tensor]:
        """The patches around these rows and columns, (n, D), without what the border cuts off, and their middles."""
        cut, reach = images, self.size // 2
        for dim, (first, last) in ((2, rows), (3, columns)):
            start, stop = max(first - reach, 0), min(last + reach, images.shape[dim])
            cut = cut.narrow(dim, start, stop - start).unfold(dim, stop - start - (last - first) + 1, 1)
        middles = images[:, :, slice(*rows), slice(*columns)].permute(0, 2, 3, 1).flatten(0, 2)
        return cut.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(0, 2), middles


def patches(
    x0: Float[Tensor, "N channel height width"], schedule: Schedule, size: int, equivariant: bool = True
) -> Patches:
    """The best guess of a convolutional network that sees size x size pixels, trained on the pictures x0.

    size: odd. equivariant: compare with patches from all places, or only with those from a pixel's own place.
    """
    return Patches(x0, schedule, size, equivariant)
