"""Which device to use, and in which precision."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from ..check import came, one_of
from ..denoiser import Denoiser

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def best_device() -> torch.device:
    """CUDA if there is one, otherwise Apple's MPS, otherwise the CPU."""
    mps = torch.backends.mps.is_available()
    return torch.device("cuda" if torch.cuda.is_available() else "mps" if mps else "cpu")


def as_device(name: str | torch.device | None) -> torch.device:
    """The device of this name, or the best one for None; ValueError if this machine does not have it."""
    try:
        device = best_device() if name is None else torch.device(name)
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
    """Run networks in this precision inside the block; None takes bfloat16 if the hardware has it, otherwise float32.

    Weights, losses and samplers stay in float32. ValueError if there is no such precision.
    """
    if precision is None:
        precision = "bfloat16" if has_fast_bfloat16(device) else "float32"
    fast = one_of("precision", precision, PRECISIONS) == "bfloat16"
    before = torch.backends.cuda.matmul.allow_tf32
    # products that a GPU leaves in float32 may use TF32 then, which has at least as many digits as bfloat16
    torch.backends.cuda.matmul.allow_tf32 = before or fast
    try:
        with torch.autocast(device.type, torch.bfloat16) if fast else contextlib.nullcontext():
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def compiled(denoiser: Denoiser) -> Denoiser:
    """The same denoiser and weights with its network compiled: faster on a GPU, where small networks wait for Python.

    There, a call becomes one CUDA graph, and the first call of each shape takes a minute. On a CPU, it needs a C++
    compiler and gains little.
    """
    if type(denoiser) is not Denoiser or not list(denoiser.parameters()):
        raise TypeError(f"denoiser must be a plain Denoiser around a network with weights, got {came(denoiser)}")
    cuda = next(denoiser.parameters()).is_cuda
    net = torch.compile(denoiser.net, dynamic=False, mode="reduce-overhead" if cuda else "default")

    def call(x: Tensor, t: Tensor, cond: object) -> Tensor:
        return net(x, t, cond).clone()  # because the next call of a CUDA graph overwrites this output

    return Denoiser(call, denoiser.schedule, denoiser.head)
