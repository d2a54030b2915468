"""The noise schedule: how much of x0 is left at time t, and how much noise is beside it.

x_t = alpha(t) x0 + sigma(t) eps,    eps ~ N(0, I),    t = 0 is data, t = 1 is the prior
snr(t) = alpha(t)^2 / sigma(t)^2,    log_snr(t) = log snr(t),    time(log_snr(t)) = t
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .base import Level, Schedule, VariancePreserving
from .changed import shifted, zero_terminal_snr
from .curves import cosine, flow, from_betas, linear, scaled_linear, sigmoid, ve
from .learned import LearnedSchedule

NAMED: dict[str, Callable[[], Schedule]] = dict(
    linear=linear, scaled_linear=scaled_linear, cosine=cosine, sigmoid=sigmoid, flow=flow, ve=ve
)


def from_config(config: dict[str, Any]) -> Schedule:
    """The schedule whose `config()` this is; ValueError if there is no such schedule."""
    name = config.get("name") if isinstance(config, dict) else None
    if name == "from_betas":
        return from_betas(config.get("betas", []))
    if name == "zero_terminal_snr":
        return zero_terminal_snr(from_config(config.get("schedule", {})))
    if name == "shifted":
        return shifted(from_config(config.get("schedule", {})), config.get("factor", 0.0))
    if name == "learned":
        return LearnedSchedule(**{key: value for key, value in config.items() if key != "name"})
    if name not in NAMED:
        raise ValueError(f"name must be one of {', '.join(NAMED)}, got {name!r}")
    return NAMED[name]()


__all__ = [
    "NAMED",
    "LearnedSchedule",
    "Level",
    "Schedule",
    "VariancePreserving",
    "cosine",
    "flow",
    "from_betas",
    "from_config",
    "linear",
    "scaled_linear",
    "shifted",
    "sigmoid",
    "ve",
    "zero_terminal_snr",
]
