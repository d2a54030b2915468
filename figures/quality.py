"""Measure the shipped checkpoint: Frechet distance of 10,000 samples to the 10,000 test images.

    python figures/quality.py
    python figures/quality.py --checkpoint minidiffusion-fashion_mnist/model.safetensors --ship

Beside it stand the floor, the same distance for 10,000 training images, and the yardstick, the same distance for
the test images blurred by a 3x3 mean. Features: the 128 of minidiffusion.nets.fashion_classifier.
Writes figures/quality.json. Ten thousand samples take about ten minutes on two cores. The second form measures a
checkpoint of `minidiffusion train fashion_mnist` and puts it into the package, in half precision, with its quality
in the header.
"""

import argparse
import json
import platform
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from tqdm import tqdm

import minidiffusion as md
from minidiffusion.nets import fashion_classifier

HERE = Path(__file__).parent
SHIPPED = HERE.parent / "minidiffusion" / "weights" / "fashion_mnist.safetensors"


def features(net: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """(count, 128), in float32; images in [-1, 1]."""
    return torch.cat([net.features(batch) for batch in images.split(500)])


def draw(denoise: md.Denoiser, count: int, steps: int, method: str, seed: int = 0) -> torch.Tensor:
    """`count` pictures, as many of each class, rounded to the 256 grey levels that data has."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 10
    pictures = []
    for cond in tqdm(labels.split(250), desc="sampling"):
        x_1 = md.prior((len(cond), 1, 28, 28), denoise.schedule, generator)
        with md.training.device.autocast(x_1.device):
            x0 = md.sample(denoise, x_1, steps=steps, method=method, cond=cond, generator=generator)
        pictures.append(md.datasets.to_float(md.datasets.to_uint8(x0)))
    return torch.cat(pictures)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", default=SHIPPED)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--method", default="dpmpp_2m")
    parser.add_argument("--ship", action="store_true")
    arguments = parser.parse_args()

    classifier = fashion_classifier()
    test = md.datasets.to_float(md.datasets.load("fashion_mnist", "test")[0])
    train = md.datasets.to_float(md.datasets.load("fashion_mnist")[0][:10_000])
    real = features(classifier, test)
    blurred = features(classifier, F.avg_pool2d(F.pad(test, (1, 1, 1, 1), mode="replicate"), 3, stride=1))
    floor = md.metrics.frechet_distance(features(classifier, train), real)
    yardstick = md.metrics.frechet_distance(blurred, real)
    print(f"floor (training images) {floor:.3f}, yardstick (blurred copy) {yardstick:.2f}", flush=True)

    started = time.time()
    denoise = md.load(arguments.checkpoint).half().float()  # what half precision will keep
    samples = draw(denoise, arguments.count, arguments.steps, arguments.method)
    seconds = time.time() - started
    distance = md.metrics.frechet_distance(features(classifier, samples), real)
    result = {
        "command": "python figures/quality.py",
        "features": "128, fashion_classifier, test accuracy 93.3% (figures/classifier.json)",
        "samples": arguments.count,
        "method": arguments.method,
        "steps": arguments.steps,
        "precision": "bfloat16 network" if md.training.device.has_fast_bfloat16(torch.device("cpu")) else "float32",
        "frechet_distance": round(distance, 3),
        "floor": round(floor, 3),
        "yardstick": round(yardstick, 2),
        "percent_of_yardstick": round(100 * distance / yardstick, 2),
        "sampling_seconds": round(seconds, 1),
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }
    (HERE / "quality.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    if arguments.ship:
        about = md.training.read_header(arguments.checkpoint)["about"]
        md.save(denoise, SHIPPED, about | {"quality": result}, dtype=torch.float16)
