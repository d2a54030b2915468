"""DALL-E 2's prior predicts the embedding itself. Would the noise, or v, have been as good?

A prior reads CLIP's embedding of a caption and imagines that of the picture. Here it is a small denoiser, trained on
the training pictures of the emoji with each of three outputs under each of four weights: min-SNR, and those that the
plain squared errors of x0, v and eps amount to (1, SNR + 1 and SNR). So each output meets its own plain loss, and each
is compared with the others under every weight, after the same number of steps on the same pictures.

It is judged on captions that it has not seen, of unseen tones and unseen pairs of thing and style. The energy score of
two samples for a caption, |z - z_true| - |z - z'| / 2, is smallest on average if they come from the true distribution
(Gneiting and Raftery 2007, eq. 22). The cosine to the true embedding, and how often that is the nearest of 300, stand
beside it, although they reward an answer like the average. Each arm tries two learning rates and keeps the one with the
better score on one half of the captions; what is reported is from the other half.

eps gets every aid that we know of, and the others get the same. All networks have a skip from input to output, without
which noise is hard to carry (e21_width). Sampling starts at log SNR -5, and every guess gets the known length of an
embedding; without these two, eps imagines next to nothing (lesson 20).

The rule, written before the runs: the noise is as good a target if its energy score is at most a twentieth larger.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

import minidiffusion as md
from minidiffusion.course import ledger
from minidiffusion.data.emoji import load_emoji
from minidiffusion.systems.priors import fit_prior, stretched
from minidiffusion.systems.stages import World

HEADS = ("x0", "eps", "v")
WEIGHTS = {"min_snr": "min-SNR", "constant": "1, x0's own", "snr_plus_one": "SNR + 1, v's own", "snr": "SNR, eps's own"}
RATES, STEPS = (1e-3, 4e-3), {"lesson": 200, "full": 1000}
HALF, CALLS, START = 300, 20, -5.0
WithSkip = ledger.load("e21_width").WithSkip


def arms(scale: str) -> list[str]:
    weights = list(WEIGHTS) if scale == "full" else ["constant"]
    return [f"{head} {weight}" for head, weight in itertools.product(HEADS, weights)]


@functools.cache
def embeddings() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """CLIP's embeddings of the training pictures and of their texts, then of unseen pictures and their captions."""
    clip, (pictures, captions) = md.systems.clip(), load_emoji("test")
    known = World(*load_emoji("train"), {"clip": clip})  # type: ignore[arg-type]
    some = torch.randperm(len(captions), generator=torch.Generator().manual_seed(3))[: 2 * HALF]
    with torch.no_grad():
        unseen = World(pictures[some], captions, {"clip": clip}).images
        prompts = captions.prompts()
        return known.images, known.texts, unseen, clip.text([prompts[i] for i in some])


@torch.no_grad()
def judged(prior: md.Denoiser, images: Tensor, texts: Tensor) -> dict[str, float]:
    def guess(x_t: Tensor, t: float, cond: Tensor) -> Tensor:
        return stretched(prior(x_t, t, cond))

    times = [prior.schedule.time(level) for level in torch.linspace(START, 8, CALLS).tolist()] + [0.0]
    starts = (torch.randn(texts.shape, generator=torch.Generator().manual_seed(i)) for i in (5, 6))
    options = dict(method="dpmpp_2m", times=times, cond=stretched(texts))
    z, other = (F.normalize(md.sample(guess, x, prior.schedule, **options), dim=1) for x in starts)  # type: ignore[arg-type]
    far = ((z - images).norm(dim=1) + (other - images).norm(dim=1) - (z - other).norm(dim=1)) / 2
    found = ((z @ images.T).argmax(1) == torch.arange(len(z))).float()
    return {"score": far.mean().item(), "cosine": (z * images).sum(1).mean().item(), "found": found.mean().item()}


