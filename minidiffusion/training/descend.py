"""The training loop, written once: a denoiser, a VAE and IMLE differ only in what they draw and in their loss."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .. import check
from .device import autocast
from .distributed import processes, sum_over_processes
from .state import TrainingState


@dataclass(frozen=True)
class Step:
    """What one training step did."""

    number: int  # 1 after the first step
    loss: float  # the mean of loss_per_item
    gradient_norm: float  # before clipping
    images_per_second: float  # or points, or whatever the items are
    loss_per_item: Tensor  # (batch,)
    ema: Any  # the model with averaged weights: one object that every step updates, so copy.deepcopy(step.ema) keeps it
    state: Callable[[], dict[str, Tensor]]  # returns a copy of everything that the rest of the training depends on


def update_ema(ema: nn.Module, model: nn.Module, decay: float, step: int | None = None) -> None:
    """ema <- decay ema + (1 - decay) model, with a decay of at most step / (step + 10): a short memory at first."""
    decay = decay if step is None else min(decay, step / (step + 10))  # or the average would keep untrained weights
    with torch.no_grad():
        torch._foreach_lerp_(list(ema.parameters()), list(model.parameters()), 1 - decay)


def learning_rate_at(step: int, steps: int, peak: float) -> float:
    """The learning rate rises linearly in the first twentieth of the steps, then falls to 0 along a cosine."""
    return peak * min(step / max(1, steps // 20), 0.5 * (1 + math.cos(math.pi * (step - 1) / steps)))


def descend(
    model: nn.Module,
    draw: Callable[[torch.Generator], tuple[Tensor, ...]],
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

    draw(generator) returns everything random in one step as tensors (batch, ...); loss(*tensors) returns their losses
    (batch,). clip: the norm that a longer gradient is scaled down to. precision: of the loss, see `autocast`. The same
    seed gives the same weights on the same machine. state: what step.state() returned in a training with the same
    arguments; this one resumes after that step, and on a CPU ends with the same bits as if it had never stopped.
    If `torch.distributed` is set up, the processes share each batch; all need the same data, seed and first weights.
    FloatingPointError if a loss or gradient is not finite, before a weight changes; describe(losses) adds to it.
    """
    check.number("learning_rate", learning_rate, 0.0, 1.0)
    check.positive("clip", clip)
    check.number("ema_decay", ema_decay, 0.0, 1.0)
    check.whole("seed", seed, 0)
    device, (rank, count) = next(model.parameters()).device, processes()
    with autocast(device, precision):
        pass  # raises now, before any work, if there is no such precision
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
