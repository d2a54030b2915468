"""Plots: each function turns arrays into a matplotlib Figure. Nothing is trained, sampled or computed here."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from .data import to_uint8

# Okabe and Ito 2008: eight colours that colour-blind readers can tell apart, with grey instead of the pale yellow.
# Each has its own marker, so that a figure can still be read when it is printed in grey.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#999999")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def tile(
    images: Float[Tensor, "count channel height width"] | UInt8[Tensor, "count channel height width"],
    columns: int = 8,
    gap: int = 2,
) -> UInt8[np.ndarray, "rows columns 3"]:
    """Arrange many images in one uint8 RGB image: row by row, up to `columns` in a row, `gap` white pixels between.

    images: floats in [-1, 1] or uint8, with 1 or 3 channels.
    """
    images = images.detach().cpu()
    pictures = (images if images.dtype == torch.uint8 else to_uint8(images.float())).permute(0, 2, 3, 1).numpy()
    count, height, width, _ = pictures.shape
    rows, columns = math.ceil(count / columns), min(columns, count)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, dtype=np.uint8)
    for i, picture in enumerate(pictures):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    return sheet


def png(sheet: UInt8[np.ndarray, "rows columns 3"], zoom: int = 3) -> bytes:
    """Encode an image as the bytes of a PNG file, for a browser or a widget; each pixel becomes `zoom` x `zoom`."""
    file = io.BytesIO()
    Image.fromarray(sheet.repeat(zoom, axis=0).repeat(zoom, axis=1)).save(file, "PNG")
    return file.getvalue()


def frame(figure: Figure) -> bytes:
    """Render a figure as the bytes of a PNG file, for a widget."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=90)
    return file.getvalue()


def strips(rows: Sequence[tuple[str, Tensor]], titles: Sequence[str] = ()) -> Figure:
    """Show rows of images, each with its name on the left, and `titles` above the columns.

    rows: pairs (name, images); images are (count, channel, height, width) in [-1, 1], and the counts may differ.
    """
    columns = max(len(images) for _, images in rows)
    names = [textwrap.wrap(name, 30, break_on_hyphens=False) or [""] for name, _ in rows]
    left = 0.075 * max(len(line) for name in names for line in name) + 0.12  # in inches, wide enough for all names
    top = 0.25 if titles else 0.05
    width, height = left + 0.75 * columns, top + 0.75 * len(rows)
    figure = Figure(figsize=(width, height))
    margins = {"left": left / width, "right": 1, "bottom": 0, "top": 1 - top / height}
    axes = figure.subplots(len(rows), columns, squeeze=False, gridspec_kw=margins | {"wspace": 0.05, "hspace": 0.05})
    for line, name, (_, images) in zip(axes, names, rows, strict=True):
        line[0].text(-0.1, 0.5, "\n".join(name), transform=line[0].transAxes, ha="right", va="center", fontsize=9)
        for i, axis in enumerate(line):
            axis.set_axis_off()
            if i < len(images):
                axis.imshow(tile(images[i : i + 1]), interpolation="nearest")
    for axis, title in zip(axes[0], titles, strict=False):
        axis.set_title(title, fontsize=9)
    return figure


Lines = Mapping[str, tuple[Sequence[float] | Sequence[str] | Tensor, Sequence[float] | Tensor]]


def curves(
    lines: Lines,
    x_label: str,
    y_label: str,
    levels: Mapping[str, float] | None = None,
    x_scale: str = "linear",
    y_scale: str = "linear",
) -> Figure:
    """Plot lines (x, y) by name, each with its own colour and marker. ValueError for more than eight of them.

    x may be strings. levels: heights of dashed horizontal lines by name.
    """
    figure = Figure(figsize=(6, 3.4), layout="constrained")
    axis = figure.subplots()
    _plot(axis, lines, x_scale, y_scale, x_label, y_label)
    for name, height in (levels or {}).items():
        axis.axhline(height, color="0.4", lw=1, ls="--", zorder=1)
        axis.text(1.01, height, name, transform=axis.get_yaxis_transform(), va="center", fontsize=8)
    axis.legend(frameon=False, fontsize=8)
    return figure


