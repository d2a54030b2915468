"""Point (d) on the kind of network that the article speaks of: does a U-Net do better when it predicts the noise?

Outputs {x0, eps, v} x weights of the error in x0 {min-SNR, SNR + 1, each output's own} x first guesses {each output's
own, one for all}. Every arm has the same U-Net, data, steps and sampler, and a learning rate of its own, chosen from
the same four by the same rule with a seed that is not used again (`tune`; rates.json). SNR + 1 is v's own weight,
so for v two of the three weights are one and the same training; it was run once for the last three seeds.

A zero-initialised network guesses x0_hat = 0 if it predicts x0, x_t / alpha if it predicts eps, and alpha x_t if it
predicts v. That is a confound as well as a property of the output, so the arms "one" all start from alpha x_t, the best
linear guess for data of unit variance.

Samples are drawn four ways: from the end of the schedule (log SNR -19.8, where an error in eps counts 20,000 times in
x0) or from log SNR -7, near which DDPM and Stable Diffusion end (-10.1 and -5.4), and with x0_hat clipped to [-1, 1] or
not. Quality is the Frechet distance to the test pictures in two feature spaces (the package's classifier, and the first
64 principal components of the pixels), precision and recall. `real` are training pictures, `blur` slightly blurred
ones, `copy` the test pictures themselves.

How fast an arm learns is not read off a threshold that some arms never reach. `faster` compares two outputs: the step
at which each reaches the best quality that the worse of the two has at any look, under the same weighting and guess, so
both reach it.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn

import minidiffusion as md
from minidiffusion.metrics import frechet_distance, precision_recall

HEADS, WEIGHTS, GUESSES = ("x0", "eps", "v"), ("min_snr", "snr_plus_one", "uniform"), ("own", "one")
STARTS = {"end": 1.0, "-7": -7.0}
RATES = (1e-3, 2e-3, 4e-3, 8e-3)
STEPS, COUNT, LOOKS = {"lesson": 60, "full": 600}, {"lesson": 200, "full": 1000}, {"lesson": 3, "full": 5}
LOOK_COUNT, SAMPLER_STEPS, BATCH, TUNING_SEED = 250, 16, 64, 100
ONE_RATE = 2e-3  # at the scale of a lesson, where nothing is tuned
LEVELS = (-7.0, -5.0, -3.0, -1.0, 1.0, 3.0, 5.0)  # log SNR, at which the error on test pictures is measured


class Guessing(nn.Module):
    """A network plus the multiple of its input that makes alpha x_t the first guess of every output."""

    def __init__(self, net: nn.Module, schedule: md.schedule.Schedule, head: md.heads.Head):
        super().__init__()
        self.net, self.schedule, self.head = net, schedule, head

    def forward(self, x: Tensor, t: Tensor, cond: Any = None) -> Tensor:
        # at x0_hat = alpha x_t, what remains is eps_hat = sigma x_t
        guess = self.head.target(
            self.schedule.at(t, like=x).alpha * x, self.schedule.at(t, like=x).sigma * x, t, self.schedule
        )
        return self.net(x, t, cond) + guess


def arms(scale: str) -> list[str]:
    """The names of all arms: output, weight and first guess."""
    if scale == "lesson":
        return [f"{head} min_snr own" for head in HEADS]
    return [f"{head} {weight} {guess}" for guess in GUESSES for weight in WEIGHTS for head in HEADS]


def denoiser(arm: str, seed: int) -> md.Denoiser:
    name, _, guess = arm.split()
    head, schedule = md.heads.HEADS[name], md.schedule.cosine()
    torch.manual_seed(seed)
    net: nn.Module = md.nets.UNet(1, (32, 64), (1, 1)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return md.Denoiser(Guessing(net, schedule, head) if guess == "one" else net, schedule, head)


@functools.cache
def pictures() -> tuple[Tensor, Tensor]:
    """Clothes at 14x14: training and test."""
    train, test = (md.datasets.to_float(md.datasets.load("fashion_mnist_6k", s)[0]) for s in ("train", "test"))
    return F.avg_pool2d(train, 2), F.avg_pool2d(test, 2)


@functools.cache
def components() -> Tensor:
    """The first 64 principal components of the training pictures' pixels, one in each column."""
    return torch.linalg.svd(pictures()[0].flatten(1) - pictures()[0].flatten(1).mean(0)).Vh[:64].T


