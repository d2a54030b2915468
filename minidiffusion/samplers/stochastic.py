"""Steps with fresh noise: what they forget of x_t, they draw again."""

from __future__ import annotations

import math

from torch import Tensor

from ..denoiser import Denoise
from ..process import mix, posterior_at
from ..schedule import Level
from .deterministic import heun
from .walk import Walk, eps_hat, line


def ddpm(denoise: Denoise, x_t: Tensor, t: Level, s: Level, walk: Walk) -> tuple[Tensor, Tensor]:
    """Ancestral sampling: draw x_s from q(x_s | x_t, x0_hat), fresh noise each step (Ho et al. 2020, alg. 2).

    Its variance is the smaller of the two that the paper names, beta-tilde.
    """
    x0 = denoise(x_t, t.time)
    mean, std = posterior_at(x_t, x0, t, s)
    return mean + std * walk.noise(x_t), x0


def ddim(denoise: Denoise, x_t: Tensor, t: Level, s: Level, walk: Walk) -> tuple[Tensor, Tensor]:
    """alpha_s x0_hat + sqrt(sigma_s^2 - std^2) eps_hat + std z (Song et al. 2021, eq. 12 and 16).

    std = eta times that of the posterior: eta = 0 is deterministic, eta = 1 is ddpm.
    """
    x0 = denoise(x_t, t.time)
    if walk.eta == 0:
        return line(x_t, x0, t, s), x0
    std = walk.eta * posterior_at(x_t, x0, t, s)[1]
    direction = math.sqrt(s.sigma**2 - std**2) * eps_hat(x_t, x0, t)
    return s.alpha * x0 + direction + std * walk.noise(x_t), x0


def euler_ancestral(denoise: Denoise, x_t: Tensor, t: Level, s: Level, walk: Walk) -> tuple[Tensor, Tensor]:
    """Euler's step goes too far down, to sigma_down, and noise brings it up again (k-diffusion's euler_a).

    In sigma / alpha the two are sigma_down^2 + sigma_up^2 = sigma_s^2, sigma_up^2 = sigma_s^2 (1 - sigma_s^2 /
    sigma_t^2). Worked out, it is ddim with eta = 1, and ddpm: three names for one step.
    """
    x0 = denoise(x_t, t.time)
    kept = math.exp(t.log_snr - s.log_snr)  # sigma_s^2 / sigma_t^2 of the paper's sigma: the share of the noise kept
    down, up = s.sigma * math.sqrt(kept), s.sigma * math.sqrt(1 - kept)
    return s.alpha * x0 + down * eps_hat(x_t, x0, t) + up * walk.noise(x_t), x0


def consistency(denoise: Denoise, x_t: Tensor, t: Level, s: Level, walk: Walk) -> tuple[Tensor, Tensor]:
    """Jump to the end, then go back up to s with noise that is all fresh (Song et al. 2023, alg. 1).

    For a network that knows where the path from x_t ends (consistency.py). An ordinary denoiser knows the mean of
    all that x_t may have been, and with this step its samples come out too smooth.
    """
    x0 = denoise(x_t, t.time)
    return mix(s.alpha, x0, s.sigma, walk.noise(x_t)), x0


def edm_churn(denoise: Denoise, x_t: Tensor, t: Level, s: Level, walk: Walk) -> tuple[Tensor, Tensor]:
    """Add a little noise, then take Heun's step from there (Karras et al. 2022, alg. 2).

    sigma_hat = sigma_t (1 + gamma), gamma = eta (sqrt(2) - 1): eta = 1 doubles the variance of the noise, the
    paper's limit, and its S_churn is eta times 0.41 times the number of steps. eta = 0 is heun. S_noise is 1, and
    the noise rises at all levels, but not beyond t = 1.
    """
    sigma_hat = t.sigma / t.alpha * (1 + walk.eta * (math.sqrt(2) - 1)) if t.alpha > 0 else math.inf
    (hat,) = walk.schedule.levels([walk.schedule.time(-2 * math.log(sigma_hat))])
    if walk.eta > 0 and hat.time > t.time:
        scale = hat.alpha / t.alpha
        x_t = scale * x_t + math.sqrt(hat.sigma**2 - (scale * t.sigma) ** 2) * walk.noise(x_t)
        t = hat
    return heun(denoise, x_t, t, s, walk)


def langevin(denoise: Denoise, x_t: Tensor, t: Level, s: Level, walk: Walk) -> tuple[Tensor, Tensor]:
    """Annealed Langevin dynamics: at each noise level wander, uphill and with noise (Song and Ermon 2019, alg. 1).

    From one level to the next x keeps its noise, and ten rounds must take it off; only the signal grows with alpha,
    which theirs does not. It takes a thousand levels to be right: with fewer the rounds lag behind, with larger
    ones they overshoot. At sigma = 0 there is no score, and x0_hat is the answer.
    """
    x0 = denoise(x_t, t.time)
    if s.sigma == 0:
        return x0, x0
    return _wander(denoise, x_t + (s.alpha - t.alpha) * x0, s, walk, rounds=10, size=0.2), x0


def predictor_corrector(denoise: Denoise, x_t: Tensor, t: Level, s: Level, walk: Walk) -> tuple[Tensor, Tensor]:
    """A step of ddpm, then one round of Langevin dynamics at the level reached (Song et al. 2021, alg. 3 and 5)."""
    x_s, x0 = ddpm(denoise, x_t, t, s, walk)
    return (x_s if s.sigma == 0 else _wander(denoise, x_s, s, walk, rounds=1, size=0.16)), x0


def _wander(denoise: Denoise, x: Tensor, level: Level, walk: Walk, rounds: int, size: float) -> Tensor:
    """x <- x + step score + sqrt(2 step) z, step = 2 (size sigma)^2.

    That is the papers' rule, step = 2 (size |z| / |score|)^2, with |z| / |score| replaced by sigma, which it is
    on average: the steps then do not depend on the rest of the batch. They are not small, and nothing corrects them:
    where x_t has the variance v, x comes to rest at v / (1 - step / (2 v)), in pure noise at sigma^2 / (1 - size^2).
    """
    step = 2 * (size * level.sigma) ** 2
    for _ in range(rounds):
        score = -eps_hat(x, denoise(x, level.time), level) / level.sigma
        x = x + step * score + math.sqrt(2 * step) * walk.noise(x)
    return x
