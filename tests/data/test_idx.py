import gzip
import math
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidiffusion.data import idx

ARRAY = np.arange(2 * 3 * 5, dtype=np.uint8).reshape(2, 3, 5)


def encode(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    path = tmp_path_factory.mktemp("idx") / "file.gz"

    def read(compressed):
        path.write_bytes(compressed)
        return idx.read_idx(path)

    return read


def peak_bytes(function, *args):
    tracemalloc.start()
    try:
        with pytest.raises(ValueError) as error:
            function(*args)
        return tracemalloc.get_traced_memory()[1], str(error.value)
    finally:
        tracemalloc.stop()


def test_round_trip(read):
    got = read(gzip.compress(encode(ARRAY)))
    assert got.dtype == np.uint8 and np.array_equal(got, ARRAY)
    labels = np.array([7, 2, 1], dtype=np.uint8)
    assert np.array_equal(read(gzip.compress(encode(labels))), labels)


@pytest.mark.parametrize("header", [b"\0\0\x0d\1", b"\0\1\x08\1", b"\1\0\x08\1", b"\0\0\x08\0", b"\0\0\x08\5"])
def test_wrong_magic(read, header):
    with pytest.raises(ValueError, match="not an idx file of unsigned bytes"):
        read(gzip.compress(header + struct.pack(">I", 4) * 5 + bytes(4)))


def test_a_header_that_promises_four_terabytes_costs_no_memory(read):
    compressed = gzip.compress(struct.pack(">HBB3I", 0, 8, 3, 60_000, 8192, 8192) + bytes(100))
    peak, message = peak_bytes(read, compressed)
    assert "promises 4026531840000 bytes (60000, 8192, 8192)" in message
    assert peak < 1e6


def test_a_bomb_is_not_unpacked(read):
    # One gzip file may have many parts: 512 MiB of zeros behind a header that promises 30.
    bomb = gzip.compress(encode(ARRAY)) + gzip.compress(bytes(2**20)) * 512
    peak, message = peak_bytes(read, bomb)
    assert "promises 30 bytes (2, 3, 5), the file holds more" in message
    assert peak < 2e6 + len(bomb)


def test_truncated_at_any_place(read):
    whole = gzip.compress(encode(ARRAY))
    for length in range(len(whole)):
        with pytest.raises(ValueError, match="damaged or cut short"):
            read(whole[:length])


def test_too_few_and_too_many_bytes(read):
    with pytest.raises(ValueError, match="holds only 29"):
        read(gzip.compress(encode(ARRAY)[:-1]))
    with pytest.raises(ValueError, match="holds more"):
        read(gzip.compress(encode(ARRAY) + b"x"))
    with pytest.raises(ValueError, match="damaged"):
        read(gzip.compress(encode(ARRAY)) + b"trailing junk")


def test_one_flipped_bit_never_gives_another_array(read):
    whole = gzip.compress(encode(ARRAY), mtime=0)
    refused = 0
    for bit in range(8 * len(whole)):
        altered = bytearray(whole)
        altered[bit // 8] ^= 1 << bit % 8
        try:
            # A flip in gzip's own time stamp or system byte is harmless: the array is the same.
            assert np.array_equal(read(altered), ARRAY)
        except ValueError:
            refused += 1
    assert refused > 8 * (len(whole) - 10)  # all of the stream and its check sum


def test_not_gzip_at_all(read):
    with pytest.raises(ValueError, match="damaged"):
        read(encode(ARRAY))
    with pytest.raises(ValueError, match="damaged"):
        read(b"")


@given(st.binary(max_size=300), st.booleans())
def test_random_bytes_are_refused_or_are_right(read, content, compress):
    try:
        got = read(gzip.compress(content, 1) if compress else content)
    except ValueError:
        return
    assert encode(got) == content


@given(st.lists(st.sampled_from([0, 1, 2, 3, 7, 2**16, 2**31, 2**32 - 1]), max_size=6), st.integers(-2, 2))
def test_headers_are_believed_only_when_the_bytes_are_there(read, shape, surplus):
    size = math.prod(shape)
    payload = bytes(range(256)) * 10
    payload = payload[: max(0, min(size + surplus, len(payload)))]
    content = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + payload
    if 1 <= len(shape) <= 4 and size == len(payload) > 0:
        got = read(gzip.compress(content, 1))
        assert got.shape == tuple(shape) and got.tobytes() == payload
    else:
        with pytest.raises(ValueError):
            read(gzip.compress(content, 1))
