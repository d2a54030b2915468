"""Every picture, as a function from arrays to a matplotlib Figure. No training, no sampling, no mathematics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.figure import Figure
from torch import Tensor

from .data import to_uint8


def tile(
    images: Float[Tensor, "count channel height width"], columns: int = 8, gap: int = 2
) -> UInt8[np.ndarray, "rows columns 3"]:
    """One uint8 picture of many: row by row, `columns` wide, white between, grey made RGB. images in [-1, 1]."""
    pictures = to_uint8(images.detach().cpu().float()).permute(0, 2, 3, 1).numpy()
    count, height, width, _ = pictures.shape
    rows = -(-count // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, dtype=np.uint8)
    for i, picture in enumerate(pictures):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    return sheet


def grid(images: Float[Tensor, "count channel height width"], columns: int = 8, title: str = "") -> Figure:
    """Pictures side by side, `columns` in a row, an eighth of the page wide each."""
    return strips([(title, images[i : i + columns]) for i in range(0, len(images), columns)])


def strips(rows: Sequence[tuple[str, Tensor]], titles: Sequence[str] = ()) -> Figure:
    """Rows of pictures, each with its name above its left end; `titles` stand over the columns of the first row.

    rows: pairs (name, images (count, channel, height, width) in [-1, 1]).
    """
    columns = max(len(images) for _, images in rows)
    size = 0.9
    figure = Figure(figsize=(columns * size, len(rows) * (size + 0.12 * any(name for name, _ in rows))))
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for line, (name, images) in zip(axes, rows, strict=True):
        for axis, i in zip(line, range(columns), strict=True):
            axis.set_axis_off()
            if i < len(images):
                axis.imshow(tile(images[i : i + 1]), interpolation="nearest")
        line[0].set_title(name, fontsize=8, loc="left")
    for axis, title in zip(axes[0], titles, strict=False):
        axis.set_title(title, fontsize=8)
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.01, top=0.9 if len(rows) == 1 else 0.95, wspace=0.05)
    return figure
