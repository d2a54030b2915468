"""E1, point (d) of the article in its separate parts: the output, the weight of its error, and the scale of its target.

Outputs {x0, eps, v, F} x weights of the error in x0 {1, SNR, min(SNR, 5), max(SNR, 1), SNR + 1} x scales of the data x
widths of the network. Each arm is a small MLP that learns eight Gaussians on a plane of 4 dimensions inside 16. Every
output is converted to x0_hat before the loss. All arms share the initial weights, data, times, noise, optimiser,
average and sampler, and course/stacked.py trains them side by side. The last layer is zero-initialised.

The outputs differ in their first guess, which is a confound: x0_hat = 0 for x0, but x_t / alpha for eps. In the arms
"one first guess" all outputs therefore start from the same function, alpha x_t, and only the gain in front of the
network differs. Scale is a second confound: "data x 10" changes the signal-to-noise ratio as well, so "output x 10"
scales only the target.

On data of unit variance F is -v, and it trains like v with the sign changed (tests/test_stacked.py). So F has arms only
where the scale of the data is off by ten, and it is told that scale. The excess over the exact denoiser is given
relative to the exact denoiser's own error, because this ratio is the same in x0, eps and v.
"""

from __future__ import annotations

import itertools
import math

import torch
from matplotlib.figure import Figure

import minidiffusion as md
from minidiffusion.course.stacked import Arm, Stack, StackStep, fit_stack

DIMENSION, INSIDE, MODES = 16, 4, 8
WIDE, NARROW = 64, 8
OUTPUTS = ("x0", "eps", "v")
WEIGHTINGS = ("constant", "snr", "min_snr", "truncated_snr", "snr_plus_one")
LABELS = ("1", "snr", "min(snr,5)", "max(snr,1)", "snr+1")
STEPS, HASTY_STEPS = {"lesson": 300, "full": 800}, {"lesson": 100, "full": 300}
LOOKS = {"lesson": 6, "full": 20}
RATE, HASTY_RATES = 5e-3, (0.02, 0.05, 0.1)  # the second: short training without clipping, to see which arms diverge
REACHED = 0.1  # an energy distance; arms that never reach it count as reaching it at the last step
LEVELS = torch.arange(-8.0, 9.0, 2.0)
SCHEDULE = md.schedule.cosine()
GRID = [SCHEDULE.time(level) for level in torch.linspace(-10, 10, 21).tolist()] + [0.0]


def energy_distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """2 E|a - b| - E|a - a'| - E|b - b'| (Szekely and Rizzo 2013), in the form that is never below 0."""
    a, b = a.double(), b.double()
    return (2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean()).item()


def problem(generator: torch.Generator) -> md.oracle.Mixture:
    """Eight modes on a random plane, thin across it, with mean 0 and variance 1 overall."""
    plane = torch.linalg.qr(torch.randn(DIMENSION, DIMENSION, generator=generator, dtype=torch.float64)).Q[:, :INSIDE]
    means = torch.randn(MODES, INSIDE, generator=generator, dtype=torch.float64) @ plane.T
    means = means - means.mean(0)
    cov = 0.2**2 * plane @ plane.T + 0.02**2 * torch.eye(DIMENSION, dtype=torch.float64)
    variance = (means.square().mean(0).sum() + cov.trace()) / DIMENSION
    covs = (cov / variance).expand(MODES, DIMENSION, DIMENSION)
    return md.oracle.mixture(torch.ones(MODES), means / variance.sqrt(), covs, SCHEDULE)


def stack_of(arms: list[Arm], dimension: int, width: int, seed: int) -> Stack:
    """A stack of copies of one network, whose last layer is zero-initialised."""
    torch.manual_seed(seed)
    net = md.nets.MLP(dimension, width, 2)
    for weight in net.last[1].parameters():
        torch.nn.init.zeros_(weight)
    return Stack([net] * len(arms), arms, SCHEDULE)


def grid(**settings: object) -> list[Arm]:
    """One arm for each output and weighting."""
    return [Arm(o, w, **settings) for o, w in itertools.product(OUTPUTS, WEIGHTINGS)]  # type: ignore


def distances(stack: Stack, test: torch.Tensor, count: int, seed: int) -> list[float]:
    """The energy distance of each arm's samples to the test data: same starting noise, and data at one scale."""
    x_1 = md.prior((count, 1, test.shape[1]), SCHEDULE, torch.Generator().manual_seed(seed))
    with torch.no_grad():
        x0 = md.sample(stack, x_1.expand(-1, len(stack.arms), -1), times=GRID, method="dpmpp_2m")
    x0 = (x0 / stack.data_scale()).nan_to_num(1e6).clamp(-1e6, 1e6)
    return [energy_distance(x0[:, i], test) for i in range(len(stack.arms))]


