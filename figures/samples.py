"""Sixty-four samples of the shipped checkpoint, and the training image nearest to each.

    python figures/samples.py

Writes figures/samples.png, figures/neighbours.png and figures/samples.json. The second picture answers the question
that everybody asks first: has the network learned to generate images, or has it memorised them? `copies` counts the
samples that are less than a third as far from the nearest training image as from the second nearest, which is the
usual criterion for a copy.
"""

import json
from pathlib import Path

import matplotlib.image
import numpy as np
import torch
from common import Parser, images, record

import minidiffusion as md

HERE = Path(__file__).parent
COUNT, STEPS, METHOD, SEED = 64, 25, "dpmpp_2m", 0


def enlarge(sheet: np.ndarray, factor: int) -> np.ndarray:
    return sheet.repeat(factor, 0).repeat(factor, 1)


def two_nearest(samples: torch.Tensor, data: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Distances (count, 2) and indices (count, 2) of the nearest two rows of data, in pixel space."""
    nearest = torch.cdist(samples.flatten(1), data.flatten(1)).topk(2, largest=False)
    return nearest.values, nearest.indices


if __name__ == "__main__":
    Parser(__doc__).parse()
    denoise = md.shipped()
    generator = torch.Generator().manual_seed(SEED)
    x_1 = md.prior((COUNT, 1, 28, 28), denoise.schedule, generator)
    labels = torch.arange(COUNT) * 10 // COUNT
    samples = md.sample(denoise, x_1, steps=STEPS, method=METHOD, cond=labels)
    matplotlib.image.imsave(HERE / "samples.png", enlarge(md.plots.tile(samples), 3))

    train = images("train")
    distances, indices = two_nearest(samples, train)
    left, right = md.plots.tile(samples), md.plots.tile(train[indices[:, 0]])
    between = np.full((len(left), 12, 3), 255, dtype=np.uint8)
    matplotlib.image.imsave(HERE / "neighbours.png", enlarge(np.hstack([left, between, right]), 2))

    ratio = distances[:, 0] / distances[:, 1]
    result = record(
        __file__,
        {
            "samples": COUNT,
            "steps": STEPS,
            "method": METHOD,
            "seed": SEED,
            "distance": "Euclidean, in pixels in [-1, 1], against the 60,000 training images",
            "median_d1": round(distances[:, 0].median().item(), 2),
            "median_d1_over_d2": round(ratio.median().item(), 3),
            "smallest_d1_over_d2": round(ratio.min().item(), 3),
            "copies": int((ratio < 1 / 3).sum()),
        },
    )
    print(json.dumps(result, indent=2))
