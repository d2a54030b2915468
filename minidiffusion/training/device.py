"""Which device to use, and in which precision."""

import contextlib
from collections.abc import Iterator

import torch

from ..check import one_of

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def as_device(name: str | torch.device | None = None) -> torch.device:
    """The device of this name, or CUDA, else Apple's MPS, else the CPU; ValueError if this machine does not have it."""
    best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        return torch.empty(0, device=best if name is None else name).device
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        raise ValueError(f"device must be one that this machine has, got {str(name)!r}: {error}") from None


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether the hardware computes in bfloat16. A CPU that emulates it is many times slower than in float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


@contextlib.contextmanager
def autocast(device: torch.device, precision: str | None = None) -> Iterator[None]:
    """Run networks in float32 or bfloat16 inside the block; None takes bfloat16 if the hardware has it.

    Weights, losses and samplers stay in float32. Along with bfloat16, a GPU may compute the products that stay in
    float32 as TF32, which has ten bits after the point where bfloat16 has seven. ValueError: unknown precision.
    """
    own = "bfloat16" if has_fast_bfloat16(device) else "float32"
    if one_of("precision", own if precision is None else precision, PRECISIONS) == "float32":
        return (yield)
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        with torch.autocast(device.type, torch.bfloat16):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
