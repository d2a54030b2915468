"""Emoji with captions: 13,898 pictures of 1,928 things, in four styles and up to six skin tones."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

SPLITS = ("train", "test", "unseen_tone", "unseen_style")
TONES = ("none", "light", "medium-light", "medium", "medium-dark", "dark", "mixed")
SHARE = 20  # one in so many pairs of thing and style is held out


class Captions(list[str]):
    """The captions of pictures, a list of strings, with what else is known of each picture.

    style, group: names. tone: an index into TONES. thing: the caption without its skin tone. tags: keywords.
    """

    def __init__(self, captions: Sequence[str], **fields: Sequence):
        super().__init__(captions)
        self.style: list[str] = list(fields["style"])
        self.group: list[str] = list(fields["group"])
        self.tone: list[int] = list(fields["tone"])
        self.thing: list[str] = list(fields["thing"])
        self.tags: list[list[str]] = list(fields["tags"])

    def prompts(self) -> list[str]:
        """Captions with their style, such as "woman astronaut, dark skin tone, fluent style"."""
        return [f"{caption}, {style} style" for caption, style in zip(self, self.style, strict=True)]


def is_held_out(thing: str, style: str) -> bool:
    """Whether this pair is left out of the training, by the hash of its name: the same one pair in 20, for ever."""
    return hashlib.sha1(f"{thing}, {style} style".encode()).digest()[0] % SHARE == 0


def load_emoji(split: str, side: int = 64) -> tuple[UInt8[Tensor, "count 3 side side"], Captions]:
    """The pictures of a split, in colour on white, and their captions. side: 64, or 32, where each pixel averages four.

    unseen_tone: a tenth of the pictures with a skin tone. unseen_style: of the other pictures, one in 20 pairs of a
    thing and a style, if the training has this thing in another style. test: both. train: everything else.
    """
    folder = files(__package__) / "files" / "emoji64"
    with (folder / "captions.npz").open("rb") as stream:
        table = {name: array for name, array in np.load(stream, allow_pickle=False).items()}
    thing, style = table["base"], table["style_names"][table["style"]]
    pair = np.array([is_held_out(a, b) for a, b in zip(thing, style, strict=True)]) & ~table["holdout"]
    pair &= np.isin(thing, thing[~pair & ~table["holdout"]])
    train = ~pair & ~table["holdout"]
    chosen = {"train": train, "test": ~train, "unseen_tone": table["holdout"], "unseen_style": pair}[split]
    thing, style, position = thing[chosen], style[chosen], table["position"][chosen]

    images = np.empty((len(style), 3, side, side), np.uint8)

    with ThreadPoolExecutor() as pool:  # Pillow decodes without holding Python's lock
        for name, sheet in zip(table["style_names"], pool.map(_sheet, table["style_names"]), strict=True):
            row, column = np.divmod(position[style == name], sheet.shape[2])
            wanted = sheet[row, :, column].transpose(0, 3, 1, 2)
            images[style == name] = wanted if side == 64 else _halved(wanted)
    captions = Captions(
        table["captions"][chosen].tolist(),
        style=style.tolist(),
        group=table["group_names"][table["group"]][chosen].tolist(),
        tone=table["tone"][chosen].tolist(),
        thing=thing.tolist(),
        tags=[tags.split("|") if tags else [] for tags in table["tags"][chosen].tolist()],
    )
    return torch.from_numpy(images), captions


@functools.cache  # decoding takes a second or two, and the four sheets take 173 MB of memory
def _sheet(style: str) -> UInt8[np.ndarray, "row 64 column 64 3"]:
    """All pictures of a style, in rows and columns."""
    with (files(__package__) / "files" / "emoji64" / f"{style}.webp").open("rb") as stream:
        pixels = np.asarray(Image.open(stream).convert("RGB"))
    return pixels.reshape(pixels.shape[0] // 64, 64, -1, 64, 3)


def _halved(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Each pixel is the mean of two by two, rounded; a half is rounded up."""
    corners = np.stack([images[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)])
    return ((corners.sum(axis=0, dtype=np.uint16) + 2) // 4).astype(np.uint8)
