"""What `sample` and `train` share: generate samples, and arrange them on one sheet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..denoiser import Denoiser
from ..samplers import trajectory
from ..training.device import autocast
from ..training.files import write_whole

METHOD, STEPS = "dpmpp_2m", 25
BATCH = 100  # samples at a time; more would take more memory and would be no faster on two cores


def draw(
    denoise: Denoiser,
    x_1: Float[Tensor, "count *shape"],
    labels: Int[Tensor, "count"] | None = None,
    steps: int = STEPS,
    method: str = METHOD,
    generator: torch.Generator | None = None,
    tick: Callable[[], Any] = lambda: None,
) -> Float[Tensor, "count *shape"]:
    """Samples x0 from the noise x_1, BATCH at a time, in the precision that is faster. Calls `tick` after each step."""
    drawn = []
    for i in range(0, len(x_1), BATCH):
        part, cond = x_1[i : i + BATCH], None if labels is None else labels[i : i + BATCH]
        with autocast(part.device):
            for _, x_t, _ in trajectory(denoise, part, None, steps, method, cond=cond, generator=generator):
                x0 = x_t
                tick()
        drawn.append(x0)
    return torch.cat(drawn).cpu()


def write_sheet(path: Path, x0: Float[Tensor, "count *shape"], classes: int = 0) -> None:
    """Write a PNG with images, eight in a row, or with a scatter plot of points.

    classes: if above 0, image i has the label i modulo `classes`, and the sheet has a row for each label.
    """
    from .. import plots  # here, because matplotlib would make the start of every command a third longer

    with write_whole(path) as file:
        if x0.ndim == 2:
            figure = plots.clouds({f"{len(x0)} points": (x0[:, 0], x0[:, 1])}, "x", "y")
            figure.savefig(file, format="png", dpi=200)
            return
        columns = 8
        if classes:
            rows, columns = min(classes, len(x0)), -(-len(x0) // classes)
            blank = x0.new_ones(rows * columns - len(x0), *x0.shape[1:])
            x0 = torch.cat([x0, blank]).unflatten(0, (columns, rows)).transpose(0, 1).flatten(0, 1)
        file.write(plots.png(plots.tile(x0, columns), zoom=4))
