"""Data: two-dimensional toys, small data sets in the package, and full data sets from public mirrors."""

from importlib.resources import files

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..check import one_of
from . import cifar10, toys
from .downloads import EMBEDDED, SOURCES, fetch, own_folder
from .emoji import SPLITS, Captions, load_emoji
from .idx import read_idx
from .images import to_float, to_uint8
from .own import folder

__all__ = ["class_names", "folder", "load", "names", "to_float", "to_uint8", "toys"]

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
_EMOJI = "Apache-2.0 (Noto Emoji), MIT (Fluent Emoji) and CC BY 4.0 (Twemoji)"
_FASHION = "MIT, Zalando SE"
LICENCES = {
    **dict.fromkeys(toys.TOYS, "none needed: the points are computed"),
    **{"dino": "MIT, the Datasaurus Dozen", "emoji32": _EMOJI, "emoji64": _EMOJI},
    **{"fashion_mnist_6k": _FASHION, "fashion_mnist": _FASHION},
    "mnist": "CC BY-SA 3.0, Yann LeCun and Corinna Cortes",
    "cifar10": "none stated by its authors, who ask to be cited: Krizhevsky 2009",
}


def names() -> tuple[str, ...]:
    """All names that `load` knows: first the data sets in the package, then the full ones, then the toys."""
    return (*EMBEDDED, *SOURCES, *toys.TOYS)


def class_names(name: str) -> tuple[str, ...]:
    """The names of the labels 0, 1, ... of a data set; () if its classes have no names. ValueError: unknown name."""
    return CLASS_NAMES.get(one_of("name", name, names()), ())


def load(name: str, split: str = "train") -> tuple[Tensor, Tensor | Captions]:
    """Load a split of a data set, train or test. The emoji have two more, unseen_tone and unseen_style.

        name                 train    test   one item       besides
        fashion_mnist_6k     5,000   1,000   (1, 28, 28)    labels; in the package; the first images of each class
        emoji32             12,377   1,521   (3, 32, 32)    captions; in the package; emoji64 averaged 2 by 2
        emoji64             12,377   1,521   (3, 64, 64)    captions; in the package; test has combinations not in train
        fashion_mnist       60,000  10,000   (1, 28, 28)    labels
        mnist               60,000  10,000   (1, 28, 28)    labels
        cifar10             50,000  10,000   (3, 32, 32)    labels
        moons and the toys  10,000  10,000   (2,)           labels; train is seed 0, test is seed 1

    Images are uint8 tensors (N, C, H, W), see `to_float`; the points of a toy are float32 (N, 2). Labels are
    int64 (N,), captions a list of N strings that also knows the style, tone, group, thing and keywords of each picture.
    The test split of the emoji holds 722 pictures of a thing in a tone that is not in the training (unseen_tone) and
    799 of a thing in a style that is not (unseen_style).

    Full data sets are read from the folder that the environment variable MINIDIFFUSION_DATA names: the published files
    in fashion_mnist/, mnist/ and cifar10/, where CIFAR-10 may also be unpacked. What is not there is downloaded once
    and then read from the cache.

    ValueError for an unknown name or split or a damaged file; ConnectionError if no mirror can be reached.
    """
    one_of("name", name, names())
    emoji = name in ("emoji32", "emoji64")
    one_of(f"split of {name}", split, SPLITS if emoji else ("train", "test"))
    if name in toys.TOYS:
        points, classes = toys.TOYS[name](10_000, seed=0 if split == "train" else 1)
        return torch.from_numpy(points), torch.from_numpy(classes)
    if emoji:
        return load_emoji(split, side=int(name[-2:]))
    if name == "fashion_mnist_6k":
        images, labels = _embedded("fashion_mnist_6k.npz", f"{split}_images", f"{split}_labels")
        images = images[:, None]
    elif name == "cifar10":
        images, labels = _cifar10(split)
    else:
        prefix = "train" if split == "train" else "t10k"
        images = read_idx(fetch(name, f"{prefix}-images-idx3-ubyte.gz"))[:, None]
        labels = read_idx(fetch(name, f"{prefix}-labels-idx1-ubyte.gz"))
    return torch.tensor(images), torch.tensor(labels, dtype=torch.int64)


def _embedded(file: str, *wanted: str) -> list[NDArray]:
    with files(__package__).joinpath(f"files/{file}").open("rb") as stream:
        arrays = np.load(stream, allow_pickle=False)
        return [arrays[name] for name in wanted]


def _cifar10(split: str) -> tuple[NDArray, NDArray]:
    own = own_folder("cifar10")
    for place in (own, own / cifar10.FOLDER) if own else ():
        if any(place.glob("*.bin")):
            return cifar10.from_folder(place, split)
    return cifar10.from_archive(fetch("cifar10", "cifar-10-binary.tar.gz"), split)
