"""Train a denoiser: add noise to a batch of images, predict the clean images, take a gradient step."""

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .. import check
from ..data import to_float
from ..denoiser import Denoiser
from ..nets.embedding import Condition
from ..objectives.weighted import WEIGHTINGS, Loss, draw_times, loss_per_item
from .descend import Step, descend
from .device import compiled
from .distributed import processes


@dataclass(frozen=True)
class DenoisingStep(Step):
    """What one training step of a denoiser did."""

    log_snr: Tensor  # (batch,) the noise level at which each loss_per_item was measured


def fit(
    denoiser: Denoiser,
    data: Tensor | tuple[Tensor, Tensor],
    steps: int,
    *,
    batch_size: int = 128,
    weighting: str = "uniform",
    loss: Loss | None = None,
    drop: float = 0.1,
    compile: bool = False,
    **options: Any,
) -> Iterator[DenoisingStep]:
    """Train `denoiser` in place, yielding a step after each of `steps` steps. Sample from step.ema.

    data: images (count, channel, height, width), uint8 or float in [-1, 1]; points or latents (count, ...), finite
    floats; or a pair (data, cond) with one row of cond for each item: labels, embeddings or words. weighting: of
    `loss_per_item`. loss: a function to use instead, (denoiser, x0, t, eps, cond) -> (batch,). drop: the probability
    that an item loses its condition, so that the network also learns to do without (Ho and Salimans 2022, alg. 1); a
    network of your own without a `nets.embedding.Condition` gets every cond untouched. compile: see `compiled`.
    options: learning_rate=1e-3, clip=1.0, ema_decay=0.999, precision=None, seed=0 and state=None, see `descend`.
    step.ema is the same object after every step; copy.deepcopy(step.ema) keeps the network of one of them.
    """
    if not isinstance(denoiser, Denoiser) or not list(denoiser.parameters()):
        raise TypeError(f"denoiser must be a Denoiser around a network with weights, got {check.came(denoiser)}")
    x0, cond = data if isinstance(data, tuple) else (data, None)
    check.items("data", to_float(x0[:1]) if getattr(x0, "dtype", None) == torch.uint8 else x0)
    if (
        not x0.abs().max() < (100 if x0.ndim == 4 else math.inf) and x0.dtype != torch.uint8
    ):  # latents may leave [-1, 1]
        raise ValueError(f"data must be finite, and images in [-1, 1] or uint8, got floats up to {x0.abs().max():.3g}")
    condition, forget = getattr(denoiser.net, "condition", None), None
    if isinstance(condition, Condition):
        condition.check(cond, len(x0))
        forget = condition.forget
        cond = cond.float() if cond is not None and cond.is_floating_point() else cond
    elif cond is not None and len(cond) != len(x0):
        raise ValueError(f"cond must have one row for each of {len(x0)} items, got {check.came(cond)}")
    check.whole("batch_size", batch_size, processes()[1])
    check.number("drop", drop, 0.0, 1.0)
    check.one_of("weighting", weighting, WEIGHTINGS)
    device = next(denoiser.parameters()).device
    x0, cond = x0.to(device), None if cond is None else cond.to(device)
    model = compiled(denoiser) if compile else denoiser
    objective = loss or functools.partial(loss_per_item, weighting=weighting)
    log_snr = torch.empty(0)

    def draw(generator: torch.Generator) -> tuple[Tensor, ...]:
        nonlocal log_snr
        index = torch.randint(len(x0), (batch_size,), generator=generator).to(device)
        batch = to_float(x0[index]) if x0.dtype == torch.uint8 else x0[index].float()
        t = draw_times(batch_size, generator)
        log_snr = denoiser.schedule.log_snr(t.double())
        eps = torch.randn(batch.shape, generator=generator)
        if cond is None:
            return batch, t, eps
        dropped = (torch.rand(batch_size, generator=generator) < drop).to(device)
        return batch, t, eps, forget(cond[index], dropped) if forget else cond[index]

    def describe(losses: Tensor) -> str:
        broken = log_snr[~losses.isfinite().cpu()]
        where = f", infinite or nan from {broken.min():.1f} to {broken.max():.1f}" if len(broken) else ""
        return f"; the log-SNR of its batch is {log_snr.min():.1f} to {log_snr.max():.1f}{where}"

    def loss_of(x0: Tensor, t: Tensor, eps: Tensor, cond: Tensor | None = None) -> Tensor:
        return objective(model, x0, t, eps, cond=cond)

    training = descend(denoiser, draw, loss_of, steps, describe=describe, **options)
    return (DenoisingStep(**vars(step), log_snr=log_snr) for step in training)
