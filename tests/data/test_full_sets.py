import os
from pathlib import Path

import numpy as np
import pytest
import torch

from minidiffusion import data

COUNTS = {
    ("fashion_mnist", "train"): [6000] * 10,
    ("fashion_mnist", "test"): [1000] * 10,
    ("mnist", "train"): [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    ("mnist", "test"): [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
    ("cifar10", "train"): [5000] * 10,
    ("cifar10", "test"): [1000] * 10,
}


def need(name):
    root = os.environ.get("MINIDIFFUSION_DATA")
    if not root:
        pytest.skip("MINIDIFFUSION_DATA is not set, so there is no full set to read")
    if not (Path(root) / name).is_dir():
        pytest.skip(f"the folder in MINIDIFFUSION_DATA holds no {name}")
    if name == "cifar10" and not [*Path(root, name).rglob("*.bin"), *Path(root, name).glob("*.tar.gz")]:
        pytest.skip("the cifar10 folder in MINIDIFFUSION_DATA holds neither cifar-10-binary.tar.gz nor its .bin files")


@pytest.mark.parametrize("name, split", COUNTS)
def test_counts_shapes_and_classes(name, split):
    need(name)
    images, labels = data.load(name, split)
    counts = COUNTS[name, split]
    assert images.shape == (sum(counts), *((3, 32, 32) if name == "cifar10" else (1, 28, 28)))
    assert images.dtype == torch.uint8 and labels.dtype == torch.int64
    assert labels.bincount().tolist() == counts


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_embedded_pictures_are_the_first_of_each_class(split):
    need("fashion_mnist")
    images, labels = data.load("fashion_mnist", split)
    few, few_labels = data.load("fashion_mnist_6k", split)
    for label in range(10):
        own = few[few_labels == label]
        assert torch.equal(own, images[labels == label][: len(own)])


def test_a_frog_comes_first():
    need("cifar10")
    labels = data.load("cifar10")[1]
    assert data.class_names("cifar10")[labels[0]] == "frog"


def test_the_embedded_emoji_are_those_of_the_published_file_with_32_pixels():
    path = Path(os.environ.get("MINIDIFFUSION_DATA") or "no folder", "emoji32_styles.npz")
    if not path.is_file():
        pytest.skip("the folder in MINIDIFFUSION_DATA holds no emoji32_styles.npz")
    with np.load(path) as file:
        table = {name: file[name] for name in ("images", "captions", "style", "style_names", "tone", "tags")}
    styles = table["style_names"][table["style"]].tolist()
    place = {pair: i for i, pair in enumerate(zip(table["captions"].tolist(), styles, strict=True))}
    for split in ("train", "test"):
        images, captions = data.load("emoji32", split)
        own = [place.pop(pair) for pair in zip(captions, captions.style, strict=True)]
        assert captions.tone == table["tone"][own].tolist()
        assert [*map("|".join, captions.tags)] == table["tags"][own].tolist()
        # both were rounded, the one after averaging 8x8 vector pixels, the other after 4x4 and again after 2x2
        error = (images.int() - torch.from_numpy(table["images"][own]).permute(0, 3, 1, 2).int()).abs()
        assert error.max() <= 1 and error.float().mean() < 0.06
    assert not place