def excess(stack: Stack, exact: md.oracle.Mixture, test: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """(error - error of the exact denoiser) / error of the exact denoiser, (levels, arms), with data at one scale."""
    t = SCHEDULE.time(LEVELS.double()).repeat_interleave(200)
    x0 = test[: len(t)]
    x_t = md.diffuse(x0, t, torch.randn(x0.shape, generator=generator), SCHEDULE)
    best = exact(x_t, t)
    with torch.no_grad():
        guess = stack(x_t[:, None].expand(-1, len(stack.arms), -1), t)
    off, floor = (guess - best[:, None]).square().mean(2), (x0 - best).square().mean(1)
    return off.view(len(LEVELS), 200, -1).mean(1) / floor.view(len(LEVELS), 200).mean(1)[:, None]


def train(stack: Stack, points: torch.Tensor, steps: int, seed: int) -> tuple[StackStep, list[float]]:
    """Train; return the last step, and the standard deviation of each arm's log gradient norm in the second half."""
    norms = []
    for step in fit_stack(stack, points, steps, learning_rate=RATE, seed=seed):
        norms.append(step.gradient_norm)
    return step, torch.stack(norms)[steps // 2 :].log().std(0).tolist()


def table(arms: list[Arm], values: list[float]) -> dict[str, dict[str, float]]:
    """The values by output and weighting, to four digits."""
    rows: dict[str, dict[str, float]] = {}
    for arm, value in zip(arms, values, strict=True):
        rows.setdefault(arm.head, {})[arm.weighting] = float(f"{value:.4g}")
    return rows


def ratio(rows: dict[str, dict[str, float]], over: str, under: str) -> float:
    """The geometric mean over the weightings of the ratio between two outputs."""
    return math.exp(sum(math.log(rows[over][w] / rows[under][w]) for w in WEIGHTINGS) / len(WEIGHTINGS))


def reached(at: list[int], curve: list[float]) -> float:
    """The step at which the curve first falls to REACHED, with its logarithm interpolated between two looks."""
    logs = [math.log(max(value, 1e-4) / REACHED) for value in curve]
    for i, log in enumerate(logs):
        if log <= 0:
            return float(at[0]) if i == 0 else at[i - 1] + (at[i] - at[i - 1]) * logs[i - 1] / (logs[i - 1] - log)
    return float(at[-1])


def diverged(points: torch.Tensor, rate: float, steps: int, seed: int) -> list[bool]:
    """For each arm, whether short unclipped training ends with a higher loss than always guessing the mean."""
    stack = stack_of(grid(), DIMENSION, WIDE, seed)
    losses = []
    for step in fit_stack(stack, points, steps, learning_rate=rate, clip=math.inf, seed=seed):
        losses.append(step.loss)
    last = torch.stack(losses)[-steps // 5 :].mean(0)
    low, high = SCHEDULE.time(10.0), SCHEDULE.time(-10.0)
    t = torch.linspace(low, high, 4000, dtype=torch.float64)
    snr = SCHEDULE.log_snr(t).exp()
    lazy = [md.objectives.WEIGHTINGS[arm.weighting](snr, snr).mean() * points.var() for arm in stack.arms]  # type: ignore
    return [not value < bound for value, bound in zip(last.tolist(), lazy, strict=True)]


def run(seed: int, scale: str, device: torch.device) -> dict:
    generator = torch.Generator().manual_seed(seed)
    steps = STEPS[scale]
    exact = problem(generator)
    points, test = exact.sample(20_000, generator), exact.sample(2000, generator)

    # outputs x weightings, with looks at the samples during training
    arms, norms, at, looks = grid(), [], [], []
    stack = stack_of(arms, DIMENSION, WIDE, seed)
    for step in fit_stack(stack, points, steps, learning_rate=RATE, seed=seed):
        norms.append(step.gradient_norm)
        if step.number % (steps // LOOKS[scale]) == 0:
            at.append(step.number)
            looks.append(distances(step.ema, test, 500, seed))
    off = excess(step.ema, exact, test, generator)
    groups = {"wide": table(arms, distances(step.ema, test, 1000, seed))}
    gradient = table(arms, torch.stack(norms)[steps // 2 :].log().std(0).tolist())
    when = table(arms, [reached(at, [look[i] for look in looks]) for i in range(len(arms))])

    # short training without clipping
    hasty = [diverged(points, rate, HASTY_STEPS[scale], seed) for rate in HASTY_RATES]
    shares = table(arms, [sum(rates) / len(rates) for rates in zip(*hasty, strict=True)])
    failed = {output: sum(shares[output].values()) / len(WEIGHTINGS) for output in OUTPUTS}

    # the same on images of 7 x 7
    pictures = pool(md.datasets.load("fashion_mnist_6k")[0]), pool(md.datasets.load("fashion_mnist_6k", "test")[0])
    mean, std = pictures[0].mean(), pictures[0].std()
    train_set, test_set = ((rows - mean) / std for rows in pictures)
    last, _ = train(stack_of(arms, 49, 128, seed), train_set, steps, seed)
    groups["pictures"] = table(arms, distances(last.ema, test_set, 1000, seed))

    # the two confounds, the scales, and the narrow network
    if scale == "full":
        others = {
            "one first guess": grid(skip="v"),
            "data x 0.1": scaled(0.1),
            "data x 10": scaled(10.0),
            "output x 0.1": [arm for arm in grid(output_scale=0.1) if arm.weighting in ("snr", "min_snr")],
            "output x 10": [arm for arm in grid(output_scale=10.0) if arm.weighting in ("snr", "min_snr")],
        }
        everyone = [arm for group in others.values() for arm in group]
        last, _ = train(stack_of(everyone, DIMENSION, WIDE, seed), points, steps, seed)
        found = iter(distances(last.ema, test, 1000, seed))
        groups |= {name: table(group, [next(found) for _ in group]) for name, group in others.items()}
        last, _ = train(stack_of(arms, DIMENSION, NARROW, seed), points, steps, seed)
        groups["narrow"] = table(arms, distances(last.ema, test, 1000, seed))

    wins = {
        name: sum(rows["eps"][w] < rows["x0"][w] for w in WEIGHTINGS)
        for name, rows in (("gradient", gradient), ("steps", when))
    }
    return {
        "distance": groups,
        "exact_distance": energy_distance(_exact_samples(exact, seed), test),
        "real_distance": {
            "points": energy_distance(points[:1000], test),
            "pictures": energy_distance(train_set[:1000], test_set),
        },
        "log_snr": LEVELS.tolist(),
        "excess": {o: {w: _digits(off[:, i * 5 + j]) for j, w in enumerate(WEIGHTINGS)} for i, o in enumerate(OUTPUTS)},
        "gradient_spread": gradient,
        "steps_to_reach": when,
        "diverged_in_haste": shares,
        "distance_x0_over_eps": ratio(groups["wide"], "x0", "eps"),
        "distance_v_over_eps": ratio(groups["wide"], "v", "eps"),
        "distance_x0_over_eps_on_pictures": ratio(groups["pictures"], "x0", "eps"),
        "distance_v_over_eps_on_pictures": ratio(groups["pictures"], "v", "eps"),
        "weightings_where_eps_is_steadier": float(wins["gradient"]),
        "diverged_eps_minus_x0": failed["eps"] - failed["x0"],
        "weightings_where_eps_is_faster": float(wins["steps"]),
        "steps_eps_over_x0": ratio(when, "eps", "x0"),
    }


def scaled(factor: float) -> list[Arm]:
    """Data scaled by a factor that only F is told about."""
    told = [Arm("F", w, data_scale=factor, data_std=factor) for w in WEIGHTINGS]
    return grid(data_scale=factor) + told


def pool(images: torch.Tensor) -> torch.Tensor:
    """Images of 7 x 7, one per row."""
    return torch.nn.functional.avg_pool2d(md.datasets.to_float(images), 4).flatten(1)


def _exact_samples(exact: md.oracle.Mixture, seed: int) -> torch.Tensor:
    x_1 = md.prior((1000, DIMENSION), SCHEDULE, torch.Generator().manual_seed(seed))
    return md.sample(exact, x_1, times=GRID, method="dpmpp_2m")


def _digits(values: torch.Tensor) -> list[float]:
    return [float(f"{value:.4g}") for value in values.tolist()]


def plot(runs: list[dict]) -> Figure:
    def lines(group: str) -> dict:
        outputs = runs[0]["distance"][group]
        middle = {
            o: [math.exp(sum(math.log(run["distance"][group][o][w]) for run in runs) / len(runs)) for w in WEIGHTINGS]
            for o in OUTPUTS
            if o in outputs
        }
        return {f"{o} as output": (LABELS, values) for o, values in middle.items()}

    titles = {"wide": "64 units, 16 dimensions", "one first guess": "the same, all from one first guess"}
    titles |= {"narrow": "8 units, 16 dimensions", "pictures": "128 units, pictures of 7x7"}
    known = {title: lines(group) for group, title in titles.items() if group in runs[0]["distance"]}
    return md.plots.panels(known, "weight of the error in x0", "energy distance to the data", y_scale="log")
