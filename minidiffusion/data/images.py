"""Images in memory are uint8; images in a model are float in [-1, 1]. These two lines go there and back."""

import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor


def to_float(images: UInt8[Tensor, "*shape"]) -> Float32[Tensor, "*shape"]:
    """uint8 in 0..255 to float32 in [-1, 1]: x = k / 127.5 - 1, so that 0 is -1 and 255 is 1.

    TypeError if the images are not a uint8 tensor.
    """
    if not isinstance(images, Tensor) or images.dtype != torch.uint8:
        raise TypeError(f"images: got {_kind(images)}, want a uint8 tensor")
    return images.float() / 127.5 - 1


def to_uint8(images: Float[Tensor, "*shape"]) -> UInt8[Tensor, "*shape"]:
    """Float images to uint8: k = round(127.5 (x + 1)), clipped to 0..255. `to_uint8(to_float(k))` is k.

    TypeError if the images are not a floating tensor; ValueError if one of the values is NaN.
    """
    if not isinstance(images, Tensor) or not images.is_floating_point():
        raise TypeError(f"images: got {_kind(images)}, want a floating tensor with values in [-1, 1]")
    if images.isnan().any():
        raise ValueError("images: got NaN, want numbers in [-1, 1]")
    # bfloat16 has 8 significant bits: adding 1 in it would merge neighbouring grey levels.
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def _kind(value: object) -> str:
    return f"a {value.dtype} tensor" if isinstance(value, Tensor) else type(value).__name__
