"""CIFAR-10 (Krizhevsky 2009), binary version: an image is a label byte, then its red, green and blue planes.

A batch of 10,000 comes out of the published archive, or is rebuilt from a lossless WebP sheet of 100 x 100
pictures. Either way its bytes must have the MD5 sum that the authors' batch has.
"""

import hashlib
import tarfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MD5 = {
    "data_batch_1": "5dd7e06a14cb22eb9f671a540d1b7c25",
    "data_batch_2": "5ea93a67294ea407fff1d09f752e9692",
    "data_batch_3": "942cd6a4bcdd0dd3c604fbe906cb4421",
    "data_batch_4": "ae636b3ba5c66a11e91e8cb52e771fcb",
    "data_batch_5": "53f37980c15c3d472c316c40844f3f0d",
    "test_batch": "803d5f7f4d78ea53de84dbe85f74fb6d",
}
BATCHES = {"train": tuple(MD5)[:5], "test": tuple(MD5)[5:]}
RECORD = 1 + 3 * 32 * 32  # bytes
BATCH = 10_000 * RECORD
CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

Bytes = NDArray[np.uint8]


def from_archive(path: Path, split: str) -> tuple[Bytes, Bytes]:
    """Images (N, 3, 32, 32) and labels (N,) from cifar-10-binary.tar.gz; nothing is unpacked to disk.

    ValueError if the archive is damaged, or a batch is absent or not the published one.
    """
    wanted = {f"cifar-10-batches-bin/{name}.bin": name for name in BATCHES[split]}
    found = {}
    try:
        with tarfile.open(path, "r|gz") as archive:
            for member in archive:
                # Checked before anything is read or skipped: an altered size costs neither memory nor time.
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


def from_sheets(folder: Path, split: str) -> tuple[Bytes, Bytes]:
    """The same from `data_batch_1.webp` and so on, and `labels.npy`: uint8 (6, 10000), the test batch last.

    ValueError if a file is absent or damaged, or the rebuilt batch is not the published one.
    """
    try:
        # Mapped, not read: a header that promises more than the file holds is refused without allocating.
        labels = np.lib.format.open_memmap(folder / "labels.npy", mode="r")
        if labels.shape != (6, 10_000) or labels.dtype != np.uint8:
            raise ValueError(f"got {labels.dtype} {labels.shape}, want uint8 (6, 10000)")
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder / 'labels.npy'}: {error}") from error
    return _join([_rebuilt(folder / f"{name}.webp", labels[list(MD5).index(name)]) for name in BATCHES[split]])


def _rebuilt(path: Path, labels: Bytes) -> Bytes:
    try:
        with Image.open(path, formats=["WEBP"]) as sheet:
            if sheet.size != (3200, 3200):
                raise ValueError(f"got a sheet of {sheet.size} pixels, want (3200, 3200)")
            pixels = np.asarray(sheet.convert("RGB"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: {error}") from error
    images = pixels.reshape(100, 32, 100, 32, 3).transpose(0, 2, 4, 1, 3).reshape(10_000, RECORD - 1)
    return _checked(path, path.stem, np.concatenate([labels[:, None], images], axis=1).tobytes())


def _checked(path: Path, name: str, batch: bytes) -> Bytes:
    md5 = hashlib.md5(batch, usedforsecurity=False).hexdigest()
    if md5 != MD5[name]:
        raise ValueError(f"{path}: the MD5 sum of {name} is {md5}, want {MD5[name]}; it is not used")
    return np.frombuffer(batch, np.uint8).reshape(-1, RECORD)


def _join(batches: list[Bytes]) -> tuple[Bytes, Bytes]:
    records = np.concatenate(batches)
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0]
