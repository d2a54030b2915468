"""Several processes on one training, as torchrun starts them."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def processes() -> tuple[int, int]:
    """Which process this is, from 0, and of how many: 0 of 1, unless `torch.distributed` was set up."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_available() and dist.is_initialized() else (0, 1)


def sum_over_processes(tensors: list[Tensor]) -> None:
    """Each tensor becomes its sum over all processes, in place; one message for all of them."""
    if processes()[1] > 1:
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        for tensor, total in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(total.view_as(tensor))
