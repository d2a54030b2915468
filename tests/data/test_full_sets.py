import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from minidiffusion import data
from minidiffusion.data import cifar10, downloads

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


def test_a_frog_comes_first_and_an_archive_gives_the_same_as_the_sheets(tmp_path):
    need("cifar10")
    folder = downloads.own_folder("cifar10")
    if not (folder / "labels.npy").exists():
        pytest.skip("the CIFAR-10 here is the archive itself")
    assert data.class_names("cifar10")[data.load("cifar10")[1][0]] == "frog"

    images, labels = cifar10.from_sheets(folder, "test")
    records = np.concatenate([labels[:, None], images.reshape(10_000, -1)], axis=1).tobytes()
    member = tarfile.TarInfo("cifar-10-batches-bin/test_batch.bin")
    member.size = len(records)
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz", compresslevel=1) as archive:
        archive.addfile(member, io.BytesIO(records))
    again = cifar10.from_archive(tmp_path / "a.tar.gz", "test")
    assert np.array_equal(again[0], images) and np.array_equal(again[1], labels)
