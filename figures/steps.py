"""How few steps? The quality of every sampler against how often it asks the network, and of the distilled network.

    python figures/steps.py                  ten minutes on two cores

Frechet distance of 500 samples, as many of each class, to the 10,000 test images, in the 128 features of
minidiffusion.nets.fashion_classifier; beside it the same distance for 500 training images, and for the test images
blurred by a 3x3 mean. Samplers that are one step under two names stand once: euler is ddim, euler_ancestral is ddpm.
Langevin's method is left out: it needs a thousand levels. Writes figures/steps.png and figures/steps.json.
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
COUNT, CALLS = 500, (1, 2, 4, 8, 16)
# method: calls of the network in a step, and the share of fresh noise
SAMPLERS = {
    "ddim": (1, 0.0),
    "heun": (2, 0.0),
    "dpmpp_2m": (1, 0.0),
    "unipc": (1, 0.0),
    "ddpm": (1, 0.0),
    "edm_churn": (2, 0.5),
    "predictor_corrector": (2, 0.0),
}


def draw(denoise: md.Denoiser, method: str, steps: int, eta: float) -> torch.Tensor:
    """COUNT pictures, always from the same noise, rounded to the 256 grey levels that data has."""
    generator, pictures = torch.Generator().manual_seed(0), []
    for cond in (torch.arange(COUNT) % 10).split(250):
        x_1 = md.prior((len(cond), 1, 28, 28), denoise.schedule, generator)
        with md.device.autocast(x_1.device):
            x0 = md.sample(denoise, x_1, steps=steps, method=method, eta=eta, cond=cond, generator=generator)
        pictures.append(md.datasets.to_float(md.datasets.to_uint8(x0)))
    return torch.cat(pictures)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)

    classifier = fashion_classifier()

    def features(images: torch.Tensor) -> torch.Tensor:
        return torch.cat([classifier.features(part) for part in images.split(500)])

    test = md.datasets.to_float(md.datasets.load("fashion_mnist", "test")[0])
    train = md.datasets.to_float(md.datasets.load("fashion_mnist")[0][:COUNT])
    real = features(test)
    blurred = features(F.avg_pool2d(F.pad(test, (1, 1, 1, 1), mode="replicate"), 3, stride=1))

    def distance(denoise: md.Denoiser, method: str, steps: int, eta: float = 0.0) -> float:
        return round(md.metrics.frechet_distance(features(draw(denoise, method, steps, eta)), real), 3)

    started, teacher, student = time.perf_counter(), md.shipped(), md.shipped("fashion_mnist_few")
    distances: dict[str, dict[int, float]] = {name: {} for name in (*SAMPLERS, "distilled")}
    walks = [(name, calls) for calls in CALLS for name, (each, _) in SAMPLERS.items() if calls % each == 0]
    for name, calls in tqdm(walks, "walks"):
        each, eta = SAMPLERS[name]
        distances[name][calls] = distance(teacher, name, calls // each, eta)
    for calls in (1, 2, 4, 8):
        distances["distilled"][calls] = distance(student, "consistency", calls)
    floor = round(md.metrics.frechet_distance(features(train), real), 3)
    yardstick = round(md.metrics.frechet_distance(blurred, real), 2)
    result = {
        "command": "python figures/steps.py",
        "features": "128, fashion_classifier, test accuracy 93.3% (figures/classifier.json)",
        "samples": COUNT,
        "precision": "bfloat16 network" if md.device.has_fast_bfloat16(torch.device("cpu")) else "float32",
        "training_images": floor,
        "blurred": yardstick,
        "frechet_distance_by_calls": distances,
        "seconds": round(time.perf_counter() - started),
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }
    (HERE / "steps.json").write_text(json.dumps(result, indent=2) + "\n")

    lines = {name: (list(by_calls), list(by_calls.values())) for name, by_calls in distances.items()}
    levels = {"blurred": yardstick, "real": floor}
    axes = "calls of the network", "Frechet distance"
    figure = md.plots.curves(lines, *axes, levels, x_scale="log", y_scale="log")
    figure.axes[0].set_xticks(CALLS, [str(calls) for calls in CALLS])
    figure.axes[0].minorticks_off()
    figure.savefig(HERE / "steps.png", dpi=150)
