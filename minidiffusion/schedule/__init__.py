"""The noise schedule: how much of x0 is left at time t, and how much noise has been added.

x_t = alpha(t) x0 + sigma(t) eps,    eps ~ N(0, I),    t = 0 is data, t = 1 is the prior
snr(t) = alpha(t)^2 / sigma(t)^2,    log_snr(t) = log snr(t),    time(log_snr(t)) = t
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import check
from .base import Level, Scale, Schedule, Time
from .changed import shifted, zero_terminal_snr
from .curves import cosine, flow, from_betas, linear, scaled_linear, sigmoid, ve
from .learned import LearnedSchedule

NAMED: dict[str, Callable[[], Schedule]] = dict(
    linear=linear, scaled_linear=scaled_linear, cosine=cosine, sigmoid=sigmoid, flow=flow, ve=ve
)
MADE = dict(from_betas=from_betas, zero_terminal_snr=zero_terminal_snr, shifted=shifted, learned=LearnedSchedule)


def from_config(config: dict[str, Any]) -> Schedule:
    """The schedule whose `config()` this is; ValueError if there is no such schedule."""
    if not isinstance(config, dict):
        raise ValueError(f"config must be a dictionary with a name, got {check.came(config)}")
    make: dict[str, Callable[..., Schedule]] = {**NAMED, **MADE}
    arguments = {key: from_config(value) if key == "schedule" else value for key, value in config.items()}
    name = check.one_of("name", arguments.pop("name", None), make)
    try:
        return make[name](**arguments)
    except TypeError as error:
        raise ValueError(f"config must be that of a schedule: {error}") from None
