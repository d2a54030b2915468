"""The idx format of MNIST: a short header, then the bytes of the array. http://yann.lecun.com/exdb/mnist/"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LIMIT = 2**26  # bytes in one array; the largest one here, 60,000 images of 28 x 28, has 47,040,000


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read the array of unsigned bytes in a gzip-compressed idx file.

    The header is two zero bytes, the type (8 for unsigned bytes), the number of dimensions (1 to 4 here) and each
    dimension as a big-endian 32-bit number. A header that promises more than LIMIT bytes is refused, and no more
    than it promises is decompressed. ValueError if the file is damaged, cut short or too long.
    """
    try:
        with gzip.open(path) as stream:
            zero, type_, ndim = struct.unpack(">HBB", stream.read(4))
            if zero != 0 or type_ != 8 or not 1 <= ndim <= 4:
                raise ValueError(f"{path}: not an idx file of unsigned bytes in 1 to 4 dimensions")
            shape = struct.unpack(f">{ndim}I", stream.read(4 * ndim))
            size = math.prod(shape)
            if not 0 < size <= LIMIT:
                raise ValueError(f"{path}: the header promises {size} bytes {shape}, want 1 to {LIMIT}")
            payload = stream.read(size + 1)  # one byte more, which only a file that is too long has
    except (gzip.BadGzipFile, EOFError, zlib.error, struct.error) as error:
        raise ValueError(f"{path}: damaged or cut short ({error})") from error
    if len(payload) != size:
        got = "more" if len(payload) > size else f"only {len(payload)}"
        raise ValueError(f"{path}: the header promises {size} bytes {shape}, the file holds {got}")
    return np.frombuffer(payload, np.uint8).reshape(shape)
