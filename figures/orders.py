"""How fast the error of each sampler falls with the number of steps, compared with how fast it should fall.

    python figures/orders.py

The deterministic samplers run on a mixture of two Gaussians in the plane, from eight starting points, in float64. Their
exact answer comes from scipy's DOP853 at a tolerance of 1e-12. The samplers with fresh noise run on a Gaussian, where
one run without any random numbers gives the mean and the variance of the samples; the exact answer is the variance of
the data.

Writes figures/orders.png, and figures/orders.json with five entries for each run: the errors, the slope of the last
three of them in log-log, the order that the method has on smooth problems, and the constant, which is the last
error times steps^order.
"""

from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import scipy
import torch
from matplotlib.figure import Figure
from scipy.integrate import solve_ivp

import minidiffusion as md
from minidiffusion.samplers import METHODS, karras, uniform, uniform_log_snr

HERE = Path(__file__).parent
STEPS = [8, 16, 32, 64, 128, 256]
ORDER = {"euler": 1, "heun": 2, "dpmpp_2m": 2, "unipc": 3}
NOISY = {"ddpm": ("ddpm", 0.0), "ddim, eta 0.5": ("ddim", 0.5), "edm_churn, eta 1": ("edm_churn", 1.0)}
SCHEDULES = {name: md.schedule.NAMED[name]() for name in ("linear", "cosine", "flow", "ve")}


def inside(schedule: md.schedule.Schedule, steps: int) -> list[float]:
    """From t = 0.9 to 0.1 in equal steps of log-SNR, away from both ends."""
    a, b = schedule.log_snr(0.9), schedule.log_snr(0.1)
    return [0.9, *(schedule.time(a + (b - a) * i / steps) for i in range(1, steps)), 0.1]


GRIDS = {
    "inside": inside,
    "karras": karras,
    "log_snr": uniform_log_snr,
    "uniform": lambda schedule, steps: uniform(steps),
    "uniform, to 0.1": lambda schedule, steps: [1 - 0.9 * i / steps for i in range(steps + 1)],
}


def plane(schedule: md.schedule.Schedule) -> md.oracle.Mixture:
    """Two Gaussians that overlap, so that their denoiser is smooth but far from linear."""
    covs = [[[0.15, 0.05], [0.05, 0.1]], [[0.2, -0.06], [-0.06, 0.12]]]
    weights, means = torch.tensor([0.3, 0.7]), torch.tensor([[-1.0, 0.5], [0.8, -0.3]])
    return md.oracle.mixture(weights, means, torch.tensor(covs), schedule)


