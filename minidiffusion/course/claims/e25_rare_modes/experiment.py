"""E10, rare modes. Does predicting the noise cover outliers better?

Six modes on a plane of 4 dimensions inside 16, with shares from 0.9 down to 0.001, in places that differ between seeds.
Outputs {x0, eps, v} x two weightings: small MLPs with the same initial weights, data, times and noise, trained side by
side (course/stacked.py). They are trained once from each output's own first guess, which for eps is x_t / alpha and far
off at high noise, and once all from the first guess alpha x_t (see e01_factorial). A sample belongs to a mode if it
lies within five standard deviations of it. The error of a mode is |log(found / true)|, so twice as many samples and
half as many count the same. The exact denoiser, sampled from the same noise, shows what is due to chance.
"""

from __future__ import annotations

import itertools
import math

import torch
from matplotlib.figure import Figure

import minidiffusion as md
from minidiffusion.course.stacked import Arm, Stack, fit_stack

DIMENSION, INSIDE = 16, 4
WEIGHTS = (0.9, 0.06, 0.03, 0.006, 0.003, 0.001)
RARE = 3  # the modes from this index on are rare: below one in a hundred
OUTPUTS = ("x0", "eps", "v")
WEIGHTINGS = ("snr", "min_snr")
STARTS = {"own first guess": "", "one first guess": "v"}  # the head whose skip is used
STEPS, COUNT = {"lesson": 400, "full": 1200}, {"lesson": 4000, "full": 10_000}
SCHEDULE = md.schedule.cosine()
GRID = [SCHEDULE.time(level) for level in torch.linspace(-10, 10, 21).tolist()] + [0.0]


def problem(generator: torch.Generator) -> tuple[md.oracle.Mixture, float]:
    """The mixture, with mean 0 and variance 1 overall, and the radius within which a sample belongs to a mode."""
    plane = torch.linalg.qr(torch.randn(DIMENSION, DIMENSION, generator=generator, dtype=torch.float64)).Q[:, :INSIDE]
    while True:  # keep the modes ten standard deviations apart
        places = torch.randn(len(WEIGHTS), INSIDE, generator=generator, dtype=torch.float64)
        if torch.pdist(places).min() > 1.5:
            break
    means, weights = places @ plane.T, torch.tensor(WEIGHTS, dtype=torch.float64)
    means = means - weights @ means
    cov = 0.15**2 * plane @ plane.T + 0.02**2 * torch.eye(DIMENSION, dtype=torch.float64)
    variance = (weights @ means.square().sum(1) + cov.trace()) / DIMENSION
    covs = (cov / variance).expand(len(WEIGHTS), DIMENSION, DIMENSION)
    exact = md.oracle.mixture(weights, means / variance.sqrt(), covs, SCHEDULE)
    return exact, 5 * 0.15 / variance.sqrt().item()


def masses(x0: torch.Tensor, exact: md.oracle.Mixture, radius: float) -> list[float]:
    """The share of all samples that belongs to each mode."""
    x0 = x0.double().nan_to_num(1e6)
    near = x0[torch.cdist(x0, exact.means).min(1).values < radius]
    if len(near) == 0:
        return [0.0] * len(WEIGHTS)
    return (md.metrics.mode_mass(near, exact.means, exact.weights).share * len(near) / len(x0)).tolist()


def error(shares: list[float], count: int) -> float:
    """The mean of |log(found / true)| over the rare modes; half a sample is added to both, to avoid log 0."""
    pairs = list(zip(shares, WEIGHTS, strict=True))[RARE:]
    return sum(abs(math.log((count * share + 0.5) / (count * true + 0.5))) for share, true in pairs) / len(pairs)


def run(seed: int, scale: str, device: torch.device) -> dict:
    generator = torch.Generator().manual_seed(seed)
    exact, radius = problem(generator)
    points, count = exact.sample(100_000, generator), COUNT[scale]
    torch.manual_seed(seed)
    net = md.nets.MLP(DIMENSION, 64, 2)
    for weight in net.last[1].parameters():
        torch.nn.init.zeros_(weight)
    kinds = list(itertools.product(STARTS, OUTPUTS, WEIGHTINGS))
    arms = [Arm(output, weighting, skip=STARTS[start]) for start, output, weighting in kinds]
    stack = Stack([net] * len(arms), arms, SCHEDULE)
    *_, step = fit_stack(stack, points, STEPS[scale], learning_rate=5e-3, seed=seed)

    x_1 = md.prior((count, DIMENSION), SCHEDULE, torch.Generator().manual_seed(seed))
    best = masses(md.sample(exact, x_1, times=GRID, method="dpmpp_2m"), exact, radius)
    drawn = []
    for some in x_1.split(2000):
        with torch.no_grad():
            drawn.append(md.sample(step.ema, some[:, None].expand(-1, len(arms), -1), times=GRID, method="dpmpp_2m"))
    x0 = torch.cat(drawn)
    found: dict[str, dict[str, dict[str, list[float]]]] = {s: {o: {} for o in OUTPUTS} for s in STARTS}
    errors: dict[str, dict[str, list[float]]] = {s: {o: [] for o in OUTPUTS} for s in STARTS}
    for i, (start, output, weighting) in enumerate(kinds):
        found[start][output][weighting] = shares = masses(x0[:, i], exact, radius)
        errors[start][output].append(error(shares, count))
    mean = {start: {output: sum(errors[start][output]) / len(WEIGHTINGS) for output in OUTPUTS} for start in STARTS}
    own, one = mean["own first guess"], mean["one first guess"]
    return {
        "weights": list(WEIGHTS),
        "exact": best,
        "exact_error": error(best, count),
        "found": found,
        "errors": errors,
        "rare_error": mean,
        "rare_error_eps_minus_x0": own["eps"] - own["x0"],
        "rare_error_eps_minus_v": own["eps"] - own["v"],
        "rare_error_eps_minus_x0_from_one_guess": one["eps"] - one["x0"],
        "rare_error_eps_minus_v_from_one_guess": one["eps"] - one["v"],
    }


def plot(runs: list[dict]) -> Figure:
    weights, count = runs[0]["weights"], COUNT["full"]

    def middle(shares: list[list[float]]) -> list[float]:
        """The geometric mean over the runs of found / true."""
        logs = [
            [math.log((count * s + 0.5) / (count * w + 0.5)) for s, w in zip(r, weights, strict=True)] for r in shares
        ]
        return [math.exp(sum(column) / len(column)) for column in zip(*logs, strict=True)]

    panels = {}
    for start, weighting in (*itertools.product(STARTS, ("snr", "min_snr")),):
        title = f"{start}, weight {'snr' if weighting == 'snr' else 'min(snr, 5)'}"
        panels[title] = {
            f"{o} as output": (weights, middle([run["found"][start][o][weighting] for run in runs])) for o in OUTPUTS
        }
        panels[title]["exact denoiser"] = (weights, middle([run["exact"] for run in runs]))
    axes = "true share of the mode", "found, as a share of what is there"
    figure = md.plots.panels(panels, *axes, x_scale="log", y_scale="log")
    for axis in figure.axes:
        axis.set_ylim(0.02, 1.3)
    return figure
