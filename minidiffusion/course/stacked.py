"""Many small networks trained as one: an experiment with a hundred arms in the time of one loop.

A stack of N networks of one architecture is one denoiser on states (batch, N, dimension): arm n sees x_t[:, n] and
nothing of the others. So `sample` and everything else that takes a denoiser takes a stack. All arms get the same data,
the same times and the same noise; they differ only in what their `Arm` says, and in their first weights.

    stack = Stack(nets, arms, schedule)
    for step in fit_stack(stack, points, steps=1000):
        print(step.number, step.loss)         # (N,)
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..denoiser import schedule_of
from ..heads import HEADS
from ..objectives.weighted import WEIGHTINGS, draw_times
from ..schedule import Schedule, Time
from ..training.descend import learning_rate_at, update_ema


@dataclass(frozen=True)
class Arm:
    """One training among many.

    x0_hat = skip(t) x_t + gain(t) output: every head is such a pair of curves, and an arm may take them from two heads.
    """

    head: str  # what the output means: a name of heads.HEADS
    weighting: str = "snr"  # of the squared error in x0_hat, whatever the head: a name of loss.WEIGHTINGS, not uniform
    data_scale: float = 1.0  # the arm's data is this many times the data that all arms share
    data_std: float = 1.0  # what head F is told of its data
    output_scale: float = 1.0  # the network is asked for this many times what the head means
    skip: str = ""  # the head whose skip is taken; empty for its own. The first guess of a network that says 0

    def __post_init__(self) -> None:
        for name, known in (("head", self.head), ("skip", self.skip or self.head)):
            if known not in HEADS:
                raise ValueError(f"{name} must be one of {', '.join(HEADS)}, got {known!r}")
        if WEIGHTINGS.get(self.weighting) is None:
            names = ", ".join(name for name, weight in WEIGHTINGS.items() if weight)
            raise ValueError(f"weighting must be one of {names}, got {self.weighting!r}")
        for name, value in (("data_scale", self.data_scale), ("data_std", self.data_std)):
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be above 0 and finite, got {value!r}")
        if self.output_scale == 0 or not math.isfinite(self.output_scale):
            raise ValueError(f"output_scale must be finite and not 0, got {self.output_scale!r}")

    def curves(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """skip and gain at these alpha and sigma: x0_hat = skip x_t + gain output."""
        return _curves(self.skip or self.head, self.data_std, alpha, sigma)[0], _curves(
            self.head, self.data_std, alpha, sigma
        )[1] / self.output_scale


def _curves(head: str, data_std: float, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    # F expects data of its own std: data_std x0 with factor alpha is (std x0) with factor alpha data_std / std
    scale = data_std / HEADS[head].data_std if HEADS[head].data_std != 1 else 1.0
    skip, gain = HEADS[head].curves(scale * alpha, sigma)
    return scale * torch.as_tensor(skip), scale * torch.as_tensor(gain)


class Stack(nn.Module):
    """N networks and their arms as one denoiser: (x_t (batch, N, dimension), t) -> x0_hat of the same shape.

    nets: of one architecture, net(x, t, cond) -> output of the shape of x (batch, dimension). Their weights are copied,
    and may differ, as may their buffers. cond goes through untouched, the same for all arms.
    """

    def __init__(self, nets: Sequence[nn.Module], arms: Sequence[Arm], schedule: Schedule):
        super().__init__()
        if len(nets) != len(arms) or not arms:
            raise ValueError(f"nets and arms must be equally many, and at least one, got {len(nets)} and {len(arms)}")
        self.arms, self.schedule = tuple(arms), schedule_of(nets[0], schedule)
        weights, buffers = torch.func.stack_module_state(list(nets))
        self.names, self._net = tuple(weights), [copy.deepcopy(nets[0])]  # in a list: its own weights are not ours
        self.weights = nn.ParameterList(weights.values())
        self._buffers_of_nets = buffers
        kinds = [replace(arm, weighting="snr", data_scale=1.0) for arm in self.arms]  # all that decides the curves
        self._kinds = list(dict.fromkeys(kinds))
        self._kind = [self._kinds.index(kind) for kind in kinds]

    def forward(self, x_t: Float[Tensor, "batch N dimension"], t: Time, cond: Any = None) -> Tensor:
        if x_t.ndim != 3 or x_t.shape[1] != len(self.arms):
            raise ValueError(f"x_t must be (batch, {len(self.arms)}, dimension), got {tuple(x_t.shape)}")
        alpha, sigma = self._scales(t, x_t)
        skip, gain = self._curves(alpha, sigma)
        times = torch.as_tensor(t, dtype=torch.float32, device=x_t.device).expand(len(x_t))
        weights, x = dict(zip(self.names, self.weights, strict=True)), self._input(x_t, t)
        net = torch.func.vmap(self._one, in_dims=(0, 0, 1, None, None), out_dims=1)
        output = net(weights, self._buffers_of_nets, x, times, cond)
        return skip * x_t + gain * output.to(x_t)

    def _one(self, weights: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor, t: Tensor, cond: Any) -> Tensor:
        return torch.func.functional_call(self._net[0], (weights, buffers), (x, t, cond))

    def _input(self, x_t: Tensor, t: Time) -> Tensor:
        """Unit variance in, if the data has the variance that the arm was told of, as in Denoiser."""
        alpha, sigma = self._scales(t, x_t)
        std = torch.tensor([arm.data_std for arm in self.arms], dtype=torch.float64)[:, None]
        return x_t / ((alpha * std) ** 2 + sigma**2).sqrt().to(x_t)

    def _scales(self, t: Time, x: Tensor) -> tuple[Tensor, Tensor]:
        """alpha and sigma in float64, ready to multiply (batch, N, dimension)."""
        level = self.schedule.at(torch.as_tensor(t, dtype=torch.float64).reshape(-1), like=x.double())
        return level.alpha, level.sigma

    def _curves(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """skip and gain of every arm, (batch or 1, N, 1): those of each kind once, and each arm takes its kind's."""
        pairs = [arm.curves(alpha, sigma) for arm in self._kinds]
        skip, gain = (torch.cat([pair[i] for pair in pairs], dim=1).float() for i in range(2))
        return skip[:, self._kind], gain[:, self._kind]

    def data_scale(self) -> Float[Tensor, "N 1"]:
        """By how much each arm's data is scaled: multiply what all arms share by it, and divide samples by it."""
        return torch.tensor([arm.data_scale for arm in self.arms])[:, None]

    def losses(
        self, x0: Float[Tensor, "batch dimension"], t: Float[Tensor, "batch"], eps: Tensor, cond: Any = None
    ) -> Float[Tensor, "batch N"]:
        """The weighted squared error in x0_hat of each item and arm, (batch, N), averaged over dimensions."""
        x0, eps = x0[:, None] * self.data_scale(), eps[:, None]
        alpha, sigma = self._scales(t, x0)
        x_t = alpha.float() * x0 + sigma.float() * eps
        snr, slope = (alpha / sigma) ** 2, -self.schedule.log_snr_slope(t.double()).reshape(-1, 1, 1)
        error = (self(x_t, t, cond) - x0).square().mean(2)
        weight = {name: WEIGHTINGS[name](snr, slope)[:, 0] for name in {arm.weighting for arm in self.arms}}  # type: ignore
        return error * torch.cat([weight[arm.weighting] for arm in self.arms], dim=1).to(error)