def features(x: Tensor) -> tuple[Tensor, Tensor]:
    x = x.clamp(-1, 1)
    seen = md.nets.fashion_classifier().features(F.interpolate(x, scale_factor=2, mode="bilinear"))
    return seen, x.flatten(1) @ components()


@functools.cache
def wanted() -> tuple[Tensor, Tensor]:
    return features(pictures()[1])


def judged(x: Tensor) -> dict[str, float]:
    """How far pictures are from the test pictures, in two feature spaces; precision and recall in the first."""
    if not bool(x.isfinite().all()):
        x = x.nan_to_num(1.0, 1.0, -1.0)
    (seen, pixels), (seen_test, pixels_test) = features(x), wanted()
    precision, recall = precision_recall(seen_test, seen)
    distance, distance_pixels = frechet_distance(seen, seen_test), frechet_distance(pixels, pixels_test)
    found = {"frechet": distance, "frechet_pixels": distance_pixels, "precision": precision, "recall": recall}
    return {name: float(f"{value:.4g}") for name, value in found.items()}


def drawn(model: md.Denoiser, start: float, clip: bool, count: int, seed: int, steps: int = SAMPLER_STEPS) -> Tensor:
    """Samples of the second-order sampler on times that are even in log SNR, from `start` to 7, and then to the end."""
    schedule, generator = model.schedule, torch.Generator().manual_seed(seed)
    grid = torch.linspace(schedule.log_snr(1.0) if start == 1.0 else start, 7.0, steps)
    times = [*(schedule.time(level) for level in grid.tolist()), 0.0]
    x_1 = md.prior((count, *pictures()[0].shape[1:]), schedule, generator)
    guided = md.guidance.clipped(model) if clip else model
    with torch.no_grad():
        return torch.cat([md.sample(guided, part, schedule, times=times, method="dpmpp_2m") for part in x_1.split(250)])


def errors(model: md.Denoiser) -> list[float]:
    """The squared error of x0_hat on test pictures at each of LEVELS, a pixel."""
    x0, generator, found = pictures()[1][:250], torch.Generator().manual_seed(0), []
    for level in LEVELS:
        t = model.schedule.time(level)
        x_t = md.diffuse(x0, t, torch.randn(x0.shape, generator=generator), model.schedule)
        with torch.no_grad():
            found.append(float(f"{(model(x_t, t) - x0).square().mean().item():.4g}"))
    return found


def training(arm: str, seed: int, steps: int, rate: float) -> Iterator[Any]:
    _, weight, _ = arm.split()
    options = dict(batch_size=BATCH, weighting=weight, learning_rate=rate, ema_decay=0.995, seed=seed)
    # in float32, so that a processor with bfloat16 trains what one without it trains
    return md.fit(denoiser(arm, seed), pictures()[0], steps, precision="float32", **options)  # type: ignore[arg-type]


