"""Errors at the two ends: what one small error in the network's output does, for each head.

    python figures/errors.py

DDIM takes the 1,000 steps of DDPM's schedule with an exact denoiser. At one step we add an error of 0.001 to the output
in every dimension, in the units of one head; all other steps are exact. Three things are measured:
- how far x0_hat moves at that step, for which the closed form is 1 / gain (minidiffusion/heads.py);
- how far the final sample moves: later steps can shrink the error or make it grow;
- how far the final sample moves if every step has an error, drawn independently with that size.
Writes figures/errors.png and figures/errors.json.
"""

import json
import math
from pathlib import Path

import torch
from common import Parser, digits, record
from tqdm import tqdm

import minidiffusion as md

HERE = Path(__file__).parent
SIZE, STEPS, COUNT = 1e-3, 1000, 128
HEADS = ["eps", "x0", "v", "score", "flow"]
AT = [1000, 998, 995, 990, 975, 950, 900, 800, 650, 500, 350, 200, 100, 50, 25, 10, 5, 2, 1]

schedule = md.schedule.linear()


def exact() -> md.oracle.Mixture:
    """The exact denoiser of two Gaussians in the plane; their mixture has unit variance."""
    means = torch.tensor([[-0.9, 0.3], [0.9, -0.3]])
    return md.oracle.mixture(torch.tensor([0.5, 0.5]), means, 0.1 * torch.eye(2).expand(2, 2, 2), schedule)


def off(denoise, head: md.heads.Head, steps: set[int], seed: int):
    """The same denoiser with an error of SIZE in the head's output at these steps."""
    generator = torch.Generator().manual_seed(seed)

    def wrong(x_t, t):
        x0 = denoise(x_t, t)
        if round(t * STEPS) not in steps:
            return x0
        output = head.target(x0, md.to_eps(x0, x_t, t, schedule), t, schedule)
        error = SIZE * torch.randn(x_t.shape, generator=generator, dtype=x_t.dtype)
        return head.to_x0(output + error, x_t, t, schedule)

    return wrong


def size(difference: torch.Tensor) -> float:
    """Root mean square, in units of the error that was added."""
    return difference.square().mean().sqrt().item() / SIZE


def measure() -> dict:
    denoise, generator = exact(), torch.Generator().manual_seed(0)
    eps = torch.randn(COUNT, 2, generator=generator, dtype=torch.float64)
    x_1 = md.diffuse(denoise.sample(COUNT, generator).double(), 1.0, eps, schedule)
    right = [x_1, *(x for _, x, _ in md.trajectory(denoise, x_1, schedule, STEPS))]  # right[k]: after k steps
    grid = md.samplers.uniform(STEPS)
    heads = {}
    for name in tqdm(HEADS):
        head, first, last = md.heads.HEADS[name], [], []
        for step in AT:
            start = STEPS - step
            wrong = off(denoise, head, {step}, seed=1)
            guess = wrong(right[start], grid[start])
            first.append(size(guess - denoise(right[start], grid[start])))
            wrong = off(denoise, head, {step}, seed=1)
            end = md.sample(wrong, right[start], schedule, times=grid[start:])
            last.append(size(end - right[-1]))
        closed = [1 / head.gain(step / STEPS, x_1, schedule).item() for step in AT]
        everywhere = off(denoise, head, set(range(1, STEPS + 1)), seed=2)
        end = md.sample(everywhere, x_1, schedule, STEPS)
        heads[name] = {
            "in_x0_hat": first,
            "closed_form": closed,
            "at_the_end": last,
            "all_steps": size(end - right[-1]),
        }
    return heads


def simple_loss_share(until: int) -> float:
    """The share of its weight that L_simple, written as a loss on x0, puts on the first `until` of the 1,000 times."""
    snr = torch.exp(torch.tensor([schedule.log_snr(i / STEPS) for i in range(1, STEPS + 1)], dtype=torch.float64))
    return (snr[:until].sum() / snr.sum()).item()


if __name__ == "__main__":
    Parser(__doc__).parse()
    heads = measure()
    log_snr = [schedule.log_snr(step / STEPS) for step in AT]
    panels = {
        "in x0_hat, at once": {name: (log_snr, found["in_x0_hat"]) for name, found in heads.items()},
        "in the final sample": {name: (log_snr, found["at_the_end"]) for name, found in heads.items()},
    }
    label = "log SNR where the error is made (left: nearly noise, right: nearly data)"
    figure = md.plots.panels(panels, label, "error, in units of the added one", y_scale="log")
    figure.savefig(HERE / "errors.png", dpi=150)
    result = record(
        __file__,
        {
            "what": "error in x0_hat and in the final sample, over the error in the output at one DDIM step of 1,000",
            "schedule": "linear",
            "data": "mixture of two Gaussians in the plane, exact denoiser, float64",
            "samples": COUNT,
            "step": AT,
            "log_snr": [digits(value) for value in log_snr],
            "heads": {
                name: {
                    key: [digits(each) for each in value] if isinstance(value, list) else digits(value)
                    for key, value in found.items()
                }
                for name, found in heads.items()
            },
            "share_of_L_simple_as_a_weight_on_x0": {
                f"t <= {until} of 1000": digits(simple_loss_share(until)) for until in (10, 100)
            },
            "one_over_sqrt_snr_at_the_end": {
                name: digits(math.exp(-md.schedule.NAMED[name]().log_snr(1.0) / 2))
                for name in ("linear", "scaled_linear")
            },
        },
    )
    print(json.dumps(result["heads"], indent=1))
