"""Networks and nothing but networks: net(x, t, cond) -> output of the shape of x."""

from .mlp import MLP
from .unet import UNet

NETS = {"MLP": MLP, "UNet": UNet}

__all__ = ["MLP", "NETS", "UNet"]
