"""Pictures that no font has: a thing in another colour, so that the words for the two can be learned separately.

In the fonts a thing mostly has one colour, and a network has no reason to learn that "blue" and "rose" can be combined.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import UInt8
from matplotlib.colors import hsv_to_rgb, rgb_to_hsv
from numpy.typing import NDArray
from torch import Tensor

from ..data.emoji import Captions

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
SEED = 1  # with it, none of the fifty free prompts in figures/systems is a caption of the training


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


def with_recoloured(
    pictures: UInt8[Tensor, "count 3 64 64"], captions: Captions, more: int, seed: int = SEED
) -> tuple[UInt8[Tensor, "count+more 3 64 64"], Captions]:
    """These pictures, and `more` of them in another colour, without people and flags: "rose" and also "blue rose".

    A caption that a real picture has is left to that picture, since a font has its own blue heart.
    """
    rng, made, names, sources = np.random.default_rng(seed), [], [], []
    real, things = set(captions), zip(captions.tone, captions.group, strict=True)
    usable = [i for i, (tone, group) in enumerate(things) if tone == 0 and group not in ("flags", "people-body")]
    while len(made) < more:
        i, colour = int(rng.choice(usable)), str(rng.choice(list(COLOURS)))
        name = " ".join([colour, *(word for word in captions[i].split() if word not in COLOURS)])
        picture = None if name in real else recoloured(pictures[i].numpy(), colour)
        if picture is not None:
            made.append(torch.from_numpy(picture))
            names.append(name)
            sources.append(i)
    fields = {key: [*old, *(old[i] for i in sources)] for key, old in vars(captions).items() if key != "tags"}
    fields["tags"] = [*captions.tags, *([] for _ in sources)]  # keywords do not tell of the new colour
    return torch.cat([pictures, torch.stack(made)]), Captions([*captions, *names], **fields)
