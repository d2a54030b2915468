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
        device = torch.device(best if name is None else name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        raise ValueError(f"device must be one that this machine has, got {str(name)!r}: {error}") from None
    return device


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether the hardware computes in bfloat16. A CPU that emulates it is many times slower than in float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


@contextlib.contextmanager
def autocast(device: torch.device, precision: str | None = None) -> Iterator[None]:
    """Run networks in float32 or bfloat16 inside the block; None takes bfloat16 if the hardware has it.

    Weights, losses and samplers stay in float32. Products that a GPU leaves in float32 may then use TF32, which has at
    least as many digits as bfloat16. ValueError if there is no such precision.
    """
    own = "bfloat16" if has_fast_bfloat16(device) else "float32"
    fast = one_of("precision", own if precision is None else precision, PRECISIONS) == "bfloat16"
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = before or fast
    try:
        with torch.autocast(device.type, torch.bfloat16) if fast else contextlib.nullcontext():
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
