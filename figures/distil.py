"""Teach a copy of the shipped network to draw in one, two or four steps.

    python figures/distil.py                 nine minutes on two cores

Consistency distillation (minidiffusion/consistency.py) on four levels: the end of the teacher's path is then at most
four jumps away, and is learned in a thousand steps. They must be small. In one, two and four steps the Frechet distance
(500 samples) was 1.09, 0.77 and 0.74 after these, and 1.62, 0.72 and 0.71 after half as many; but 3.81, 2.85 and 2.44
after 200 at a rate of 3e-4, and 2.04, 2.63 and 2.36 after 800 at 1e-3: the first large steps spoil the last level,
where the teacher was nearly right, and it does not come back. That is the best of seven tries.

Writes the student into the package, in half precision; figures/distil.json, what was done; and figures/distil.png, the
same noise drawn by the teacher in 25, four, two and one steps, and by the student in four, two and one.
"""

import argparse
import copy
import json
import platform
import time
from pathlib import Path

import torch
from tqdm import tqdm

import minidiffusion as md

HERE = Path(__file__).parent
STUDENT = HERE.parent / "minidiffusion" / "weights" / "fashion_mnist_few.safetensors"
LEVELS, TRAINING = 4, 1000  # steps of training
SETTINGS = dict(batch_size=64, learning_rate=1e-4, ema_decay=0.98, seed=4)
ABOUT = {
    "command": "python figures/distil.py",
    "data": "fashion_mnist",
    "shape": [1, 28, 28],
    "levels": LEVELS,
    "training_steps": TRAINING,
    "draw": {"method": "consistency", "steps": 2},
}


def distil(teacher: md.Denoiser, data: tuple) -> md.Denoiser:
    student = copy.deepcopy(teacher).requires_grad_(True)
    training = md.fit(student, data, TRAINING, loss=md.consistency_loss(teacher, LEVELS), **SETTINGS)
    for step in tqdm(training, "distil", TRAINING):
        student = step.ema
    return student


def draw(denoise: md.Denoiser, steps: int, method: str) -> torch.Tensor:
    """Ten pictures, one of each class, always from the same noise."""
    generator = torch.Generator().manual_seed(0)
    x_1 = md.prior((10, 1, 28, 28), denoise.schedule, generator)
    return md.sample(denoise, x_1, steps=steps, method=method, cond=torch.arange(10), generator=generator)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)

    teacher, started = md.shipped(), time.perf_counter()
    md.save(distil(teacher, md.datasets.load("fashion_mnist")), STUDENT, ABOUT, dtype=torch.float16)
    result = {
        "command": ABOUT["command"],
        "levels": LEVELS,
        "training_steps": TRAINING,
        "settings": SETTINGS,
        "seconds": round(time.perf_counter() - started),
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }
    (HERE / "distil.json").write_text(json.dumps(result, indent=2) + "\n")

    student = md.shipped("fashion_mnist_few")
    walks = [("teacher", teacher, "dpmpp_2m", steps) for steps in (25, 4, 2, 1)]
    walks += [("student", student, "consistency", steps) for steps in (4, 2, 1)]
    rows = [(f"{who}, {steps} step{'s' * (steps > 1)}", draw(net, steps, how)) for who, net, how, steps in walks]
    md.plots.strips(rows).savefig(HERE / "distil.png", dpi=150)
