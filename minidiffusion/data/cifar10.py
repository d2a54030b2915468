"""CIFAR-10 (Krizhevsky 2009), binary version: each image is a label byte, then its red, green and blue planes.

It is read from the published archive or from the .bin files in it. The bytes of each batch of 10,000 images must have
the MD5 sum of the published batch.
"""

import hashlib
import tarfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MD5 = {
    "data_batch_1": "5dd7e06a14cb22eb9f671a540d1b7c25",
    "data_batch_2": "5ea93a67294ea407fff1d09f752e9692",
    "data_batch_3": "942cd6a4bcdd0dd3c604fbe906cb4421",
    "data_batch_4": "ae636b3ba5c66a11e91e8cb52e771fcb",
    "data_batch_5": "53f37980c15c3d472c316c40844f3f0d",
    "test_batch": "803d5f7f4d78ea53de84dbe85f74fb6d",
}
BATCHES = {"train": tuple(MD5)[:5], "test": tuple(MD5)[5:]}
FOLDER = "cifar-10-batches-bin"  # in the archive
RECORD = 1 + 3 * 32 * 32  # bytes
BATCH = 10_000 * RECORD
CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

Bytes = NDArray[np.uint8]


def from_archive(path: Path, split: str) -> tuple[Bytes, Bytes]:
    """Read images (N, 3, 32, 32) and labels (N,) from cifar-10-binary.tar.gz; nothing is unpacked to the disk.

    ValueError if the archive is damaged, or if a batch is absent or is not the published one.
    """
    wanted = {f"{FOLDER}/{name}.bin": name for name in BATCHES[split]}
    found = {}
    try:
        with tarfile.open(path, "r|gz") as archive:
            for member in archive:
                # checked before anything is read or skipped, so that a false size costs neither memory nor time
                if member.size > BATCH:
                    raise ValueError(f"{path}: {member.name} promises {member.size} bytes, want at most {BATCH}")
                stream = archive.extractfile(member) if member.isfile() else None
                if stream is not None and member.name in wanted and member.size == BATCH:
                    found[wanted.pop(member.name)] = stream.read()
                if not wanted:
                    break
    except tarfile.TarError as error:
        raise ValueError(f"{path}: damaged or cut short ({error})") from error
    if wanted:
        raise ValueError(f"{path}: no whole {', '.join(wanted)} in this archive")
    return _join([_checked(path, name, found[name]) for name in BATCHES[split]])


def from_folder(folder: Path, split: str) -> tuple[Bytes, Bytes]:
    """Read the same from data_batch_1.bin, ..., data_batch_5.bin (train) or test_batch.bin (test).

    ValueError if a file is absent or is not the published one.
    """
    paths = {name: folder / f"{name}.bin" for name in BATCHES[split]}
    for path in paths.values():
        if not path.is_file() or path.stat().st_size != BATCH:
            raise ValueError(f"{path}: no file of {BATCH} bytes")
    return _join([_checked(path, name, path.read_bytes()) for name, path in paths.items()])


def _checked(path: Path, name: str, batch: bytes) -> Bytes:
    md5 = hashlib.md5(batch, usedforsecurity=False).hexdigest()
    if md5 != MD5[name]:
        raise ValueError(f"{path}: the MD5 sum of {name} is {md5}, want {MD5[name]}; it is not used")
    return np.frombuffer(batch, np.uint8).reshape(-1, RECORD)


def _join(batches: list[Bytes]) -> tuple[Bytes, Bytes]:
    records = np.concatenate(batches)
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0]
