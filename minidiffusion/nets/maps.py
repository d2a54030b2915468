"""Where a network looks: the weights of its cross-attention, collected while it works."""

import contextlib
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .attention import CrossAttention


def weights(layer: CrossAttention, x: Tensor, words: Tensor) -> Float[Tensor, "batch place word"]:
    """How much each place attends to each word, averaged over the heads: rows of sum 1, and 0 on padding."""
    q, k, _, mask = layer.parts(x, words)
    scores = (q @ k.transpose(2, 3) / q.shape[3] ** 0.5).float()
    return scores.masked_fill(~mask, -torch.inf).softmax(3).mean(1)


@contextlib.contextmanager
def recorded(net: nn.Module) -> Iterator[list[Float[Tensor, "batch place word"]]]:
    """Inside the block, each cross-attention of `net` appends its weights to the list, whenever `net` is called."""
    maps: list[Tensor] = []
    layers = [module for module in net.modules() if isinstance(module, CrossAttention)]
    hooks = [
        layer.register_forward_pre_hook(lambda layer, args: maps.append(weights(layer, *args))) for layer in layers
    ]
    try:
        yield maps
    finally:
        for hook in hooks:
            hook.remove()
