"""Images are stored as uint8, and models see floats in [-1, 1]. These two functions convert one into the other."""

import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from ..check import came


def to_float(images: UInt8[Tensor, "*shape"]) -> Float32[Tensor, "*shape"]:
    """Convert uint8 in 0..255 to float32 in [-1, 1], x = k / 127.5 - 1: 0 becomes -1 and 255 becomes 1.

    TypeError if `images` is not a uint8 tensor.
    """
    if not isinstance(images, Tensor) or images.dtype != torch.uint8:
        raise TypeError(f"images must be a uint8 tensor, got {came(images)}")
    return images.float() / 127.5 - 1


def to_uint8(images: Float[Tensor, "*shape"]) -> UInt8[Tensor, "*shape"]:
    """Convert floats in [-1, 1] to uint8: k = round(127.5 (x + 1)), clipped to 0..255. `to_uint8(to_float(k))` is k.

    TypeError if `images` is not a floating point tensor; ValueError if it contains NaN.
    """
    if not isinstance(images, Tensor) or not images.is_floating_point():
        raise TypeError(f"images must be a floating point tensor with values in [-1, 1], got {came(images)}")
    if images.isnan().any():
        raise ValueError("images must be numbers in [-1, 1], and some of them are NaN")
    # bfloat16 has 8 significant bits, so adding 1 in it would merge neighbouring grey levels
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
