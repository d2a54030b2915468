"""Networks and nothing but networks: net(x, t, cond) -> output of the shape of x."""

from .classifier import Classifier, fashion_classifier
from .mlp import MLP
from .unet import UNet

NETS = {"MLP": MLP, "UNet": UNet}

__all__ = ["MLP", "NETS", "Classifier", "UNet", "fashion_classifier"]
