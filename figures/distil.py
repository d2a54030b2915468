"""Teach a copy of the shipped network to draw in one, two or four steps.

    python figures/distil.py                 half an hour on one core, less on two

Consistency distillation (minidiffusion/consistency.py) in stages: on a coarse grid first, where the end of the path
is only a few jumps away, then on finer ones, which follow the teacher more closely. Writes the student into the
package, in half precision; figures/distil.json, what was done; and figures/distil.png, the same noise drawn by the
teacher in 25, four, two and one steps, and by the student in four, two and one.
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
STUDENT = HERE.parent / "minidiffusion" / "checkpoints" / "fashion_mnist_few.safetensors"
SETTINGS = dict(batch_size=64, learning_rate=3e-4, ema_decay=0.995)
STAGES = {4: 200, 8: 300, 16: 300}  # levels: steps of training
ABOUT = {
    "command": "python figures/distil.py",
    "data": "fashion_mnist",
    "shape": [1, 28, 28],
    "stages": {str(levels): steps for levels, steps in STAGES.items()},
    "draw": {"method": "consistency", "steps": 2},
}


def distil(teacher: md.Denoiser, data: tuple, seed: int = 0) -> None:
    """Saves the student after each stage."""
    student = copy.deepcopy(teacher)
    for levels, steps in STAGES.items():
        student.requires_grad_(True)
        training = md.fit(
            student, data, steps, loss=md.consistency_loss(teacher, levels), seed=seed + levels, **SETTINGS
        )
        *_, step = tqdm(training, f"{levels} levels", steps)
        student = copy.deepcopy(step.ema)
        md.save(student, STUDENT, ABOUT, dtype=torch.float16)


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
    distil(teacher, md.datasets.load("fashion_mnist"))
    result = {
        "command": ABOUT["command"],
        "stages": ABOUT["stages"],
        "settings": SETTINGS,
        "seconds": round(time.perf_counter() - started),
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }
    (HERE / "distil.json").write_text(json.dumps(result, indent=2) + "\n")

    student = md.shipped("fashion_mnist_few")
    rows = [(f"teacher, {steps} steps", draw(teacher, steps, "dpmpp_2m")) for steps in (25, 4, 2, 1)]
    rows += [(f"student, {steps} steps", draw(student, steps, "consistency")) for steps in (4, 2, 1)]
    md.plots.strips(rows).savefig(HERE / "distil.png", dpi=150)
