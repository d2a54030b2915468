"""Which device, which precision: one place that looks, so that nothing else has to ask."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from ..denoiser import Denoiser

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
    return contextlib.nullcontext() if precision == "float32" else _in_bfloat16(device)


@contextlib.contextmanager
def _in_bfloat16(device: torch.device) -> Iterator[None]:
    """Products in bfloat16; on a GPU those that stay float32 are rounded to TF32, which has more digits than that."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        with torch.autocast(device.type, torch.bfloat16):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def compiled(denoiser: Denoiser) -> Denoiser:
    """The same denoiser, with the same weights, its network compiled: for a GPU, where small networks wait for Python.

    There it becomes one CUDA graph, so that a call is one command. The first call of each shape takes a minute. On a
    CPU it needs a C++ compiler, and gains little.
    """
    if type(denoiser) is not Denoiser or not list(denoiser.parameters()):
        raise TypeError(f"denoiser must be a plain Denoiser around a network with weights, got {denoiser!r}")
    cuda = next(denoiser.parameters()).is_cuda
    net = torch.compile(denoiser.net, dynamic=False, mode="reduce-overhead" if cuda else "default")

    def answer(x: Tensor, t: Tensor, cond: object) -> Tensor:
        return net(x, t, cond).clone()  # the next call of a CUDA graph writes where this one wrote

    return Denoiser(answer, denoiser.schedule, denoiser.head)
