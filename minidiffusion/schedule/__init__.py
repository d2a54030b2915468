"""The noise schedule: how much of x0 is left at time t, and how much noise has been added.

x_t = alpha(t) x0 + sigma(t) eps,    eps ~ N(0, I),    t = 0 is data, t = 1 is the prior
snr(t) = alpha(t)^2 / sigma(t)^2,    log_snr(t) = log snr(t),    time(log_snr(t)) = t
"""

from collections.abc import Callable
from typing import Any

from .. import check
from .base import Batch, Level, Scale, Schedule, Time
from .published import cosine, flow, from_betas, linear, scaled_linear, shifted, sigmoid, ve, zero_terminal_snr

NAMED: dict[str, Callable[[], Schedule]] = {
    make.__name__: make for make in (linear, scaled_linear, cosine, sigmoid, flow, ve)
}
MAKERS: dict[str, Callable[..., Schedule]] = NAMED | {m.__name__: m for m in (from_betas, zero_terminal_snr, shifted)}


def from_config(config: dict[str, Any]) -> Schedule:
    """The schedule whose `config()` this is; ValueError if there is no such schedule."""
    check.must_be("a dictionary with a name", "config", config, isinstance(config, dict))
    arguments = {key: from_config(value) if key == "schedule" else value for key, value in config.items()}
    make = MAKERS[check.one_of("name", arguments.pop("name", None), MAKERS)]
    try:
        return make(**arguments)
    except TypeError as error:
        raise ValueError(f"config must be that of a schedule: {error}") from None
