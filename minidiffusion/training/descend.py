"""The training loop, written once, and `fit`, which trains a denoiser with it."""

import functools
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn

from .. import check
from ..denoiser import Denoiser
from ..objectives.weighted import WEIGHTINGS, Loss, draw_times, loss_per_item
from .compiled import compiled
from .device import PRECISIONS, autocast
from .distributed import processes, sum_over_processes
from .examples import Examples
from .state import TrainingState


@dataclass(frozen=True)
class Step:  # what one training step did
    number: int  # 1 after the first step
    loss: float
    gradient_norm: float  # before clipping
    images_per_second: float
    loss_per_item: Tensor  # (batch,)
    ema: Any  # the model with averaged weights: one object that every step updates, so copy.deepcopy(step.ema) keeps it
    state: Callable[[], dict[str, Tensor]]  # returns a copy of everything that the rest of the training depends on


def update_ema(ema: nn.Module, model: nn.Module, decay: float, step: int | None = None) -> None:
    """ema <- decay ema + (1 - decay) model, parameters only (no buffers); the decay is at most step / (step + 10)."""
    decay = decay if step is None else min(decay, step / (step + 10))  # or the average would keep untrained weights
    with torch.no_grad():
        torch._foreach_lerp_(list(ema.parameters()), list(model.parameters()), 1 - decay)


def learning_rate_at(step: int, steps: int, peak: float) -> float:
    """The learning rate rises linearly in the first twentieth of the steps, then falls to 0 along a cosine."""
    return peak * min(step / max(1, steps // 20), 0.5 * (1 + math.cos(math.pi * (step - 1) / steps)))


def descend(
    model: nn.Module,
    draw: Callable[[Generator], tuple[Tensor, ...]],
    loss: Callable[..., Tensor],
    steps: int,
    *,
    learning_rate: float = 1e-3,
    clip: float = 1.0,
    ema_decay: float = 0.999,
    precision: str | None = None,
    seed: int = 0,
    state: Mapping[str, Tensor] | None = None,
    describe: Callable[[Tensor], str] = lambda losses: "",
) -> Iterator[Step]:
    """Train `model` in place with AdamW, yielding a Step after each of `steps` steps.

    draw(generator) returns everything random in one step as tensors (batch, ...); loss(*tensors) their losses (batch,).
    clip: the norm that a longer gradient is scaled to. precision: see `autocast`. state: what step.state() returned in
    a training with the same arguments; this one resumes there, on a CPU to the same bits as if it had never stopped.
    Where `torch.distributed` is set up, the processes share each batch; their data, seed and weights must be the same.
    FloatingPointError if a loss or gradient is not finite, before a weight changes; describe(losses) adds to it.
    """
    check.number("learning_rate", learning_rate, 0.0, 1.0)
    check.positive("clip", clip)
    check.number("ema_decay", ema_decay, 0.0, 1.0)
    check.whole("seed", seed, 0)
    device, (rank, count) = next(model.parameters()).device, processes()
    check.one_of("precision", "float32" if precision is None else precision, PRECISIONS)
    if not any(weight.requires_grad for weight in model.parameters()):
        raise ValueError("no weight can change: after md.load or md.shipped, call .requires_grad_(True) first")
    if precision is None and next(model.parameters()).dtype != torch.float32:
        precision = "float32"  # no bfloat16, which autocast would mix with weights that it does not know
    training = TrainingState(model, seed, state)
    check.whole("steps", steps, max(1, training.steps_done))

    def train() -> Iterator[Step]:
        model.train()
        for number in range(training.steps_done + 1, steps + 1):
            started = time.perf_counter()
            with torch.no_grad():
                batch = draw(training.generator)
            # every process draws the whole batch and works on its share, so that the sums are those of one process
            losses = torch.zeros(len(batch[0]), device=device)
            with autocast(device, precision):
                losses[rank::count] = loss(*(part[rank::count].to(device) for part in batch))
            training.optimiser.zero_grad()
            losses.mean().backward()
            losses = losses.detach()
            sum_over_processes([losses, *(weight.grad for weight in model.parameters() if weight.grad is not None)])
            mean, norm = losses.mean().item(), nn.utils.clip_grad_norm_(model.parameters(), clip).item()
            if not math.isfinite(mean + norm):
                message = f"step {number} has a loss of {mean:.4g} and a gradient of norm {norm:.4g}"
                raise FloatingPointError(message + describe(losses))
            for group in training.optimiser.param_groups:
                group["lr"] = learning_rate_at(number, steps, learning_rate)
            training.optimiser.step()
            update_ema(training.ema, model, ema_decay, number)
            training.steps_done = number
            speed = len(losses) / (time.perf_counter() - started)
            yield Step(number, mean, norm, speed, losses, training.ema, training.state)

    return train()


@dataclass(frozen=True)
class DenoisingStep(Step):
    log_snr: Tensor  # (batch,) the noise level at which each loss_per_item was measured


def fit(
    denoiser: Denoiser,
    data: Tensor | tuple[Tensor, Any],
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

    data: images, points or latents, or a pair (data, cond), see `Examples`. weighting: see `loss_per_item`. loss:
    another one, loss(denoiser, x0, t, eps, cond) -> (batch,). drop: the probability that an item loses its condition,
    so that the network also learns to do without (Ho and Salimans 2022, alg. 1), if its `condition` is a
    `nets.embedding.Condition`. compile: see `compiled`. options: of `descend`: learning_rate=1e-3, clip=1.0,
    ema_decay=0.999, precision=None, seed=0, state=None. Every step updates the same step.ema: copy.deepcopy keeps it.
    """
    if not isinstance(denoiser, Denoiser) or not list(denoiser.parameters()):
        raise TypeError(f"denoiser must be a Denoiser around a network with weights, got {check.came(denoiser)}")
    check.whole("batch_size", batch_size, processes()[1])
    check.number("drop", drop, 0.0, 1.0)
    check.one_of("weighting", weighting, WEIGHTINGS)
    examples = Examples(denoiser, data)
    denoiser.shape = tuple(examples.x0.shape[1:])
    model = compiled(denoiser) if compile else denoiser
    objective = loss or functools.partial(loss_per_item, weighting=weighting)
    log_snr = torch.empty(0)

    def draw(generator: Generator) -> tuple[Tensor, ...]:
        nonlocal log_snr
        index = torch.randint(len(examples.x0), (batch_size,), generator=generator)
        x0, t = examples.items(index), draw_times(batch_size, generator)
        log_snr = denoiser.schedule.log_snr(t.double())
        eps = torch.randn(x0.shape, generator=generator)
        return x0, t, eps, *examples.conditions(index, drop, generator)

    def describe(losses: Tensor) -> str:
        broken = log_snr[~losses.isfinite().cpu()]
        where = f", infinite or nan from {broken.min():.1f} to {broken.max():.1f}" if len(broken) else ""
        return f"; the log-SNR of its batch is {log_snr.min():.1f} to {log_snr.max():.1f}{where}"

    losses = lambda x0, t, eps, *rows: objective(model, x0, t, eps, cond=examples.cond(rows))  # noqa: E731
    training = descend(denoiser, draw, losses, steps, describe=describe, **options)
    return (DenoisingStep(**vars(step), log_snr=log_snr) for step in training)
