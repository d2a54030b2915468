"""Data: two-dimensional toys, the sets that come with the package, and full sets from public mirrors."""

import difflib
from importlib.resources import files

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from . import cifar10, toys
from .downloads import EMBEDDED, SOURCES, fetch, own_folder
from .idx import read_idx
from .images import to_float, to_uint8

__all__ = ["class_names", "load", "names", "to_float", "to_uint8", "toys"]

FASHION = (
    *("t-shirt/top", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
)
CLASS_NAMES = {
    "fashion_mnist_6k": FASHION,
    "fashion_mnist": FASHION,
    "mnist": tuple("0123456789"),
    "cifar10": cifar10.CLASS_NAMES,
}


def names() -> tuple[str, ...]:
    """Every name that `load` knows, in this order: in the package, full sets, toys."""
    return (*EMBEDDED, *SOURCES, *toys.TOYS)


def class_names(name: str) -> tuple[str, ...]:
    """What the labels 0, 1, ... of a set are called; empty for a set without named classes."""
    _check("name", name, names())
    return CLASS_NAMES.get(name, ())


def load(name: str, split: str = "train") -> tuple[Tensor, Tensor | list[str]]:
    """One split of a data set.

        name                 train    test   shape of one   comes with it
        fashion_mnist_6k     5,000   1,000   (1, 28, 28)    labels; in the package; the first of each class
        emoji                3,482     204   (3, 32, 32)    captions; in the package; test: unseen skin tones
        fashion_mnist       60,000  10,000   (1, 28, 28)    labels
        mnist               60,000  10,000   (1, 28, 28)    labels
        cifar10             50,000  10,000   (3, 32, 32)    labels
        moons and the toys  10,000  10,000   (2,)           labels; train is seed 0, test is seed 1

    Images are uint8 tensors (N, C, H, W), see `to_float`; the points of a toy are float32 (N, 2). Labels are
    int64 (N,), captions a list of N strings. A full set is looked for in the folder that the environment
    variable MINIDIFFUSION_DATA names (fashion_mnist/*.gz, mnist/*.gz, cifar10/), then in the cache, then
    downloaded into the cache.

    ValueError for an unknown name or split or a damaged file; ConnectionError if no mirror can be reached.
    """
    _check("name", name, names())
    _check("split", split, ("train", "test"))
    if name in toys.TOYS:
        points, classes = toys.TOYS[name](10_000, seed=0 if split == "train" else 1)
        return torch.from_numpy(points), torch.from_numpy(classes)
    if name == "emoji":
        return _emoji(split)
    if name == "fashion_mnist_6k":
        images, labels = _fashion_mnist_6k(split)
    elif name == "cifar10":
        images, labels = _cifar10(split)
    else:
        prefix = "train" if split == "train" else "t10k"
        images = read_idx(fetch(name, f"{prefix}-images-idx3-ubyte.gz"))[:, None]
        labels = read_idx(fetch(name, f"{prefix}-labels-idx1-ubyte.gz"))
    return torch.tensor(images), torch.tensor(labels, dtype=torch.int64)


def _emoji(split: str) -> tuple[Tensor, list[str]]:
    arrays = _embedded("emoji32.npz", "images", "captions", "holdout")
    chosen = arrays["holdout"] == (split == "test")
    images = torch.tensor(arrays["images"][chosen]).permute(0, 3, 1, 2).contiguous()
    return images, arrays["captions"][chosen].tolist()


def _fashion_mnist_6k(split: str) -> tuple[NDArray, NDArray]:
    arrays = _embedded("fashion_mnist_6k.npz", f"{split}_images", f"{split}_labels")
    return arrays[f"{split}_images"][:, None], arrays[f"{split}_labels"]


def _embedded(file: str, *wanted: str) -> dict[str, NDArray]:
    with files(__package__).joinpath(f"files/{file}").open("rb") as stream:
        arrays = np.load(stream, allow_pickle=False)
        return {name: arrays[name] for name in wanted}


def _cifar10(split: str) -> tuple[NDArray, NDArray]:
    folder = own_folder("cifar10")
    if folder and (folder / "labels.npy").exists():
        return cifar10.from_sheets(folder, split)
    return cifar10.from_archive(fetch("cifar10", "cifar-10-binary.tar.gz"), split)


def _check(argument: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        near = difflib.get_close_matches(str(value).lower(), known)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"{argument}: got {value!r}, want one of {', '.join(known)}{hint}")
