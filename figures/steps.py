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
COUNT, STEPS = 500, (1, 2, 4, 8, 16)
# method: the steps it takes, fewer where one asks twice; and the share of fresh noise
SAMPLERS = {
    "ddim": (STEPS, 0.0),
    "heun": (STEPS[:-1], 0.0),
    "dpmpp_2m": (STEPS, 0.0),
    "unipc": (STEPS, 0.0),
    "ddpm": (STEPS, 0.0),
    "edm_churn": (STEPS[:-1], 0.5),
    "predictor_corrector": (STEPS[:-1], 0.0),
}


def calls(method: str, steps: int, eta: float) -> int:
    """How often so many steps ask the network: the last step of heun asks once, as does one that begins in noise."""
    asked = []

    def denoise(x_t: torch.Tensor, t: float) -> torch.Tensor:
        asked.append(t)
        return x_t

    md.sample(denoise, torch.zeros(1, 1), md.schedule.cosine(), steps=steps, method=method, eta=eta)
    return len(asked)


def draw(denoise: md.Denoiser, method: str, steps: int, eta: float) -> torch.Tensor:
    """COUNT pictures, always from the same noise, rounded to the 256 grey levels that data has."""
    generator, pictures = torch.Generator().manual_seed(0), []
    for cond in (torch.arange(COUNT) % 10).split(250):
        x_1 = md.prior((len(cond), 1, 28, 28), denoise.schedule, generator)
        with md.training.device.autocast(x_1.device):
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

    started, teacher, student = time.perf_counter(), md.shipped(), md.shipped("fashion_mnist_few")
    walks = [(name, teacher, name, n, eta) for name, (steps, eta) in SAMPLERS.items() for n in steps]
    walks += [("distilled", student, "consistency", n, 0.0) for n in STEPS[:-1]]
    distances: dict[str, dict[int, float]] = {name: {} for name in (*SAMPLERS, "distilled")}
    for name, denoise, method, steps, eta in tqdm(walks, "walks"):
        distance = md.metrics.frechet_distance(features(draw(denoise, method, steps, eta)), real)
        distances[name][calls(method, steps, eta)] = round(distance, 3)
    floor = round(md.metrics.frechet_distance(features(train), real), 3)
    yardstick = round(md.metrics.frechet_distance(blurred, real), 2)
    result = {
        "command": "python figures/steps.py",
        "features": "128, fashion_classifier, test accuracy 93.3% (figures/classifier.json)",
        "samples": COUNT,
        "precision": "bfloat16 network" if md.training.device.has_fast_bfloat16(torch.device("cpu")) else "float32",
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
    figure.axes[0].set_xticks(STEPS, [str(count) for count in STEPS])
    figure.axes[0].minorticks_off()
    figure.savefig(HERE / "steps.png", dpi=150)
