"""Exact denoisers: data whose best guess E[x0 | x_t] can be written down. No training, no error.

Each is called like any denoiser, oracle(x_t, t) -> x0_hat, knows its schedule and gives the `score`. Where the
data has an exact law, `sample(count)` draws x0 from it and `log_density(x_t, t)` is log q(x_t).
"""

from .base import Oracle
from .gaussians import Mixture, gaussian, mixture
from .items import DataSet, dataset
from .local import Patches, patches

__all__ = ["DataSet", "Mixture", "Oracle", "Patches", "dataset", "gaussian", "mixture", "patches"]
