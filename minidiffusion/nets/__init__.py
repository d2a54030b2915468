"""The networks, and nothing but networks. Most are net(x, t, cond) -> output of the shape of x."""

from .autoencoder import Autoencoder
from .base import NETS, Net
from .classifier import Classifier, fashion_classifier
from .dit import DiT
from .mlp import MLP
from .text import TextEncoder, Tokenizer
from .unet import UNet

SIZES: dict[str, dict[str, dict]] = {  # UNet(**SIZES["UNet"]["small"], classes=10)
    "UNet": {
        "small": dict(widths=(32, 64, 128), blocks=(1, 2, 2)),  # trains on two CPU cores
        "base": dict(widths=(128, 256, 256), blocks=(2, 2, 2)),  # this and the next need a GPU
        "large": dict(widths=(256, 512, 512), blocks=(3, 3, 3)),
    },
    "DiT": {
        "small": dict(patch=4, width=128, depth=6),
        "base": dict(patch=2, width=384, depth=12),  # DiT-S/2 of Peebles and Xie (2023)
        "large": dict(patch=2, width=1024, depth=24),  # DiT-L/2
    },
}

__all__ = [
    *("MLP", "NETS", "SIZES", "Autoencoder", "Classifier", "DiT", "Net", "TextEncoder", "Tokenizer", "UNet"),
    "fashion_classifier",
]
