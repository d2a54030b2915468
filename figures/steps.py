"""How few steps are enough? Quality against the number of network calls, for every sampler and the distilled network.

    python figures/steps.py                  ten minutes on two cores

Quality is the Frechet distance of 500 samples, equally many of each class, to the 10,000 test images, in the 128
features of minidiffusion.nets.fashion_classifier. To give it a scale, the figure also shows the distance of 500
training images, and that of the test images blurred by a 3x3 mean.

Where two names stand for the same step, the figure shows one of them: euler is ddim, and euler_ancestral is ddpm.
Langevin sampling is left out because it needs a thousand levels. Writes figures/steps.png and figures/steps.json.
"""

import time
from pathlib import Path

import torch
from common import FEATURES, Parser, Quality, generate, precision, record
from tqdm import tqdm

import minidiffusion as md

HERE = Path(__file__).parent
COUNT, STEPS = 500, (1, 2, 4, 8, 16)
# method: the numbers of steps to try, fewer for a method with two calls a step; and its options
SAMPLERS: dict[str, tuple[tuple[int, ...], dict]] = {
    "ddim": (STEPS, {}),
    "heun": (STEPS[:-1], {}),
    "dpmpp_2m": (STEPS, {}),
    "unipc": (STEPS, {}),
    "ddpm": (STEPS, {}),
    "edm_churn": (STEPS[:-1], {"eta": 0.5}),
    "predictor_corrector": (STEPS[:-1], {}),
}


def calls(method: str, steps: int, options: dict) -> int:
    """How often a sampler calls the network: Heun's method, for example, makes one call less in its last step."""
    seen = []

    def denoise(x_t: torch.Tensor, t: float) -> torch.Tensor:
        seen.append(t)
        return x_t

    md.sample(denoise, torch.zeros(1, 1), md.schedule.cosine(), steps=steps, method=method, **options)
    return len(seen)


if __name__ == "__main__":
    Parser(__doc__).parse()
    quality, started = Quality(), time.perf_counter()
    teacher, student = md.shipped(), md.shipped("fashion_mnist_few")
    plan = [(name, teacher, name, n, options) for name, (steps, options) in SAMPLERS.items() for n in steps]
    plan += [("distilled", student, "consistency", n, {}) for n in STEPS[:-1]]
    distances: dict[str, dict[int, float]] = {name: {} for name in (*SAMPLERS, "distilled")}
    for name, denoise, method, steps, options in tqdm(plan, "samplers"):
        samples = generate(denoise, COUNT, steps, method, **options)
        distances[name][calls(method, steps, options)] = round(quality.distance(samples), 3)
    floor, yardstick = round(quality.floor(COUNT), 3), round(quality.yardstick(), 2)
    record(
        __file__,
        {
            "features": FEATURES,
            "samples": COUNT,
            "precision": precision(),
            "training_images": floor,
            "blurred": yardstick,
            "frechet_distance_by_calls": distances,
            "seconds": round(time.perf_counter() - started),
        },
    )

    lines = {name: (list(by_calls), list(by_calls.values())) for name, by_calls in distances.items()}
    levels = {"blurred": yardstick, "real": floor}
    axes = "calls of the network", "Frechet distance"
    figure = md.plots.curves(lines, *axes, levels, x_scale="log", y_scale="log")
    figure.axes[0].set_xticks(STEPS, [str(count) for count in STEPS])
    figure.axes[0].minorticks_off()
    figure.savefig(HERE / "steps.png", dpi=150)
