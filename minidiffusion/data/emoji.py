"""Emoji with captions: 13,898 pictures of 1,928 things, in four styles and up to six skin tones."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.resources import files

import numpy as np
import torch
from jaxtyping import UInt8
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


def load_emoji(split: str) -> tuple[UInt8[Tensor, "count 3 64 64"], Captions]:
    """The pictures of a split, 64x64 in colour on white, and their captions.

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

    images = np.empty((len(style), 64, 64, 3), np.uint8)
    for name in table["style_names"]:
        with (folder / f"{name}.webp").open("rb") as stream:
            sheet = np.asarray(Image.open(stream).convert("RGB"))
        tiles = sheet.reshape(sheet.shape[0] // 64, 64, -1, 64, 3).swapaxes(1, 2).reshape(-1, 64, 64, 3)
        images[style == name] = tiles[table["position"][style == name]]
    captions = Captions(
        table["captions"][chosen].tolist(),
        style=style[chosen].tolist(),
        group=table["group_names"][table["group"]][chosen].tolist(),
        tone=table["tone"][chosen].tolist(),
        thing=thing[chosen].tolist(),
        tags=[tags.split("|") if tags else [] for tags in table["tags"][chosen].tolist()],
    )
    return torch.from_numpy(images[chosen]).permute(0, 3, 1, 2).contiguous(), captions
