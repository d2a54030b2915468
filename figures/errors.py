"""Errors at the two ends: one small mistake in what the network says, as each head would make it.

    python figures/errors.py

DDPM's 1,000 steps, walked by DDIM with an exact denoiser. At one step the output is off by 0.001 in every
dimension, in the terms of one head; all other steps are exact. Three things are measured:
- what the mistake does to x0_hat at that step: the closed form is 1 / gain (minidiffusion/heads.py);
- what is left of it at the end, after the later steps have pulled it back: it could have grown instead;
- what becomes of the walk if every step is off, by fresh noise of that size.
Writes figures/errors.png and figures/errors.json.
"""

import json
import platform
from pathlib import Path

import torch
from tqdm import tqdm

import minidiffusion as md

HERE = Path(__file__).parent
SIZE, STEPS, COUNT = 1e-3, 1000, 128
HEADS = ["eps", "x0", "v", "score", "flow"]
AT = [1000, 998, 995, 990, 975, 950, 900, 800, 650, 500, 350, 200, 100, 50, 25, 10, 5, 2, 1]

schedule = md.schedule.linear()


def exact() -> md.oracle.Mixture:
    """Two Gaussians in the plane, of unit variance together."""
    means = torch.tensor([[-0.9, 0.3], [0.9, -0.3]])
    return md.oracle.mixture(torch.tensor([0.5, 0.5]), means, 0.1 * torch.eye(2).expand(2, 2, 2), schedule)


def off(denoise, head: md.heads.Head, steps: set[int], seed: int):
    """The denoiser whose output, in the head's terms, is off by SIZE at these steps."""
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
    """Root mean square, in units of the error that was put in."""
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
    """The share of L_simple's weight, seen as a weight on the error of x0, that lies at t <= until of 1,000."""
    snr = torch.exp(torch.tensor([schedule.log_snr(i / STEPS) for i in range(1, STEPS + 1)], dtype=torch.float64))
    return (snr[:until].sum() / snr.sum()).item()


def digits(values: list[float]) -> list[float]:
    return [float(f"{value:.4g}") for value in values]


if __name__ == "__main__":
    heads = measure()
    log_snr = [schedule.log_snr(step / STEPS) for step in AT]
    panels = {
        "in x0_hat, at once": {name: (log_snr, made["in_x0_hat"]) for name, made in heads.items()},
        "in the picture, at the end": {name: (log_snr, made["at_the_end"]) for name, made in heads.items()},
    }
    label = "log SNR where the mistake is made (left: nearly noise, right: nearly data)"
    figure = md.plots.panels(panels, label, "error, in units of the output's", y_scale="log")
    figure.savefig(HERE / "errors.png", dpi=150)
    result = {
        "command": "python figures/errors.py",
        "what": "error in x0_hat and in the final sample, over the error put into the output at one DDIM step of 1,000",
        "schedule": "linear",
        "data": "mixture of two Gaussians in the plane, exact denoiser, float64",
        "samples": COUNT,
        "step": AT,
        "log_snr": digits(log_snr),
        "heads": {
            name: {key: digits(value) if isinstance(value, list) else digits([value])[0] for key, value in made.items()}
            for name, made in heads.items()
        },
        "share_of_L_simple_as_a_weight_on_x0": {
            f"t <= {until} of 1000": digits([simple_loss_share(until)])[0] for until in (10, 100)
        },
        "one_over_sqrt_snr_at_the_end": {
            name: digits([pow(2.718281828459045, -md.schedule.NAMED[name]().log_snr(1.0) / 2)])[0]
            for name in ("linear", "scaled_linear")
        },
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }
    (HERE / "errors.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result["heads"], indent=1))
