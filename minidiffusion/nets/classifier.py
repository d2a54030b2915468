"""A small classifier of 28x28 images. Quality is measured in its features."""

from importlib.resources import as_file, files

from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn


def _stage(before: int, after: int) -> nn.Sequential:
    def convolution(width: int) -> tuple[nn.Module, ...]:
        return nn.Conv2d(width, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()

    return nn.Sequential(*convolution(before), *convolution(after))


class Classifier(nn.Module):
    """images (batch, 1, height, width) in [-1, 1] -> one score (logit) for each class, (batch, classes)."""

    def __init__(self, classes: int = 10):
        super().__init__()
        self.body = nn.Sequential(
            _stage(1, 32), nn.MaxPool2d(2), _stage(32, 64), nn.MaxPool2d(2), _stage(64, 128), nn.AdaptiveAvgPool2d(1)
        )
        self.head = nn.Linear(128, classes)

    def features(self, x: Float[Tensor, "batch 1 height width"]) -> Float[Tensor, "batch 128"]:
        """The 128 numbers for each image that enter the last layer."""
        return self.body(x).flatten(1)

    def forward(self, x: Float[Tensor, "batch 1 height width"]) -> Float[Tensor, "batch classes"]:
        return self.head(self.features(x))


def fashion_classifier() -> Classifier:
    """The classifier that ships with the package, trained on Fashion-MNIST by figures/classifier.py."""
    net = Classifier()
    with as_file(files("minidiffusion") / "weights" / "fashion_classifier.safetensors") as path:
        net.load_state_dict(load_file(path))
    return net.eval().requires_grad_(False)
