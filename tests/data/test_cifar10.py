import gzip
import hashlib
import io
import tarfile
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from minidiffusion.data import cifar10

SIZE = 10_000 * 3073


def archive(path, members):
    """A tar.gz of members (TarInfo, bytes)."""
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for info, content in members:
            info.size = len(content) if info.isfile() else 0
            tar.addfile(info, io.BytesIO(content))
    return path


def member(content, name="cifar-10-batches-bin/test_batch.bin"):
    return tarfile.TarInfo(name), content


@pytest.fixture(scope="module")
def batch():
    """10,000 invented records: image k has label k % 10, red k % 251, green 1, blue its row number."""
    k = np.arange(10_000)
    red = np.repeat((k % 251)[:, None], 1024, axis=1)
    blue = np.tile(np.repeat(np.arange(32), 32), (10_000, 1))
    return np.concatenate([(k % 10)[:, None], red, np.ones_like(red), blue], axis=1).astype(np.uint8)


@pytest.fixture
def batch_is_published(batch, monkeypatch):
    monkeypatch.setitem(cifar10.MD5, "test_batch", hashlib.md5(batch.tobytes()).hexdigest())


def check(images, labels):
    assert images.shape == (10_000, 3, 32, 32) and images.dtype == labels.dtype == np.uint8
    assert labels[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert (images[252, 0] == 1).all() and (images[:, 1] == 1).all()
    assert images[9_999, 2, 17].tolist() == [17] * 32


def test_from_archive(tmp_path, batch, batch_is_published):
    other = member(b"hello", "cifar-10-batches-bin/readme.html")
    path = archive(tmp_path / "a.tar.gz", [other, member(batch.tobytes())])
    check(*cifar10.from_archive(path, "test"))
    assert list(tmp_path.iterdir()) == [path]  # nothing unpacked
    with pytest.raises(ValueError, match="no whole .*data_batch_1.bin.*data_batch_5.bin in this archive"):
        cifar10.from_archive(path, "train")


def test_an_altered_batch_is_refused(tmp_path, batch, batch_is_published):
    altered = bytearray(batch.tobytes())
    altered[12_345_678] ^= 1
    path = archive(tmp_path / "a.tar.gz", [member(bytes(altered))])
    with pytest.raises(ValueError, match="MD5 sum of test_batch is"):
        cifar10.from_archive(path, "test")


def test_links_short_members_and_stray_paths_are_not_read(tmp_path):
    link = tarfile.TarInfo("cifar-10-batches-bin/test_batch.bin")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
    stray = member(bytes(SIZE), "../cifar-10-batches-bin/test_batch.bin")
    path = archive(tmp_path / "a.tar.gz", [(link, b""), member(bytes(SIZE - 1)), stray])
    with pytest.raises(ValueError, match="no whole cifar-10-batches-bin/test_batch.bin in this archive"):
        cifar10.from_archive(path, "test")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["test_batch.bin", "other.bin"])
def test_a_member_that_promises_a_terabyte_costs_neither_memory_nor_time(tmp_path, name):
    info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
    info.size = 2**40
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(info.tobuf() + bytes(1000)))
    tracemalloc.start()
    with pytest.raises(ValueError, match="promises 1099511627776 bytes, want at most 30730000"):
        cifar10.from_archive(path, "test")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e6


def test_damaged_archives(tmp_path, batch):
    path = archive(tmp_path / "a.tar.gz", [member(batch.tobytes())])
    whole = path.read_bytes()
    for content in (b"", b"not a tar", whole[: len(whole) // 2], gzip.compress(b"x" * 2000)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="a.tar.gz"):
            cifar10.from_archive(path, "test")


@pytest.fixture
def sheets(tmp_path, batch):
    """A folder as from_sheets reads it, with the invented batch as test batch."""
    labels = np.zeros((6, 10_000), np.uint8)
    labels[5] = batch[:, 0]
    np.save(tmp_path / "labels.npy", labels)
    pixels = batch[:, 1:].reshape(100, 100, 3, 32, 32).transpose(0, 3, 1, 4, 2).reshape(3200, 3200, 3)
    Image.fromarray(pixels).save(tmp_path / "test_batch.webp", lossless=True, quality=0, method=0)
    return tmp_path


def test_from_sheets(sheets, batch_is_published):
    check(*cifar10.from_sheets(sheets, "test"))


def test_sheets_with_another_label_pixel_or_size_are_refused(sheets, batch_is_published):
    labels = np.load(sheets / "labels.npy")
    labels[5, 77] ^= 1
    np.save(sheets / "labels.npy", labels)
    with pytest.raises(ValueError, match="MD5 sum of test_batch is"):
        cifar10.from_sheets(sheets, "test")
    labels[5, 77] ^= 1
    np.save(sheets / "labels.npy", labels)

    pixels = np.array(Image.open(sheets / "test_batch.webp"))
    pixels[1000, 1000, 1] ^= 1
    Image.fromarray(pixels).save(sheets / "test_batch.webp", lossless=True, quality=0, method=0)
    with pytest.raises(ValueError, match="MD5 sum of test_batch is"):
        cifar10.from_sheets(sheets, "test")

    Image.new("RGB", (32, 32)).save(sheets / "test_batch.webp", lossless=True)
    with pytest.raises(ValueError, match=r"got a sheet of \(32, 32\) pixels, want \(3200, 3200\)"):
        cifar10.from_sheets(sheets, "test")


def test_damaged_or_absent_sheets_and_labels(sheets):
    whole = (sheets / "test_batch.webp").read_bytes()
    for content in (b"", b"RIFF" + bytes(40), whole[: len(whole) // 2]):
        (sheets / "test_batch.webp").write_bytes(content)
        with pytest.raises(ValueError, match="test_batch.webp"):
            cifar10.from_sheets(sheets, "test")
    with pytest.raises(ValueError, match="data_batch_1.webp"):
        cifar10.from_sheets(sheets, "train")

    header = b"\x93NUMPY\1\0\x76\0" + b"{'descr': '|u1', 'fortran_order': False, 'shape': (6, 99999999999), }"
    pickled = io.BytesIO()
    np.save(pickled, np.array([{}], dtype=object), allow_pickle=True)
    for content in (header.ljust(127) + b"\n", pickled.getvalue(), b"junk", b""):
        (sheets / "labels.npy").write_bytes(content)
        with pytest.raises(ValueError, match="labels.npy"):
            cifar10.from_sheets(sheets, "test")
    np.save(sheets / "labels.npy", np.zeros((6, 100), np.uint8))
    with pytest.raises(ValueError, match=r"labels.npy: got uint8 \(6, 100\), want uint8 \(6, 10000\)"):
        cifar10.from_sheets(sheets, "test")