@dataclass(frozen=True)
class StackStep:
    """What one step of training did to every arm."""

    number: int  # 1 after the first step
    loss: Float[Tensor, "N"]
    gradient_norm: Float[Tensor, "N"]  # before clipping
    ema: Stack  # the stack with averaged weights, one object that every step updates: sample from it


def fit_stack(
    stack: Stack,
    points: Float[Tensor, "count dimension"],
    steps: int,
    cond: Tensor | None = None,
    *,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
    ema_decay: float = 0.99,
    log_snr: tuple[float, float] = (-10.0, 10.0),
    clip: float = 1.0,
    seed: int = 0,
) -> Iterator[StackStep]:
    """Train every arm in place; yields a StackStep after each of `steps` steps.

    Each arm is trained as `fit` would train it alone, but with Adam: the gradient is clipped to the norm `clip`, and
    the learning rate rises and falls. cond: one row for each point, passed to the networks. log_snr: the lowest and the
    highest noise level; t is uniform between them, so that no arm divides by 0. An arm whose gradient is not finite
    keeps its weights in that step.
    """
    if points.ndim != 2 or len(points) == 0:
        raise ValueError(f"points must be (count, dimension), one or more, got shape {tuple(points.shape)}")
    low, high = (stack.schedule.time(level) for level in reversed(log_snr))
    if not low < high:
        raise ValueError(f"log_snr must be two levels, the lower first, got {log_snr!r}")
    generator = torch.Generator().manual_seed(seed)
    weights, ema = list(stack.weights), copy.deepcopy(stack).requires_grad_(False)
    optimiser = torch.optim.Adam(weights, lr=learning_rate)
    for number in range(1, steps + 1):
        index = torch.randint(len(points), (batch_size,), generator=generator)
        x0, c = points[index].float(), None if cond is None else cond[index]
        t = low + (high - low) * draw_times(batch_size, generator)
        loss = stack.losses(x0, t, torch.randn(x0.shape, generator=generator), c).mean(0)
        optimiser.zero_grad()
        loss.sum().backward()  # the arms share no weights, so each gets the gradient of its own loss
        norm = _clip(weights, clip)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate_at(number, steps, learning_rate)
        optimiser.step()
        update_ema(ema, stack, ema_decay, number)
        yield StackStep(number, loss.detach(), norm, ema)


def _clip(weights: Sequence[Tensor], most: float) -> Float[Tensor, "N"]:
    """Scale each arm's gradient to the norm `most` where it is longer; 0 where it is not finite. The norms before."""
    grads = [weight.grad for weight in weights if weight.grad is not None]
    norm = torch.stack([grad.square().reshape(len(grad), -1).sum(1) for grad in grads]).sum(0).sqrt()
    factor = (most / (norm + 1e-6)).clamp(max=1.0)
    for grad in grads:
        shape = (-1,) + (1,) * (grad.ndim - 1)
        grad.mul_(factor.view(shape)).masked_fill_(~norm.isfinite().view(shape), 0.0)
    return norm