def job(arm: str, seed: int, scale: str, device: torch.device) -> dict[str, Any]:
    """Train one arm with both rates; the scores on the second half of the captions of the better one."""
    head, weight = arm.split()
    images, texts, unseen, captions = embeddings()
    tried = []
    for rate in RATES if scale == "full" else RATES[:1]:
        torch.manual_seed(seed)
        net = WithSkip(md.nets.MLP(128, 256, 3, context=128))
        prior = md.Denoiser(net, md.schedule.cosine(), md.heads.HEADS[head])
        options = dict(learning_rate=rate, ema_decay=0.99, precision="float32", seed=seed)
        *_, step = fit_prior(prior, images, texts, STEPS[scale], weighting=weight, **options)  # type: ignore[arg-type]
        choice = judged(step.ema, unseen[:HALF], captions[:HALF])["score"]
        tried.append((choice, rate, judged(step.ema, unseen[HALF:], captions[HALF:])))
    _, rate, found = min(tried)
    return {"rate": rate, **{key: float(f"{value:.4g}") for key, value in found.items()}}


def combined(found: dict[str, dict[str, Any]], scale: str) -> dict[str, Any]:
    """The energy score of eps over that of the others: a geometric mean over the weights, and under their own."""
    weights = list(dict.fromkeys(arm.split()[1] for arm in found))
    own = {"x0": "constant", "v": "snr_plus_one", "eps": "snr"}

    def over(other: str) -> float:
        logs = [math.log(found[f"eps {w}"]["score"] / found[f"{other} {w}"]["score"]) for w in weights]
        return math.exp(sum(logs) / len(logs))

    effects = {"eps_over_x0": over("x0"), "eps_over_v": over("v")}
    if set(own.values()) <= set(weights):
        for other in ("x0", "v"):
            effects[f"eps_over_{other}_own"] = found["eps snr"]["score"] / found[f"{other} {own[other]}"]["score"]
    return {"arms": found, **effects}


def run(seed: int, scale: str, device: torch.device) -> dict[str, Any]:
    return combined({arm: job(arm, seed, scale, device) for arm in arms(scale)}, scale)


def yardsticks(count: int) -> dict[str, dict[str, float]]:
    """The same three numbers for the best straight line from texts to pictures, and for two of the true pictures."""
    images, texts, unseen, captions = embeddings()
    with_one = lambda z: torch.cat([z, torch.ones(len(z), 1)], 1)  # noqa: E731
    line = torch.linalg.lstsq(with_one(texts[:, 0]), images).solution
    z, truth = F.normalize(with_one(captions[HALF:]) @ line, dim=1), unseen[HALF:]
    found = ((z @ truth.T).argmax(1) == torch.arange(len(z))).float().mean().item()
    score, cosine = (z - truth).norm(dim=1).mean().item(), (z * truth).sum(1).mean().item()
    return {"straight line": {"score": score, "cosine": cosine, "found": found}}


def plot(runs: list[dict[str, Any]]) -> Figure:
    """Energy score, cosine and share found for each output under each weight; a dot for each seed."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    titles = {"score": "energy score (less is better)", "cosine": "cosine to the true one", "found": "found among 300"}
    weights = [w for w in WEIGHTS if f"x0 {w}" in runs[0]["arms"]]
    for axis, (key, title) in zip(figure.subplots(1, 3, sharey=True), titles.items(), strict=True):
        for k, head in enumerate(HEADS):
            values = [[run["arms"][f"{head} {w}"][key] for w in weights] for run in runs]
            rows = [i + 0.25 * (k - 1) for i in range(len(weights))]
            for one in values:
                axis.plot(one, rows, md.plots.MARKERS[k], color=md.plots.COLOURS[k], ms=5, alpha=0.6, mew=0)
            axis.plot([], [], md.plots.MARKERS[k], color=md.plots.COLOURS[k], label=head)
        axis.set_title(title, fontsize=9)
        axis.set_yticks(range(len(weights)), [WEIGHTS[w] for w in weights])
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="x", color="0.9")
    axis.invert_yaxis()
    figure.legend(*axis.get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=9)
    return figure
