import hashlib
from importlib.resources import files

import numpy as np
import pytest
import torch

from minidiffusion import data

FILES = files("minidiffusion.data") / "files"

# The sha256 of each file as it was built from the public releases that files/NOTICE names.
SHA256 = {
    "fashion_mnist_6k.npz": "81843add15810a9e02360846553801a9c603805d68005a805af4a424af9c9a0c",
    "emoji32.npz": "aeafe9397bb8dbaece1845a02233e4f8901c0ee4d63a55a18e8e87c79a8791f7",
    "dino.csv": "7df2348758fcf9437369e100a2d7442d0b73b25e832973e148a0caa09498c830",
    "LICENSES/Apache-2.0.txt": "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30",
    "LICENSES/MIT-dino-data-morph.txt": "f9ec59734570c9e4d54ffeaced6abd8ff7f72d3a579c65419562547de0a37e7b",
    "LICENSES/MIT-emojibase.txt": "5c4e1582dcae9429a5d00ec0a64185c3a711f9757b2308fdf275d90b120f6149",
    "LICENSES/MIT-fashion-mnist.txt": "193c9c47fa3dc7e614dcd5f4ea5315d69c0a542b698b64dc34ac5bc4b09d5c3a",
}


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("an embedded set asked for a file from elsewhere")

    monkeypatch.setattr(data, "fetch", refuse)
    monkeypatch.setenv("MINIDIFFUSION_DATA", "no/such/folder")


@pytest.mark.parametrize("file", SHA256)
def test_files_are_the_published_ones(file):
    assert hashlib.sha256((FILES / file).read_bytes()).hexdigest() == SHA256[file]


def test_every_embedded_file_is_credited():
    notice = (FILES / "NOTICE").read_text()
    for file in SHA256:
        assert file in notice


@pytest.mark.parametrize("split, count", [("train", 5000), ("test", 1000)])
def test_fashion_mnist_6k(split, count):
    images, labels = data.load("fashion_mnist_6k", split)
    assert images.shape == (count, 1, 28, 28) and images.dtype == torch.uint8
    assert labels.dtype == torch.int64
    assert labels.bincount().tolist() == [count // 10] * 10
    assert images.min() == 0 and images.max() == 255
    # What a human knows about the classes: trousers stand, sneakers lie.
    height = (images > 50).any(dim=3).sum(dim=2).squeeze(1).float()
    width = (images > 50).any(dim=2).sum(dim=2).squeeze(1).float()
    name = data.class_names("fashion_mnist_6k")
    taller = [(height - width)[labels == name.index(kind)].mean() for kind in ("trouser", "sneaker")]
    assert taller[0] > 8 and taller[1] < -8


def test_fashion_class_names_are_those_of_the_file():
    with (FILES / "fashion_mnist_6k.npz").open("rb") as stream:
        assert data.class_names("fashion_mnist_6k") == tuple(np.load(stream)["class_names"].tolist())
    assert data.class_names("fashion_mnist") == data.class_names("fashion_mnist_6k")


def test_emoji_splits():
    images, captions = data.load("emoji")
    test_images, test_captions = data.load("emoji", "test")
    assert images.shape == (3482, 3, 32, 32) and test_images.shape == (204, 3, 32, 32)
    assert images.dtype == torch.uint8 and images.is_contiguous()
    assert len(captions) == 3482 and len(test_captions) == 204
    assert all(type(caption) is str and caption for caption in captions + test_captions)
    assert not set(captions) & set(test_captions)
    assert all("skin tone" in caption for caption in test_captions)


@pytest.mark.parametrize("caption, channel", [("red circle", 0), ("green circle", 1), ("blue circle", 2)])
def test_emoji_captions_belong_to_their_pictures(caption, channel):
    images, captions = data.load("emoji")
    middle = images[captions.index(caption), :, 16, 16].int()
    others = [middle[c] for c in range(3) if c != channel]
    assert middle[channel] > 20 + max(others)
    assert (images[captions.index(caption), :, 0, 0] == 255).all()  # on white


def test_names_in_their_order():
    assert data.names() == (
        *("fashion_mnist_6k", "emoji", "fashion_mnist", "mnist", "cifar10"),
        *("moons", "swiss_roll", "checkerboard", "spiral", "gaussians", "dino"),
    )


@pytest.mark.parametrize("name", data.toys.TOYS)
def test_toys_load_as_tensors_with_two_seeds(name):
    points, labels = data.load(name)
    other, _ = data.load(name, "test")
    assert points.shape == other.shape == (10_000, 2) and points.dtype == torch.float32
    assert labels.shape == (10_000,) and labels.dtype == torch.int64
    assert np.array_equal(points.numpy(), data.toys.TOYS[name](10_000, seed=0)[0])
    assert np.array_equal(other.numpy(), data.toys.TOYS[name](10_000, seed=1)[0])


def test_class_names():
    assert data.class_names("mnist") == tuple("0123456789")
    assert data.class_names("cifar10")[3] == "cat" and len(data.class_names("cifar10")) == 10
    assert data.class_names("emoji") == data.class_names("moons") == ()


@pytest.mark.parametrize("name, near", [("moon", "moons"), ("FashionMNIST", "fashion_mnist"), ("cifar-10", "cifar10")])
def test_unknown_names_are_answered_with_near_ones(name, near):
    for function in (data.load, data.class_names):
        with pytest.raises(ValueError, match=rf"name must be one of .*did you mean .*\b{near}\b"):
            function(name)


def test_unknown_splits_are_refused():
    with pytest.raises(ValueError, match="split must be one of train, test.*did you mean train"):
        data.load("moons", "trian")
    with pytest.raises(ValueError, match="split"):
        data.load("emoji", "holdout")
