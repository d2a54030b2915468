"""Exact denoisers: data whose best guess E[x0 | x_t] can be written down. No training, and no error.

Each is called like any denoiser, oracle(x_t, t) -> x0_hat, knows its schedule and its `score`. Where the data has an
exact distribution, `sample(count)` draws x0 from it and `log_density(x_t, t)` is log q(x_t).
"""

from .base import Oracle
from .gaussians import Mixture, gaussian, mixture
from .items import DataSet, dataset
from .local import Patches, patches
