"""A trial that is not shipped: a fourth round of Stable Diffusion on pictures that no font has.

    minidiffusion train stable_diffusion --out PARTS             # until the fourth round begins
    python figures/systems/collages.py PARTS FOLDER [--resume]   # an hour on one core; writes the weights into FOLDER
    python figures/systems/quality.py --weights FOLDER           # their scores, which are in collages.json

A caption names a thing, and in the fonts a thing mostly has one colour and stands alone. So a network has no reason to
learn that "blue" and "rose" can be said separately. Here it learns from 5,000 collages beside the 12,377 real pictures:
half of them are real ones in a colour that we choose ("blue rose"), the others are two real ones on one sheet.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import UInt8
from matplotlib.colors import hsv_to_rgb, rgb_to_hsv
from numpy.typing import NDArray
from torch import Tensor

from minidiffusion import Denoiser
from minidiffusion.cli import main
from minidiffusion.data.emoji import Captions
from minidiffusion.systems import recipes
from minidiffusion.systems.stages import World, continued
from minidiffusion.training.descend import Step

# hue in turns, and what saturation and brightness are multiplied by; a hue of None stays as it is
COLOURS: dict[str, tuple[float | None, float, float]] = {
    "red": (0.0, 1.1, 1.0),
    "orange": (0.08, 1.1, 1.05),
    "yellow": (0.14, 1.0, 1.15),
    "green": (0.36, 0.85, 0.85),
    "blue": (0.6, 1.1, 1.0),
    "purple": (0.76, 0.9, 0.95),
    "pink": (0.93, 0.6, 1.1),
    "brown": (0.06, 0.7, 0.6),
    "black": (None, 0.3, 0.3),
    "white": (None, 0.1, 1.3),
}
WIDTH = 0.11  # of the hues that change, in turns, to either side of the most common one
NEEDED = 0.45  # this share of the drawing must have such a hue
CONNECTIVES = ("with", "and")
COUNT, STEPS = 5000, 5000
LARGE, SMALL = 40, 30  # sides of the first and the second picture of a pair


def recoloured(picture: UInt8[NDArray, "3 row column"], colour: str) -> UInt8[NDArray, "3 row column"] | None:
    """The picture with its most common hue changed to `colour`; None if it has no such hue, or is `colour` already."""
    hsv = rgb_to_hsv(picture.transpose(1, 2, 0) / 255.0)
    h, s, v = np.moveaxis(hsv, -1, 0)
    drawn, vivid = (s > 0.1) | (v < 0.9), (s > 0.25) & (v > 0.2)
    if vivid.sum() < 100:
        return None
    counts, edges = np.histogram(h[vivid], 36, (0, 1))
    common = edges[counts.argmax()] + 0.5 / 36
    distance = (h - common + 0.5) % 1 - 0.5
    chosen = (s > 0.1) & (np.abs(distance) < WIDTH)
    hue, saturation, brightness = COLOURS[colour]
    already = hue is not None and abs((hue - common + 0.5) % 1 - 0.5) < 0.06
    if (chosen & vivid).sum() < NEEDED * drawn.sum() or already:
        return None
    to = common if hue is None else hue
    changed = np.stack([(to + 0.4 * distance) % 1, s * saturation, v * brightness], -1).clip(0, 1)
    return (hsv_to_rgb(np.where(chosen[..., None], changed, hsv)) * 255).round().astype(np.uint8).transpose(2, 0, 1)


def paired(first: UInt8[Tensor, "3 64 64"], second: UInt8[Tensor, "3 64 64"]) -> UInt8[Tensor, "3 64 64"]:
    """The first picture smaller, at the upper left, and the second one smaller still, over it at the lower right."""
    sheet = torch.full_like(first, 255)
    sheet[:, 1 : LARGE + 1, 1 : LARGE + 1] = _scaled(first, LARGE)
    corner = sheet[:, -SMALL - 1 : -1, -SMALL - 1 : -1]
    small = _scaled(second, SMALL)
    corner.copy_(torch.where(small.amin(0) < 245, small, corner))
    return sheet


def _scaled(picture: Tensor, side: int) -> Tensor:
    return F.interpolate(picture[None].float(), (side, side), mode="area")[0].round().to(torch.uint8)


def collages(
    pictures: UInt8[Tensor, "count 3 64 64"], captions: Captions, count: int, seed: int = 0
) -> tuple[UInt8[Tensor, "more 3 64 64"], Captions]:
    """`count` pictures made from these, with captions. Their thing is that of the first picture they are made from."""
    rng, drawings, names, sources = np.random.default_rng(seed), [], [], []
    kinds = enumerate(zip(captions.tone, captions.group, strict=True))
    usable = [i for i, (tone, group) in kinds if tone == 0 and group != "flags"]
    by_style: dict[str, list[int]] = {}
    for i in usable:
        by_style.setdefault(captions.style[i], []).append(i)
    while len(drawings) < count:
        i = int(rng.choice(usable))
        if len(drawings) % 2:
            j = int(rng.choice(by_style[captions.style[i]]))
            if max(len(captions[k].split()) for k in (i, j)) > 4:
                continue
            drawings.append(paired(pictures[i], pictures[j]))
            names.append(f"{captions[i]} {rng.choice(CONNECTIVES)} {captions[j]}")
        else:
            colour = str(rng.choice(list(COLOURS)))
            made = None if captions.group[i] == "people-body" else recoloured(pictures[i].numpy(), colour)
            if made is None:
                continue
            drawings.append(torch.from_numpy(made))
            names.append(" ".join([colour, *(word for word in captions[i].split() if word not in COLOURS)]))
        sources.append(i)
    fields = {key: [getattr(captions, key)[i] for i in sources] for key in ("style", "group", "tone", "thing")}
    return torch.stack(drawings), Captions(names, **fields, tags=[[] for _ in names])


def joined(one: Captions, two: Captions) -> Captions:
    """These captions and then the others."""
    return Captions([*one, *two], **{name: [*values, *vars(two)[name]] for name, values in vars(one).items()})


def with_collages(part: Denoiser, world: World, steps: int, **options: Any) -> Iterator[Step]:
    """The training of Stable Diffusion's U-Net, on the pictures of this world and on collages of them."""
    pictures, captions = collages(world.pictures, world.captions, COUNT)
    larger = World(torch.cat([world.pictures, pictures]), joined(world.captions, captions), world.parts)
    return recipes.LATENT_DIFFUSION_THIRD.fit(part, larger, steps, **options)


if __name__ == "__main__":
    parts, folder, *options = sys.argv[1:]
    known = ("autoencoder", "clip", "stable_diffusion_third")
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name in known:
        shutil.copy(Path(parts) / f"{name}.safetensors", folder)
    stages = [stage for stage in recipes.SYSTEMS["stable_diffusion"] if stage.name in known]
    fourth = replace(stages[-1], name="stable_diffusion", build=continued(known[-1]), fit=with_collages, steps=STEPS)
    recipes.SYSTEMS["stable_diffusion"] = (*stages, fourth)
    sys.exit(main(["train", "stable_diffusion", "--out", folder, *options]))
