"""Which device, which precision: one place that looks, so that nothing else has to ask."""

from __future__ import annotations

import contextlib

import torch

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def best_device() -> torch.device:
    """CUDA if there is one, then Apple's MPS, then the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def as_device(name: str | torch.device | None) -> torch.device:
    """The device of this name, None for the best; ValueError if this machine does not have it."""
    if name is None:
        return best_device()
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        raise ValueError(f"device must be one that this machine has, got {str(name)!r}: {error}") from None
    return device


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is done by the hardware: on a CPU without it, autocast is many times slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False


def autocast(device: torch.device, precision: str | None = None) -> contextlib.AbstractContextManager:
    """Run networks in this precision inside the block; None takes bfloat16 where the hardware has it.

    Only the network is inside: losses, samplers and weights stay float32.
    """
    if precision is None:
        precision = "bfloat16" if has_fast_bfloat16(device) else "float32"
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, PRECISIONS[precision])