def job(arm: str, seed: int, scale: str, device: torch.device) -> dict[str, Any]:
    """Train one arm with one seed, and judge it; `diverged` if a loss was no longer finite."""
    steps, looks, norms = STEPS[scale], [], []
    try:
        for step in training(arm, seed, steps, rate_of(arm) if scale == "full" else ONE_RATE):
            norms.append(step.gradient_norm)
            if step.number % (steps // LOOKS[scale]) == 0:
                sample = drawn(step.ema, -7.0, True, LOOK_COUNT, seed, SAMPLER_STEPS // 2)
                looks.append({"step": step.number, "errors": errors(step.ema), **judged(sample)})
    except FloatingPointError:
        return {"diverged": True}
    late = torch.tensor(norms[steps // 2 :]).log()
    found = {}
    for name, start in STARTS.items():
        for clip in (True, False):
            decides = clip and name == "-7"
            x = drawn(step.ema, start, clip, COUNT[scale] if decides else COUNT[scale] // 2, seed)
            found[f"{name} {'clipped' if clip else 'free'}"] = judged(x)
            if decides:
                shown = md.datasets.to_uint8(x[:10]).flatten(1).tolist()
    found["one step"] = judged(drawn(step.ema, -7.0, True, COUNT[scale], seed, 1))
    return {"diverged": False, "scores": found, "looks": looks, "gradient_spread": late.std().item(), "shown": shown}


def yardsticks(count: int) -> dict[str, dict[str, float]]:
    train, test = pictures()
    kernel = torch.tensor([1.0, 2.0, 1.0]).outer(torch.tensor([1.0, 2.0, 1.0]))[None, None] / 16
    blurred = F.conv2d(F.pad(train[:count], (1, 1, 1, 1), mode="replicate"), kernel)
    return {"real": judged(train[:count]), "blur": judged(blurred), "copy": judged(test)}


def tried(distance: Callable[[float], float]) -> dict[str, float | None]:
    """The distance that a training ends with, for each of RATES; None if it diverges."""
    found: dict[str, float | None] = {}
    for rate in RATES:
        try:
            found[f"{rate:g}"] = distance(rate)
        except FloatingPointError:
            found[f"{rate:g}"] = None
    return found


def tune(arm: str) -> dict[str, float | None]:
    """The Frechet distance of this arm after a third of a training, with each of RATES; None if it diverges."""

    def distance(rate: float) -> float:
        *_, step = training(arm, TUNING_SEED, STEPS["full"] // 3, rate)
        return judged(drawn(step.ema, -7.0, True, 500, TUNING_SEED, SAMPLER_STEPS // 2))["frechet"]

    return tried(distance)


def rate_of(arm: str, experiment: str = __file__) -> float:
    """The best of RATES for this arm, from the rates.json beside the experiment."""
    found = json.loads(Path(experiment).with_name("rates.json").read_text(encoding="utf-8"))[arm]
    return float(min((rate for rate in found if found[rate] is not None), key=found.__getitem__))


def combined(found: dict[str, dict[str, Any]], scale: str) -> dict[str, Any]:
    """The effects of one seed, from the results of all arms. Ratios are geometric means over weights."""
    result: dict[str, Any] = {"arms": found}
    weights = WEIGHTS if scale == "full" else WEIGHTS[:1]

    def ratio(over: str, under: str, guess: str, key: str, way: str = "-7 clipped") -> float:
        logs = []
        for weight in weights:
            a, b = (found[f"{head} {weight} {guess}"] for head in (over, under))
            high, low = (1e3 if one["diverged"] else max(one["scores"][way][key], 1e-3) for one in (a, b))
            logs.append(math.log(high / low))
        return math.exp(sum(logs) / len(logs))

    def steadier(guess: str) -> float:
        """How much the gradient's norm varies with eps, over how much with x0."""
        spreads = [
            [found[f"{head} {weight} {guess}"]["gradient_spread"] for head in ("eps", "x0")] for weight in weights
        ]
        return math.exp(sum(math.log(eps / x0) for eps, x0 in spreads) / len(spreads))

    def faster(over: str, under: str, guess: str) -> float:
        """Steps that `over` needs, over those that `under` needs, to reach what the worse of them has at the end."""
        logs = []
        for weight in weights:
            curves = [
                [look["frechet"] for look in found[f"{head} {weight} {guess}"]["looks"]] for head in (over, under)
            ]
            at = [look["step"] for look in found[f"{over} {weight} {guess}"]["looks"]]
            goal = max(min(curve) for curve in curves)
            steps = [reached(at, curve, goal) for curve in curves]
            logs.append(math.log(steps[0] / steps[1]))
        return math.exp(sum(logs) / len(logs))

    for guess in GUESSES if scale == "full" else GUESSES[:1]:
        for key in ("frechet", "frechet_pixels"):
            result[f"{key}_x0_over_eps_{guess}"] = ratio("x0", "eps", guess, key)
            result[f"{key}_v_over_eps_{guess}"] = ratio("v", "eps", guess, key)
        result[f"steps_eps_over_x0_{guess}"] = faster("eps", "x0", guess)
        result[f"steps_eps_over_v_{guess}"] = faster("eps", "v", guess)
        result[f"gradient_eps_over_x0_{guess}"] = steadier(guess)
    eps, x0 = (found[f"{head} min_snr own"]["scores"] for head in ("eps", "x0"))
    result["cost_of_one_step_over_that_of_x0"] = eps["one step"]["frechet"] / x0["-7 clipped"]["frechet"]
    result["eps_from_the_end_over_from_minus_7"] = _within("eps", found, weights)
    result["x0_from_the_end_over_from_minus_7"] = _within("x0", found, weights)
    return result


def _within(head: str, found: dict[str, dict[str, Any]], weights: tuple[str, ...]) -> float:
    """Unclipped samples from the schedule's end over those from log SNR -7: the harm that the start does alone."""
    scores = [found[f"{head} {weight} own"]["scores"] for weight in weights]
    logs = [math.log(one["end free"]["frechet"] / one["-7 free"]["frechet"]) for one in scores]
    return math.exp(sum(logs) / len(logs))


def reached(at: list[int], curve: list[float], goal: float) -> float:
    """The step at which the curve first is at the goal or below, its logarithm interpolated between two looks."""
    for i, value in enumerate(curve):
        if value <= goal:
            if i == 0:
                return float(at[0])
            share = math.log(curve[i - 1] / goal) / math.log(curve[i - 1] / value)
            return at[i - 1] + (at[i] - at[i - 1]) * share
    return float(at[-1])


def run(seed: int, scale: str, device: torch.device) -> dict[str, Any]:
    return combined({arm: job(arm, seed, scale, device) for arm in arms(scale)}, scale)


def plot(runs: list[dict[str, Any]]) -> Figure:
    """Above, the Frechet distance of every arm, a point for each seed; below, pictures of the arms with min-SNR."""
    figure = Figure(figsize=(9, 6.4), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1.2, 1))
    weights = {"min_snr": "min-SNR", "snr_plus_one": "SNR + 1", "uniform": "own plain loss"}
    titles = {"own": "each output from its own first guess", "one": "all from one first guess"}
    for axis, (guess, title) in zip(above.subplots(1, 2, sharey=True), titles.items(), strict=True):
        for i, head in enumerate(HEADS):
            for j, weight in enumerate(weights):
                found = [run["arms"].get(f"{head} {weight} {guess}", {"diverged": True}) for run in runs]
                values = [arm["scores"]["-7 clipped"]["frechet"] for arm in found if not arm["diverged"]]
                label = head if j == 0 else None
                place = [j + 0.2 * (i - 1)] * len(values)
                axis.plot(place, values, md.plots.MARKERS[i], color=md.plots.COLOURS[i], ms=5, label=label)
        axis.set_xticks(range(len(weights)), list(weights.values()), fontsize=9)
        axis.set_title(title, fontsize=9)
        axis.set_yscale("log")
        axis.set_yticks([1.5, 2, 3, 4, 6, 8], ["1.5", "2", "3", "4", "6", "8"])
        axis.minorticks_off()
        axis.grid(axis="y", color="0.9")
    above.axes[0].set_ylabel("Frechet distance", fontsize=9)
    above.axes[1].legend(frameon=False, fontsize=9, loc="upper right")
    shown = [name for name in runs[0]["arms"] if "min_snr own" in name]
    for line, name in zip(below.subplots(len(shown), 1), shown, strict=True):
        x = md.datasets.to_float(torch.tensor(runs[0]["arms"][name]["shown"], dtype=torch.uint8)).view(-1, 1, 14, 14)
        line.imshow(md.plots.tile(x, columns=10, gap=1))
        line.set_axis_off()
        line.set_title(f"{name.split()[0]}, min-SNR, own first guess", fontsize=8, loc="left", pad=2)
    return figure
