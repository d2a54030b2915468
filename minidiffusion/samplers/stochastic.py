"""Steps with fresh noise: part of the noise in x_t is replaced by new noise."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from .. import check
from ..denoiser import Denoise
from ..process import eps_hat, line, mix, posterior_between, transition
from ..schedule import Level, Schedule
from .deterministic import heun

Noise = Callable[[Tensor], Tensor]  # N(0, I) in the shape of a tensor


def ddpm(denoise: Denoise, x_t: Tensor, t: Level, s: Level, noise: Noise) -> tuple[Tensor, Tensor]:
    """Ancestral sampling: draw x_s from q(x_s | x_t, x0_hat) (Ho et al. 2020, alg. 2).

    Its variance is the smaller of the two that the paper names, beta-tilde.
    """
    x0 = denoise(x_t, t.time)
    mean, std = posterior_between(x_t, x0, t, s)
    return mean + std * noise(x_t), x0


def ddim(denoise: Denoise, x_t: Tensor, t: Level, s: Level, noise: Noise, *, eta: float | int = 0.0) -> tuple[Tensor, Tensor]:
    """alpha_s x0_hat + sqrt(sigma_s^2 - std^2) eps_hat + std z (Song et al. 2021, eq. 12 and 16).

    std is eta times that of the posterior: eta = 0 is deterministic and eta = 1 is ddpm. Above 1 there is even more
    fresh noise, possible as long as no step needs more than all of sigma_s; otherwise a ValueError.
    """
    check.number("eta", eta, 0.0)
    x0 = denoise(x_t, t.time)
    if eta == 0:
        return line(x_t, x0, t, s), x0
    std = eta * posterior_between(x_t, x0, t, s)[1]
    if std > s.sigma * (1 + 1e-12):
        raise ValueError(
            f"eta must not ask for more noise than sigma: from t = {t.time:g} to {s.time:g}, eta = {eta:g} needs "
            f"{std:.4g} of {s.sigma:.4g}; take a smaller eta or smaller steps"
        )
    kept = math.sqrt(max(s.sigma**2 - std**2, 0.0))
    return s.alpha * x0 + kept * eps_hat(x_t, x0, t) + std * noise(x_t), x0


def euler_ancestral(denoise: Denoise, x_t: Tensor, t: Level, s: Level, noise: Noise) -> tuple[Tensor, Tensor]:
    """An Euler step to sigma_down, below sigma_s, and fresh noise that raises it to sigma_s (k-diffusion's euler_a).

    In sigma / alpha the two are sigma_down^2 + sigma_up^2 = sigma_s^2, sigma_up^2 = sigma_s^2 (1 - sigma_s^2 /
    sigma_t^2). It turns out to be ddim with eta = 1, and so ddpm: three names for one step.
    """
    x0 = denoise(x_t, t.time)
    kept = math.exp(t.log_snr - s.log_snr)  # sigma_s^2 / sigma_t^2 in the paper's sigma: the share of the noise kept
    down, up = s.sigma * math.sqrt(kept), s.sigma * math.sqrt(1 - kept)
    return s.alpha * x0 + down * eps_hat(x_t, x0, t) + up * noise(x_t), x0


def consistency(denoise: Denoise, x_t: Tensor, t: Level, s: Level, noise: Noise) -> tuple[Tensor, Tensor]:
    """Jump to the end, then return to s with noise that is all fresh (Song et al. 2023, alg. 1).

    For a network trained with consistency_loss, which predicts where the trajectory through x_t ends. An ordinary
    denoiser predicts the mean of all x0 that could have led to x_t, and with this step its samples are too smooth.
    """
    x0 = denoise(x_t, t.time)
    return mix(s.alpha, x0, s.sigma, noise(x_t)), x0


def edm_churn(
    denoise: Denoise, x_t: Tensor, t: Level, s: Level, noise: Noise, schedule: Schedule, *, eta: float | int = 0.0
) -> tuple[Tensor, Tensor]:
    """Add a little noise, then take Heun's step from there (Karras et al. 2022, alg. 2).

    sigma_hat = sigma_t (1 + gamma), gamma = eta (sqrt(2) - 1), eta in [0, 1]: eta = 1 doubles the variance of the
    noise, the paper's limit, and their S_churn is eta times 0.41 times the number of steps. eta = 0 is heun. S_noise is
    1, and noise is added at all levels, but never beyond t = 1.
    """
    check.number("eta", eta, 0.0, 1.0)
    sigma_hat = t.sigma / t.alpha * (1 + eta * (math.sqrt(2) - 1)) if t.alpha > 0 else math.inf
    hat = schedule.at(schedule.time(-2 * math.log(sigma_hat)))
    if eta > 0 and hat.time > t.time:
        mean, std = transition(x_t, t, hat)
        x_t, t = mean + std * noise(x_t), hat
    return heun(denoise, x_t, t, s)


def langevin(
    denoise: Denoise, x_t: Tensor, t: Level, s: Level, noise: Noise, *, rounds: int = 10, size: float = 0.2
) -> tuple[Tensor, Tensor]:
    """Annealed Langevin dynamics: at each noise level, `rounds` noisy steps uphill (Song and Ermon 2019, alg. 1).

    From one level to the next, x keeps its noise and the rounds must remove some of it; only the signal grows with
    alpha, which theirs does not. It needs a thousand levels to be accurate: with fewer, the rounds lag behind. At
    sigma = 0 there is no score, and x0_hat is the answer. size: of a round, see `_wander`.
    """
    x0 = denoise(x_t, t.time)
    if s.sigma == 0:
        return x0, x0
    return _wander(denoise, x_t + (s.alpha - t.alpha) * x0, s, noise, rounds, size), x0


def predictor_corrector(
    denoise: Denoise, x_t: Tensor, t: Level, s: Level, noise: Noise, *, rounds: int = 1, size: float = 0.16
) -> tuple[Tensor, Tensor]:
    """A step of ddpm, then Langevin dynamics at the level reached (Song et al. 2021, alg. 3 and 5)."""
    x_s, x0 = ddpm(denoise, x_t, t, s, noise)
    return (x_s if s.sigma == 0 else _wander(denoise, x_s, s, noise, rounds, size)), x0


def _wander(denoise: Denoise, x: Tensor, level: Level, noise: Noise, rounds: int, size: float) -> Tensor:
    """x <- x + step score + sqrt(2 step) z, step = 2 (size sigma)^2, `rounds` times.

    The papers' rule is step = 2 (size |z| / |score|)^2. Here sigma stands for |z| / |score|, which it is on average, so
    that the steps do not depend on the rest of the batch. They are not small, and nothing corrects their error: where
    x_t has variance v, x settles at v / (1 - step / (2 v)), which in pure noise is sigma^2 / (1 - size^2).
    """
    step = 2 * (size * level.sigma) ** 2
    for _ in range(rounds):
        score = -eps_hat(x, denoise(x, level.time), level) / level.sigma
        x = x + step * score + math.sqrt(2 * step) * noise(x)
    return x
