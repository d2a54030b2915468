"""Data: two-dimensional toys, the sets that come with the package, and full sets from public mirrors."""

import difflib
from importlib.resources import files

import numpy as np
import torch
from torch import Tensor

from .downloads import EMBEDDED, SOURCES, fetch
from .idx import read_idx
from .images import to_float, to_uint8

__all__ = ["class_names", "load", "names", "to_float", "to_uint8"]

FASHION = (
    "t-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
CLASS_NAMES = {"fashion_mnist_6k": FASHION, "fashion_mnist": FASHION, "mnist": tuple("0123456789")}


def names() -> tuple[str, ...]:
    """Every name that `load` knows: sets in the package, then sets to download."""
    return (*EMBEDDED, *SOURCES)


def class_names(name: str) -> tuple[str, ...]:
    """The classes of a set, in the order of its labels; empty if the set has none."""
    _check("name", name, names())
    return CLASS_NAMES.get(name, ())


def load(name: str, split: str = "train") -> tuple[Tensor, Tensor | list[str]]:
    """Images and labels (or captions) of one split, "train" or "test"."""
    _check("name", name, names())
    _check("split", split, ("train", "test"))
    if name == "fashion_mnist_6k":
        with files(__package__).joinpath("files/fashion_mnist_6k.npz").open("rb") as file:
            arrays = np.load(file, allow_pickle=False)
            images, labels = arrays[f"{split}_images"][:, None], arrays[f"{split}_labels"]
    else:
        prefix = {"train": "train", "test": "t10k"}[split]
        images = read_idx(fetch(name, f"{prefix}-images-idx3-ubyte.gz"))[:, None]
        labels = read_idx(fetch(name, f"{prefix}-labels-idx1-ubyte.gz"))
    return torch.tensor(images), torch.tensor(labels, dtype=torch.int64)


def _check(argument: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        near = difflib.get_close_matches(str(value).lower(), known)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"{argument}: got {value!r}, want one of {', '.join(known)}{hint}")
