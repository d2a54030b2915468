"""Networks and nothing but networks: net(x, t, cond) -> output of the shape of x."""

from . import dit, unet
from .classifier import Classifier, fashion_classifier
from .dit import DiT
from .mlp import MLP
from .unet import UNet

NETS = {"MLP": MLP, "UNet": UNet, "DiT": DiT}
SIZES = {"UNet": unet.SIZES, "DiT": dit.SIZES}  # UNet(**SIZES["UNet"]["small"], classes=10)

__all__ = ["MLP", "NETS", "SIZES", "Classifier", "DiT", "UNet", "fashion_classifier"]