def exact(x_t: torch.Tensor, t: float, s: float, schedule: md.schedule.Schedule) -> torch.Tensor:
    """The point at time s to which the probability-flow ODE takes x_t.

    For any schedule, x / (alpha + sigma) as a function of tau = sigma / (alpha + sigma) is the x of the flow schedule.
    There the ODE is dx / dtau = (x - x0_hat) / tau. It is smooth from pure noise to data, where its limit is -x.
    """
    guess = plane(SCHEDULES["flow"])
    scale_t, scale_s = (schedule.alpha(time) + schedule.sigma(time) for time in (t, s))
    start, end = schedule.sigma(t) / scale_t, schedule.sigma(s) / scale_s

    def slope(tau: float, flat: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(flat.copy()).view_as(x_t)
        return ((x - guess(x, tau)) / tau if tau > 0 else -x).flatten().numpy()

    x = (x_t / scale_t).flatten().numpy()
    solution = solve_ivp(slope, (start, end), x, method="DOP853", rtol=1e-12, atol=1e-13)
    return torch.from_numpy(solution.y[:, -1].copy()).view_as(x_t) * scale_s


def path_errors(name: str, grid: str, steps: list[int]) -> dict[str, list[float]]:
    """Root mean square distance from the exact answer, by method."""
    schedule = SCHEDULES[name]
    first, *_, last = GRIDS[grid](schedule, 2)
    z = torch.randn(8, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = z * (schedule.alpha(first) ** 2 + schedule.sigma(first) ** 2) ** 0.5
    truth, oracle = exact(x, first, last, schedule), plane(schedule)

    def error(method: str, n: int) -> float:
        end = md.sample(oracle, x, method=method, times=GRIDS[grid](schedule, n))
        return (end - truth).square().mean().sqrt().item()

    return {method: [error(method, n) for n in steps] for method in ORDER}


def law_error(method: str, eta: float, steps: int, variance: float = 0.5) -> float:
    """Relative error of the samples' variance, for data N(0, variance) on cosine with Karras' grid, without sampling.

    Every step is affine, so x_0 = a x_1 + sum_j c_j z_j. We run a batch in which x_1 is 1 in row 1 only, and each noise
    z_j is 1 in a row of its own. Then row 1 ends as a, and the later rows end as the c_j.
    """
    schedule = SCHEDULES["cosine"]
    x_1 = torch.zeros(2 + steps, 1, dtype=torch.float64)
    x_1[1] = 1
    rows = count(2)

    def noise(like: torch.Tensor) -> torch.Tensor:
        return torch.eye(len(like), dtype=like.dtype)[:, [next(rows)]]

    def guess(x_t: torch.Tensor, t: float) -> torch.Tensor:
        alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        return alpha * variance / (alpha**2 * variance + sigma**2) * x_t

    step = partial(METHODS[method], noise=noise, **({"eta": eta} if eta else {}))
    x_0 = md.sample(guess, x_1, schedule, times=karras(schedule, steps), method=step)
    start = schedule.alpha(1.0) ** 2 * variance + schedule.sigma(1.0) ** 2
    return abs((x_0[1] ** 2 * start + x_0[2:].square().sum()).item() / variance - 1)


def row(walk: dict, method: str, order: int, steps: list[int], errors: list[float]) -> dict:
    """One row of the table. The slope is fitted to the last three errors."""
    slope = -np.polyfit(np.log(steps[-3:]), np.log(errors[-3:]), 1)[0]
    return walk | {
        "method": method,
        "order": order,
        "slope": round(slope, 3),
        "constant": float(f"{errors[-1] * steps[-1] ** order:.3g}"),
        "steps": steps,
        "errors": [float(f"{error:.4g}") for error in errors],
    }


PATHS = [
    *((name, "inside") for name in ("linear", "cosine", "flow", "ve")),
    *((name, "karras") for name in ("cosine", "flow", "ve")),
    *((name, "log_snr") for name in ("cosine", "ve")),
    *((name, "uniform") for name in ("linear", "cosine", "flow")),
    ("flow", "uniform, to 0.1"),
]


def draw(rows: list[dict]) -> Figure:
    """Plot the errors against the steps, with a dashed line for each order."""
    paths = [r for r in rows if r["schedule"] == "cosine" and r["method"] in ORDER]
    panels = {
        "cosine, t = 0.9 to 0.1, even in log-SNR": [r for r in paths if r["grid"] == "inside"],
        "cosine, t = 1 to 0, Karras' grid": [r for r in paths if r["grid"] == "karras"],
        "cosine, t = 1 to 0, uniform grid": [r for r in paths if r["grid"] == "uniform"],
        "fresh noise, t = 1 to 0, Karras' grid: error of the variance": [r for r in rows if r["method"] in NOISY],
    }
    figure = Figure(figsize=(9, 6.6), layout="constrained")
    axes = figure.subplots(2, 2, sharex=True, sharey=True)
    for axis, (title, lines) in zip(axes.flat, panels.items(), strict=True):
        for line, colour, marker in zip(lines, md.plots.COLOURS, md.plots.MARKERS, strict=False):
            name = f"{line['method']}: {line['slope']:.1f}"
            axis.loglog(line["steps"], line["errors"], color=colour, marker=marker, markersize=4, lw=1.5, label=name)
        for order in sorted({line["order"] for line in lines}):
            start = 2 * max(line["errors"][0] for line in lines if line["order"] == order)
            guide = [start * (STEPS[0] / n) ** order for n in STEPS]
            axis.loglog(STEPS, guide, color="0.5", lw=1, ls="--", zorder=1)
            axis.text(STEPS[-1] * 1.08, guide[-1], f"order {order}", fontsize=8, color="0.35", va="center")
        axis.set_xticks(STEPS, [str(n) for n in STEPS])
        axis.minorticks_off()
        axis.set_xlim(STEPS[0] * 0.85, STEPS[-1] * 2.2)
        axis.set_title(title, fontsize=10)
        axis.legend(
            frameon=False, fontsize=8, loc="lower left", title="slope of the last three points", title_fontsize=8
        )
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes[1]:
        axis.set_xlabel("steps")
    for axis in axes[:, 0]:
        axis.set_ylabel("error")
    return figure


if __name__ == "__main__":
    from common import Parser, record  # here, because the tests import this file from another folder

    Parser(__doc__).parse()
    rows = []
    for name, grid in PATHS:
        for method, errors in path_errors(name, grid, STEPS).items():
            rows.append(row({"schedule": name, "grid": grid}, method, ORDER[method], STEPS, errors))
    for label, (method, eta) in NOISY.items():
        errors = [law_error(method, eta, n) for n in STEPS]
        rows.append(row({"schedule": "cosine", "grid": "karras"}, label, 1, STEPS, errors))
    for r in rows:
        print(f"{r['schedule']:8} {r['grid']:8} {r['method']:17} order {r['order']}, measured {r['slope']:.2f}")
    draw(rows).savefig(HERE / "orders.png", dpi=120)
    reference = f"DOP853 of scipy {scipy.__version__}, rtol 1e-12"
    record(__file__, {"reference": reference, "rows": rows}, indent=None)
