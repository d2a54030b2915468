"""What the steps of a sampler share."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from ..process import mix, noise_like
from ..schedule import Level, Schedule


class Visit(NamedTuple):
    """A place where the walk has been, and the guess of x0 that was made there."""

    level: Level
    x_t: Tensor
    x0: Tensor


@dataclass
class Walk:
    """What belongs to one trajectory and not to one step."""

    schedule: Schedule
    eta: float = 0.0
    generator: torch.Generator | None = None
    visits: deque[Visit] = field(default_factory=lambda: deque(maxlen=2))  # the memory of multistep methods

    def noise(self, like: Tensor) -> Tensor:
        return noise_like(like, self.generator)


def line(x_t: Tensor, x0: Tensor, t: Level, s: Level) -> Tensor:
    """x_s on the line through x_t that aims at x0."""
    shrink = s.sigma / t.sigma
    return mix(shrink, x_t, s.alpha - t.alpha * shrink, x0)


def eps_hat(x_t: Tensor, x0: Tensor, t: Level) -> Tensor:
    """The noise that explains x_t if x0 is the clean picture; t.sigma is above 0 wherever a step begins."""
    return (x_t - t.alpha * x0) / t.sigma
