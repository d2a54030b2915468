"""What the scripts in this folder share: options, the JSON file for the numbers, and the measure of image quality."""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

import minidiffusion as md
from minidiffusion.nets import fashion_classifier

WEIGHTS = Path(md.__file__).parent / "weights"
VERSIONS = {"python": platform.python_version(), "torch": torch.__version__}
FEATURES = "128, fashion_classifier, test accuracy 93.3% (figures/classifier.json)"


class Parser(argparse.ArgumentParser):
    """The options of a script. `--help` prints the script's docstring, and every script has `--threads`."""

    def __init__(self, docstring: str):
        super().__init__(description=docstring, formatter_class=argparse.RawDescriptionHelpFormatter)
        self.add_argument("--threads", type=int, help="how many threads PyTorch may use; default: PyTorch's own choice")

    def parse(self) -> argparse.Namespace:
        """The parsed arguments; the number of threads is already set."""
        arguments = self.parse_args()
        if arguments.threads:
            torch.set_num_threads(arguments.threads)
        return arguments


def record(script: str, result: dict[str, Any], indent: int | None = 2) -> dict[str, Any]:
    """Write `result` to the JSON file beside the script, together with the command, threads and versions behind it."""
    file = Path(script).with_suffix(".json")
    provenance = {"threads": torch.get_num_threads(), "versions": VERSIONS}
    result = {"command": f"python figures/{file.stem}.py", **result, **provenance}
    file.write_text(json.dumps(result, indent=indent) + "\n")
    return result


def digits(value: float) -> float:
    """Four significant digits."""
    return float(f"{value:.4g}")


def images(split: str, count: int | None = None) -> Tensor:
    """The images of Fashion-MNIST in [-1, 1], or the first `count` of them."""
    return md.datasets.to_float(md.datasets.load("fashion_mnist", split)[0][:count])


def generate(denoise: md.Denoiser, count: int, steps: int, method: str, **options: Any) -> Tensor:
    """`count` samples, equally many of each class and always from the same noise, rounded to 256 grey levels."""
    generator, parts = torch.Generator().manual_seed(0), []
    for cond in tqdm((torch.arange(count) % 10).split(250), "sampling", leave=False):
        x_1 = md.prior((len(cond), 1, 28, 28), denoise.schedule, generator)
        with md.training.device.autocast(x_1.device):
            x0 = md.sample(denoise, x_1, steps=steps, method=method, cond=cond, generator=generator, **options)
        parts.append(md.datasets.to_uint8(x0))
    return md.datasets.to_float(torch.cat(parts))


def precision() -> str:
    """The precision that `generate` runs the network in."""
    return "bfloat16 network" if md.training.device.has_fast_bfloat16(torch.device("cpu")) else "float32"


class Quality:
    """The Frechet distance of images to the 10,000 test images, in the features of the classifier in the package."""

    def __init__(self):
        self.classifier = fashion_classifier()
        self.test = images("test")
        self.real = self.features(self.test)

    def features(self, x: Tensor) -> Tensor:
        return torch.cat([self.classifier.features(batch) for batch in x.split(500)])

    def distance(self, x: Tensor) -> float:
        return md.metrics.frechet_distance(self.features(x), self.real)

    def floor(self, count: int) -> float:
        """The distance of `count` training images: real data is not at zero, because both sets are finite."""
        return self.distance(images("train", count))

    def yardstick(self) -> float:
        """The distance of the test images themselves after a slight blur, a 3x3 mean."""
        return self.distance(F.avg_pool2d(F.pad(self.test, (1, 1, 1, 1), mode="replicate"), 3, stride=1))