def panels(
    titled: Mapping[str, Lines], x_label: str, y_label: str, x_scale: str = "linear", y_scale: str = "linear"
) -> Figure:
    """Plot `curves` in panels by title, up to three side by side. All have lines of the same names, and one legend."""
    columns = len(titled) if len(titled) <= 3 else 2
    rows = math.ceil(len(titled) / columns)
    figure = Figure(figsize=(3.5 * columns + 0.8, 0.4 + 3 * rows), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis in axes[len(titled) :]:
        axis.set_axis_off()
    for i, (axis, (title, lines)) in enumerate(zip(axes, titled.items(), strict=False)):
        _plot(axis, lines, x_scale, y_scale, "", y_label if i % columns == 0 else "")
        axis.set_title(title, fontsize=9)
    figure.supxlabel(x_label, fontsize=9)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=8)
    return figure


def clouds(
    points: Mapping[str, tuple[Sequence[float] | Tensor, Sequence[float] | Tensor]], x_label: str, y_label: str
) -> Figure:
    """Scatter plots of points (x, y), by name in panels side by side; all panels have the same axes."""
    figure = Figure(figsize=(2.4 * len(points) + 0.6, 2.8), layout="constrained")
    axes = figure.subplots(1, len(points), squeeze=False, sharex=True, sharey=True)[0]
    for axis, (name, (x, y)), (colour, _) in zip(axes, points.items(), _styles(len(points)), strict=True):
        axis.scatter(np.asarray(x), np.asarray(y), s=4, color=colour, alpha=0.4, lw=0)
        axis.set_title(name, fontsize=9)
        _label(axis, x_label, y_label if axis is axes[0] else "")
    return figure


def seeds(
    values: Sequence[float], between: tuple[float, float], holds: tuple[float, float], label: str, title: str = ""
) -> Figure:
    """Show one effect: a dot for each seed, the interval `between` as a bar, and shading where the claim `holds`."""
    figure = Figure(figsize=(6, 1.7), layout="constrained")
    axis = figure.subplots()
    low, high = min(*values, between[0]), max(*values, between[1])
    room = 0.3 * max(high - low, 0.2 * max(abs(low), abs(high)), 1e-3)
    borders = [border for border in holds if math.isfinite(border)]
    left, right = min([low, *borders]) - room, max([high, *borders]) + room
    axis.axvspan(max(holds[0], left), min(holds[1], right), color="0.85", label="the article would be right")
    axis.plot(between, [0, 0], color=COLOURS[3], lw=3, solid_capstyle="butt", label="95% interval")
    axis.plot(values, [0] * len(values), "o", color=COLOURS[0], ms=6, label="one seed each")
    axis.set_xlim(left, right)
    axis.set_ylim(-1, 1)
    axis.set_yticks([])
    axis.set_title(title, fontsize=9)
    _label(axis, label, "")
    axis.spines["left"].set_visible(False)
    axis.legend(framealpha=1, edgecolor="white", fontsize=7, loc="upper center", ncols=3)
    return figure


def _styles(count: int) -> list[tuple[str, str]]:
    """A different colour and marker for each of `count` lines or clouds."""
    if count > len(COLOURS):
        raise ValueError(f"a figure can show at most {len(COLOURS)} lines or clouds, got {count}")
    return list(zip(COLOURS, MARKERS, strict=True))[:count]


def _plot(axis: Axes, lines: Lines, x_scale: str, y_scale: str, x_label: str, y_label: str) -> None:
    for (name, (x, y)), (colour, marker) in zip(lines.items(), _styles(len(lines)), strict=True):
        axis.plot(np.asarray(x), np.asarray(y), color=colour, marker=marker, markersize=4, lw=1.5, label=name)
    if x_scale != "linear":  # if it is, x may be strings
        axis.set_xscale(x_scale)
    axis.set_yscale(y_scale)
    _label(axis, x_label, y_label)


def _label(axis: Axes, x_label: str, y_label: str) -> None:
    axis.set_xlabel(x_label, fontsize=9)
    axis.set_ylabel(y_label, fontsize=9)
    axis.tick_params(which="both", labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
