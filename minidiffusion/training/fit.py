"""Training: take pictures, add noise, guess the pictures, correct. One loop; all around it is the caller's.

    for step in fit(denoiser, images, steps=1000):
        print(step.number, step.loss)

`fit` yields after each step, so a notebook plots, a command shows its bar and a test stops after three steps,
all with the same loop. To stop and go on later, keep `step.state()` and give it to the next `fit`.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..data import to_float
from ..denoiser import Denoiser
from ..objectives.weighted import WEIGHTINGS, Loss, draw_times, loss_per_item
from .device import autocast, compiled
from .distributed import processes, sum_over_processes
from .state import TrainingState


@dataclass(frozen=True)
class Step:
    """What one step of training did."""

    number: int  # 1 after the first step
    loss: float
    gradient_norm: float  # before it is clipped to 1
    images_per_second: float
    log_snr: Tensor  # (batch,) noise levels of this batch
    loss_per_item: Tensor  # (batch,) and the loss at each: large where there is little left to see
    ema: Denoiser  # the averaged network: sample from this one
    state: Callable[[], dict[str, Tensor]]  # a copy of all that the next steps depend on: keep it, and go on later


def update_ema(ema: torch.nn.Module, model: torch.nn.Module, decay: float) -> None:
    """ema <- decay * ema + (1 - decay) * model, weight by weight."""
    with torch.no_grad():
        torch._foreach_lerp_(list(ema.parameters()), list(model.parameters()), 1 - decay)


def learning_rate_at(step: int, steps: int, peak: float) -> float:
    """Up in a straight line over the first twentieth, down to 0 along a cosine; step counts from 1."""
    warmup = max(1, steps // 20)
    return peak * min(step / warmup, 0.5 * (1 + math.cos(math.pi * (step - 1) / steps)))


def fit(
    denoiser: Denoiser,
    data: Tensor | tuple[Tensor, Tensor],
    steps: int,
    *,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
    weighting: str = "uniform",
    loss: Loss | None = None,
    drop_label: float = 0.1,
    ema_decay: float = 0.999,
    precision: str | None = None,
    compile: bool = False,
    seed: int = 0,
    state: Mapping[str, Tensor] | None = None,
) -> Iterator[Step]:
    """Train `denoiser` in place; yields a Step after each of `steps` steps.

    data: images (count, channel, height, width), uint8, or float in [-1, 1], or points (count, dimension); or a
    pair (data, labels). It moves to the denoiser's device once and becomes float in the batch. A label turns
    into the null label with probability `drop_label`, so that the network learns to do without (Ho and
    Salimans 2022, alg. 1). weighting: of `loss_per_item`; loss: what to make small in its place, a function
    (denoiser, x0, t, eps, cond) -> (batch,), such as hybrid_loss(). precision: float32, bfloat16, or None for
    the faster one. compile: the network, as `device.compiled` does, which is worth its minute on a GPU. The same
    seed gives the same weights on one machine. state: what `step.state()` returned in a training with the same
    arguments; this one goes on after that step, on a CPU to the same bits as if it had never stopped. Where
    `torch.distributed` is set up, the processes share each batch; data, seed and first weights must be the same
    in all of them.

    FloatingPointError, before any weight changes, at the first loss or gradient that is not finite.
    """
    x0, labels = data if isinstance(data, tuple) else (data, None)
    _check_data(denoiser, x0, labels)
    for name, number, least in (("steps", steps, 1), ("batch_size", batch_size, 1), ("seed", seed, 0)):
        if not isinstance(number, int) or number < least:
            raise ValueError(f"{name} must be a whole number of at least {least}, got {number!r}")
    for name, share in (("learning_rate", learning_rate), ("drop_label", drop_label), ("ema_decay", ema_decay)):
        if not isinstance(share, (int, float)) or not 0 <= share <= 1:
            raise ValueError(f"{name} must be in [0, 1], got {share!r}")
    if weighting not in WEIGHTINGS:
        raise ValueError(f"weighting must be one of {', '.join(WEIGHTINGS)}, got {weighting!r}")
    device = next(denoiser.parameters()).device
    autocast(device, precision)  # says now if there is no such precision
    x0, labels = x0.to(device), None if labels is None else labels.to(device)
    rank, count = processes()
    if batch_size < count:
        raise ValueError(f"batch_size must be at least the number of processes, {count}, got {batch_size}")
    training = TrainingState(denoiser, seed)
    if state is not None:
        training.restore(state)
    if training.steps_done > steps:
        raise ValueError(f"state must be of one of the {steps} steps, got that of step {training.steps_done}")
    generator, optimiser, ema = training.generator, training.optimiser, training.ema
    objective = loss or functools.partial(loss_per_item, weighting=weighting)
    asked = compiled(denoiser) if compile else denoiser

    def train() -> Iterator[Step]:
        denoiser.train()
        for number in range(training.steps_done + 1, steps + 1):
            started = time.perf_counter()
            index = torch.randint(len(x0), (batch_size,), generator=generator).to(device)
            batch = to_float(x0[index]) if x0.dtype == torch.uint8 else x0[index].float()
            t = draw_times(batch_size, generator)
            eps = torch.randn(batch.shape, generator=generator).to(batch)
            cond = None
            if labels is not None:
                drop = torch.rand(batch_size, generator=generator) < drop_label
                cond = labels[index].masked_fill(drop.to(device), denoiser.net.condition.classes)  # type: ignore

            optimiser.zero_grad()
            # every process has drawn the whole batch, and works on its share; the sums are those of one process
            mine = slice(rank, None, count)
            losses = torch.zeros(batch_size, device=device)
            with autocast(device, precision):
                share = None if cond is None else cond[mine]
                losses[mine] = objective(asked, batch[mine], t[mine].to(device), eps[mine], cond=share)
            losses.mean().backward()
            losses = losses.detach()
            sum_over_processes([losses, *(p.grad for p in denoiser.parameters() if p.grad is not None)])
            norm = torch.nn.utils.clip_grad_norm_(denoiser.parameters(), 1.0)
            log_snr = denoiser.schedule.log_snr(t.double()).detach()
            if not (losses.mean() + norm).isfinite():
                raise FloatingPointError(_not_finite(number, losses, norm, log_snr))
            for group in optimiser.param_groups:
                group["lr"] = learning_rate_at(number, steps, learning_rate)
            optimiser.step()
            # the average is short at first, or it would remember the untrained network
            update_ema(ema, denoiser, min(ema_decay, number / (number + 10)))

            training.steps_done = number

            speed = batch_size / (time.perf_counter() - started)
            yield Step(number, losses.mean().item(), norm.item(), speed, log_snr, losses, ema, training.state)

    return train()


def _not_finite(number: int, losses: Tensor, norm: Tensor, log_snr: Tensor) -> str:
    """What is known of a step that must not be taken."""
    broken = log_snr[~losses.isfinite().cpu()]
    where = f", infinite or nan from {broken.min():.1f} to {broken.max():.1f}" if len(broken) else ""
    return (
        f"step {number} has a loss of {losses.mean():.4g} and a gradient of norm {norm:.4g}; "
        f"the log-SNR of its batch is {log_snr.min():.1f} to {log_snr.max():.1f}{where}"
    )


def _check_data(denoiser: Denoiser, x0: Tensor, labels: Tensor | None) -> None:
    """Before any work: name what is wrong."""
    if not isinstance(denoiser, Denoiser) or not list(denoiser.parameters()):
        raise TypeError(f"denoiser must be a Denoiser around a network with weights, got {denoiser!r}")
    if not isinstance(x0, Tensor) or not (x0.is_floating_point() or x0.dtype == torch.uint8):
        raise TypeError(f"data must be a tensor, uint8 or float, got {getattr(x0, 'dtype', type(x0).__name__)}")
    if x0.ndim < 2 or len(x0) == 0:
        raise ValueError(f"data must be images or points, one or more, got shape {tuple(x0.shape)}")
    if x0.is_floating_point() and not x0.abs().max() < (1.001 if x0.ndim == 4 else math.inf):  # or nan
        raise ValueError(f"data must be finite, and images in [-1, 1] or uint8, got floats up to {x0.abs().max():.3g}")
    if labels is None:
        return
    classes = getattr(getattr(denoiser.net, "condition", None), "classes", 0)
    whole = isinstance(labels, Tensor) and labels.dtype in (torch.int32, torch.int64)
    if not whole or labels.shape != x0.shape[:1] or labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"labels must be {len(x0)} whole numbers from 0 to {classes - 1}, got {labels!r}")
