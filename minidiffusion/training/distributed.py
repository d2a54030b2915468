"""Several processes that share one training, as torchrun starts them."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def processes() -> tuple[int, int]:
    """The number of this process, counted from 0, and the number of processes: (0, 1) without `torch.distributed`."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_available() and dist.is_initialized() else (0, 1)


def sum_over_processes(tensors: list[Tensor]) -> None:
    """Replace each tensor by its sum over all processes, in place, with a single message for all of them."""
    if processes()[1] > 1:
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        for tensor, total in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(total.view_as(tensor))
