import gzip
import hashlib
import io
import os
import tarfile
import tracemalloc

import numpy as np
import pytest

from minidiffusion import data
from minidiffusion.data import cifar10, downloads

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


def from_own_folder(split="test"):
    images, labels = data.load("cifar10", split)
    return images.numpy(), labels.numpy().astype(np.uint8)


@pytest.fixture(params=[".", "cifar-10-batches-bin"])
def unpacked(request, tmp_path, batch, monkeypatch):
    """A folder of the user with an unpacked archive, whose batches are all the invented one."""
    folder = tmp_path / "cifar10" / request.param
    folder.mkdir(parents=True)
    for name in cifar10.MD5:
        (folder / f"{name}.bin").write_bytes(batch.tobytes())
        monkeypatch.setitem(cifar10.MD5, name, hashlib.md5(batch.tobytes()).hexdigest())
    monkeypatch.setenv("MINIDIFFUSION_DATA", str(tmp_path))
    return folder


def test_an_unpacked_archive_is_read_batch_by_batch_and_the_archive_left_alone(unpacked):
    check(*from_own_folder())
    (unpacked.parent / "cifar-10-binary.tar.gz").write_bytes(b"not asked for")
    images, labels = from_own_folder("train")
    assert images.shape == (50_000, 3, 32, 32)
    for i in range(5):
        check(images[10_000 * i : 10_000 * (i + 1)], labels[10_000 * i : 10_000 * (i + 1)])


def test_unpacked_batches_that_are_altered_cut_short_or_absent_are_refused(unpacked):
    path = unpacked / "test_batch.bin"
    whole = path.read_bytes()
    path.write_bytes(whole[:12_345] + bytes([whole[12_345] ^ 1]) + whole[12_346:])
    with pytest.raises(ValueError, match="test_batch.bin: the MD5 sum of test_batch is .* it is not used"):
        data.load("cifar10", "test")
    path.write_bytes(whole[:-1])
    with pytest.raises(ValueError, match="test_batch.bin: no file of 30730000 bytes"):
        data.load("cifar10", "test")
    (unpacked / "data_batch_3.bin").unlink()
    with pytest.raises(ValueError, match="data_batch_3.bin: no file of 30730000 bytes"):
        data.load("cifar10")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this system")
def test_a_batch_that_never_ends_is_refused(unpacked):
    path = unpacked / "test_batch.bin"
    for make in (os.mkfifo, lambda path: path.symlink_to("/dev/zero")):
        path.unlink()
        make(path)
        with pytest.raises(ValueError, match="test_batch.bin: no file"):
            data.load("cifar10", "test")


def test_an_archive_in_the_folder_of_the_user_is_read(tmp_path, batch, batch_is_published, monkeypatch):
    (tmp_path / "cifar10").mkdir()
    path = archive(tmp_path / "cifar10" / "cifar-10-binary.tar.gz", [member(batch.tobytes())])
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest()}
    monkeypatch.setitem(downloads.SOURCES, "cifar10", downloads.Source((), sums))
    monkeypatch.setenv("MINIDIFFUSION_DATA", str(tmp_path))
    check(*from_own_folder())
