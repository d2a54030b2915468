"""Steps with fresh noise: part of the noise in x_t is replaced by new noise."""

import math
from collections.abc import Callable

from torch import Tensor

from .. import check
from ..check import Number
from ..denoiser import Denoise
from ..process import eps_hat, line, mix, posterior_between, transition
from ..schedule import Level, Schedule
from .deterministic import Pair, heun

Noise = Callable[[Tensor], Tensor]  # N(0, I) in the shape of a tensor


def ddpm(denoise: Denoise, x_t: Tensor, t: Level, s: Level, noise: Noise) -> Pair:
    """Draw x_s from q(x_s | x_t, x0_hat) (Ho et al. 2020, alg. 2), with the smaller of their variances, beta-tilde."""
    x0 = denoise(x_t, t.time)
    mean, std = posterior_between(x_t, x0, t, s)
    return mean + std * noise(x_t), x0


def ddim(denoise: Denoise, x_t: Tensor, t: Level, s: Level, noise: Noise, *, eta: Number = 0.0) -> Pair:
    """alpha_s x0_hat + sqrt(sigma_s^2 - std^2) eps_hat + std z (Song et al. 2021, eq. 12 and 16).

    std is eta times that of the posterior: eta = 0 is deterministic and eta = 1 is ddpm. Above 1 there is even more
    fresh noise, possible as long as no step asks for more than all of sigma_s; otherwise a ValueError.
    """
    check.number("eta", eta, 0.0)
    x0 = denoise(x_t, t.time)
    if eta == 0:
        return line(x_t, x0, t, s), x0
    std = eta * posterior_between(x_t, x0, t, s)[1]
    if std > s.sigma * (1 + 1e-12):
        asks = f"from t = {t.time:g} to {s.time:g}, eta = {eta:g} asks for {std:.4g} of {s.sigma:.4g}"
        raise ValueError(f"eta must leave sigma as it is: {asks}; take a smaller eta or smaller steps")
    kept = math.sqrt(max(s.sigma**2 - std**2, 0.0))
    return s.alpha * x0 + kept * eps_hat(x_t, x0, t) + std * noise(x_t), x0


def euler_ancestral(denoise: Denoise, x_t: Tensor, t: Level, s: Level, noise: Noise) -> Pair:
    """An Euler step to sigma_down, below sigma_s, and fresh noise that raises it to sigma_s (k-diffusion's euler_a).

    In sigma / alpha, sigma_down^2 + sigma_up^2 = sigma_s^2 with sigma_up^2 = sigma_s^2 (1 - sigma_s^2 / sigma_t^2).
    That is ddim with eta = 1, and so ddpm: three names for one step.
    """
    return ddim(denoise, x_t, t, s, noise, eta=1.0)


def consistency(denoise: Denoise, x_t: Tensor, t: Level, s: Level, noise: Noise) -> Pair:
    """Jump to the end, then return to s with noise that is all fresh (Song et al. 2023, alg. 1).

    For a network trained with consistency_loss: an ordinary denoiser predicts a mean, so its samples are too smooth.
    """
    x0 = denoise(x_t, t.time)
    return mix(s.alpha, x0, s.sigma, noise(x_t)), x0


def edm_churn(
    denoise: Denoise, x_t: Tensor, t: Level, s: Level, noise: Noise, schedule: Schedule, *, eta: Number = 0.0
) -> Pair:
    """Add a little noise, though never beyond t = 1, then take Heun's step from there (Karras et al. 2022, alg. 2).

    sigma_hat = sigma_t (1 + gamma), gamma = eta (sqrt(2) - 1), eta in [0, 1]: 1 is the paper's limit, and their S_churn
    is eta times 0.41 times the number of steps. S_noise is 1, and there is no S_tmin or S_tmax.
    """
    check.number("eta", eta, 0.0, 1.0)
    sigma_hat = t.sigma / t.alpha * (1 + eta * (math.sqrt(2) - 1)) if t.alpha > 0 else math.inf
    hat = schedule.at(schedule.time(-2 * math.log(sigma_hat)))
    if eta > 0 and hat.time > t.time:
        mean, std = transition(x_t, t, hat)
        x_t, t = mean + std * noise(x_t), hat
    return heun(denoise, x_t, t, s)


def langevin(
    denoise: Denoise, x_t: Tensor, t: Level, s: Level, noise: Noise, *, rounds: int = 10, size: Number = 0.2
) -> Pair:
    """Annealed Langevin dynamics: at each noise level, `rounds` noisy steps uphill (Song and Ermon 2019, alg. 1).

    Between two levels only the signal grows, with alpha, and the rounds must remove noise, so it takes a thousand
    levels. At sigma = 0 there is no score, and x0_hat is the answer.
    """
    x0 = denoise(x_t, t.time)
    if s.sigma == 0:
        return x0, x0
    return _uphill(denoise, x_t + (s.alpha - t.alpha) * x0, s, noise, rounds, size), x0


def predictor_corrector(
    denoise: Denoise, x_t: Tensor, t: Level, s: Level, noise: Noise, *, rounds: int = 1, size: Number = 0.16
) -> Pair:
    """A step of ddpm, then Langevin dynamics at the level reached (Song et al. 2021, alg. 3 and 5)."""
    x_s, x0 = ddpm(denoise, x_t, t, s, noise)
    return (x_s if s.sigma == 0 else _uphill(denoise, x_s, s, noise, rounds, size)), x0


def _uphill(denoise: Denoise, x: Tensor, level: Level, noise: Noise, rounds: int, size: Number) -> Tensor:
    """x <- x + step score + sqrt(2 step) z, `rounds` times, with step = 2 (size sigma)^2.

    The papers' |z| / |score| is replaced by sigma, its average, so that an item does not depend on its batch. Nothing
    corrects the error of a step: where x_t has variance v, x settles at v / (1 - step / (2 v)).
    """
    step = 2 * (size * level.sigma) ** 2
    for _ in range(rounds):
        score = -eps_hat(x, denoise(x, level.time), level) / level.sigma
        x = x + step * score + math.sqrt(2 * step) * noise(x)
    return x
