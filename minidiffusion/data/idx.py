"""The idx format of MNIST: a few header bytes, then the array. http://yann.lecun.com/exdb/mnist/"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LIMIT = 2**26  # bytes in one array; the largest one here, 60,000 pictures of 28 x 28, has 47,040,000


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The array of unsigned bytes in a gzip-compressed idx file.

    The header is two zero bytes, the type (8: unsigned byte), the number of dimensions (1 to 4 here) and
    each dimension as a big-endian 32-bit number. The header is believed only up to LIMIT bytes, and no more
    than it promises is ever decompressed. ValueError if the file is damaged, cut short or too long.
    """
    try:
        with gzip.open(path) as stream:
            zero, kind, ndim = struct.unpack(">HBB", stream.read(4))
            if zero != 0 or kind != 8 or not 1 <= ndim <= 4:
                raise ValueError(f"{path}: not an idx file of unsigned bytes in 1 to 4 dimensions")
            shape = struct.unpack(f">{ndim}I", stream.read(4 * ndim))
            size = math.prod(shape)
            if not 0 < size <= LIMIT:
                raise ValueError(f"{path}: the header promises {size} bytes {shape}, want 1 to {LIMIT}")
            payload = stream.read(size + 1)  # the one byte more shows a file that is too long
    except (gzip.BadGzipFile, EOFError, zlib.error, struct.error) as error:
        raise ValueError(f"{path}: damaged or cut short ({error})") from error
    if len(payload) != size:
        got = "more" if len(payload) > size else f"only {len(payload)}"
        raise ValueError(f"{path}: the header promises {size} bytes {shape}, the file holds {got}")
    return np.frombuffer(payload, np.uint8).reshape(shape)
