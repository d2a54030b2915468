"""Measure the shipped checkpoint: the Frechet distance of 10,000 samples to the 10,000 test images.

    python figures/quality.py
    python figures/quality.py --checkpoint minidiffusion-fashion_mnist/model.safetensors --ship

Two more numbers give the distance a scale. The floor is the distance of 10,000 training images, and the yardstick is
the distance of the test images after a blur by a 3x3 mean. The features are the 128 of
minidiffusion.nets.fashion_classifier.

Writes figures/quality.json. Ten thousand samples take about ten minutes on two cores. The second command measures a
checkpoint that `minidiffusion train fashion_mnist` produced, as it is after its weights were rounded to one byte each,
and then puts it into the package in this form, with its quality in the header.
"""

import json
import tempfile
import time
from pathlib import Path

import torch
from common import FEATURES, WEIGHTS, Parser, Quality, generate, precision, record

import minidiffusion as md

SHIPPED = WEIGHTS / "fashion_mnist.safetensors"

if __name__ == "__main__":
    parser = Parser(__doc__)
    parser.add_argument("--checkpoint", default=SHIPPED)
    parser.add_argument("--count", type=int, default=10_000, help="how many samples")
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--method", default="dpmpp_2m")
    parser.add_argument("--ship", action="store_true", help="put the checkpoint into the package")
    arguments = parser.parse()

    quality = Quality()
    floor, yardstick = quality.floor(10_000), quality.yardstick()
    print(f"floor (training images) {floor:.3f}, yardstick (blurred test images) {yardstick:.2f}", flush=True)

    started = time.time()
    with tempfile.TemporaryDirectory() as folder:  # round the weights as they are when they are shipped
        rounded = Path(folder) / "rounded.safetensors"
        md.save(md.load(arguments.checkpoint), rounded, dtype=torch.int8)
        denoise = md.load(rounded)
    samples = generate(denoise, arguments.count, arguments.steps, arguments.method)
    seconds = time.time() - started
    distance = quality.distance(samples)
    result = record(
        __file__,
        {
            "features": FEATURES,
            "samples": arguments.count,
            "method": arguments.method,
            "steps": arguments.steps,
            "precision": precision(),
            "frechet_distance": round(distance, 3),
            "floor": round(floor, 3),
            "yardstick": round(yardstick, 2),
            "percent_of_yardstick": round(100 * distance / yardstick, 2),
            "sampling_seconds": round(seconds, 1),
        },
    )
    print(json.dumps(result, indent=2))
    if arguments.ship:
        about = md.training.read_header(arguments.checkpoint)["about"]
        md.save(denoise, SHIPPED, about | {"quality": result}, dtype=torch.int8)
