"""The steps of all samplers. Those that add no noise solve one ODE, the probability flow, in either of its two forms:

    d(x / alpha) = eps_hat d(sigma / alpha)                                  Karras et al. 2022, eq. 4
    d(x / sigma) = x0_hat d(alpha / sigma) = x0_hat e^lambda dlambda         Lu et al. 2022, eq. 8, lambda = log_snr / 2

The `line` of process.py would solve both exactly if x0_hat and eps_hat did not change.
"""

import math
from collections import deque, namedtuple
from collections.abc import Callable

from torch import Tensor

from .. import check
from ..check import Number
from ..denoiser import Denoise
from ..process import eps_hat, fresh, line, mix, posterior_between, transition
from ..schedule import Level, Schedule

Pair = tuple[Tensor, Tensor]  # x_s, and the x0_hat that the step used
Noise = Callable[[Tensor], Tensor]  # N(0, I) in the shape of a tensor
Visit = namedtuple("Visit", "level x_t x0")  # a state that a multistep method has passed, and its prediction there


def euler(denoise: Denoise, x_t: Tensor, t: Level, s: Level) -> Pair:
    """Euler's method (Karras et al. 2022, eq. 4): ddim with eta = 0. On `flow`, x_t - (t - s) (eps_hat - x0_hat)."""
    x0 = denoise(x_t, t.time)
    return line(x_t, x0, t, s), x0


def heun(denoise: Denoise, x_t: Tensor, t: Level, s: Level) -> Pair:
    """An Euler step, repeated with the mean of the slopes at both ends (Karras et al. 2022, alg. 1): two calls."""
    x0 = denoise(x_t, t.time)
    x_s = line(x_t, x0, t, s)
    # at sigma_s = 0 there is no slope; with almost no signal, sigma / alpha is too large (EDM starts at snr 1.6e-4)
    if s.sigma == 0 or t.log_snr < math.log(1e-4):
        return x_s, x0
    change = eps_hat(x_s, denoise(x_s, s.time), s) - eps_hat(x_t, x0, t)
    return x_s + 0.5 * (s.sigma - s.alpha * t.sigma / t.alpha) * change, x0


def dpmpp_2m(denoise: Denoise, x_t: Tensor, t: Level, s: Level, past: deque[Visit]) -> Pair:
    """DPM-Solver++(2M): extrapolate x0_hat half a step ahead from the last two predictions (Lu et al. 2022, alg. 2)."""
    return _multistep(denoise(x_t, t.time), x_t, t, s, past)


def unipc(denoise: Denoise, x_t: Tensor, t: Level, s: Level, past: deque[Visit]) -> Pair:
    """UniPC-2, B(h) = e^h - 1 (Zhao et al. 2023, alg. 5 and 6): correct x_t with the x0_hat there, then dpmpp_2m."""
    x0 = denoise(x_t, t.time)
    return _multistep(x0, _corrected(x0, t, past) if past else x_t, t, s, past)


def _multistep(x0: Tensor, x_t: Tensor, t: Level, s: Level, past: deque[Visit]) -> Pair:
    """The line to x_s for x0_hat + h / (2 h_last) (x0_hat - x0_last), h the step in log_snr."""
    ahead = x0
    if past and s.sigma > 0:  # in the last step h is infinite
        last = past[-1]
        ahead = x0 + (s.log_snr - t.log_snr) / (2 * (t.log_snr - last.level.log_snr)) * (x0 - last.x0)
    past.append(Visit(t, x_t, x0))
    return line(x_t, ahead, t, s), x0


def _corrected(x0: Tensor, t: Level, past: deque[Visit]) -> Tensor:
    """x_t again from the step before, with x0_hat a parabola through three predictions: at t, and the last two.

    x_t = (sigma_t / sigma_last) x_last + alpha_t int_0^1 h e^(h (u - 1)) x0_hat(u) du,    u = 1 at t, 0 at last,

    where 1, u and u^2 integrate to psi_0 = 1 - e^-h, psi_1 = 1 - psi_0 / h and 1 - 2 psi_1 / h. With only one
    prediction in the past, UniC-1 takes the mean of that and the one at t.
    """
    *before, last = past
    h = (t.log_snr - last.level.log_snr) / 2
    rise = x0 - last.x0
    if not before:
        return line(last.x_t, last.x0 + 0.5 * rise, last.level, t)
    u = (before[0].level.log_snr - last.level.log_snr) / 2 / h  # of the oldest prediction; below 0
    bend = ((before[0].x0 - last.x0) / u - rise) / (u - 1)  # the parabola is x0_last + (rise - bend) u + bend u^2
    psi_1 = 1 - (psi_0 := -math.expm1(-h)) / h
    integral = psi_0 * last.x0 + psi_1 * (rise - bend) + (1 - 2 * psi_1 / h) * bend
    return t.sigma / last.level.sigma * last.x_t + t.alpha * integral


def ddpm(denoise: Denoise, x_t: Tensor, t: Level, s: Level, noise: Noise) -> Pair:
    """Draw x_s from q(x_s | x_t, x0_hat) (Ho et al. 2020, alg. 2), with the smaller of their variances, beta-tilde."""
    x0 = denoise(x_t, t.time)
    mean, std = posterior_between(x_t, x0, t, s)
    return mean + std * noise(x_t), x0


def ddim(denoise: Denoise, x_t: Tensor, t: Level, s: Level, noise: Noise, *, eta: Number = 0.0) -> Pair:
    """alpha_s x0_hat + sqrt(sigma_s^2 - std^2) eps_hat + std z (J. Song et al. 2021, DDIM, eq. 12 and 16).

    std is eta times that of the posterior: eta = 0 is deterministic, eta = 1 is ddpm, and above 1 there is even more
    fresh noise; ValueError if a step asks for more than all of sigma_s.
    """
    if eta == 0:
        return euler(denoise, x_t, t, s)
    check.number("eta", eta, 0.0)
    x0 = denoise(x_t, t.time)
    std = eta * (s.sigma * fresh(t, s) ** 0.5)
    if std > s.sigma * (1 + 1e-12):
        asks = f"from t = {t.time:g} to {s.time:g}, its fresh noise has std {std:.4g}, above sigma = {s.sigma:.4g}"
        raise ValueError(f"eta must be smaller, or the steps shorter, got eta = {eta:g}: {asks}")
    kept = math.sqrt(max(s.sigma**2 - std**2, 0.0))
    return s.alpha * x0 + kept * eps_hat(x_t, x0, t) + std * noise(x_t), x0


def euler_ancestral(denoise: Denoise, x_t: Tensor, t: Level, s: Level, noise: Noise) -> Pair:
    """Euler to below sigma_s, then noise up to it (k-diffusion's euler_a): another name of ddim with eta = 1."""
    return ddim(denoise, x_t, t, s, noise, eta=1.0)


def consistency(denoise: Denoise, x_t: Tensor, t: Level, s: Level, noise: Noise) -> Pair:
    """After consistency_loss: jump to the end, then return to s with fresh noise (Song et al. 2023, alg. 1)."""
    x0 = denoise(x_t, t.time)
    return mix(s.alpha, x0, s.sigma, noise(x_t)), x0


def edm_churn(
    denoise: Denoise, x_t: Tensor, t: Level, s: Level, noise: Noise, schedule: Schedule, *, eta: Number = 0.0
) -> Pair:
    """Add a little noise, though never beyond t = 1, then take Heun's step from there (Karras et al. 2022, alg. 2).

    With sigma short for sigma / alpha: sigma_hat = sigma_t (1 + gamma), gamma = eta (sqrt(2) - 1), eta in [0, 1]. Their
    S_churn is 0.41 eta times the number of steps, S_noise 1. From alpha = 0 (`flow`), the first step is Euler's.
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

    Between levels only the signal grows. The rounds alone remove the surplus noise, so it takes a thousand levels.
    """
    x0 = denoise(x_t, t.time)
    if s.sigma == 0:  # where there is no score
        return x0, x0
    return _uphill(denoise, x_t + (s.alpha - t.alpha) * x0, s, noise, rounds, size), x0


def predictor_corrector(
    denoise: Denoise, x_t: Tensor, t: Level, s: Level, noise: Noise, *, rounds: int = 1, size: Number = 0.16
) -> Pair:
    """A step of ddpm, then Langevin dynamics at the level reached (Y. Song et al. 2021, score SDE, alg. 3 and 5)."""
    x_s, x0 = ddpm(denoise, x_t, t, s, noise)
    return (x_s if s.sigma == 0 else _uphill(denoise, x_s, s, noise, rounds, size)), x0


def _uphill(denoise: Denoise, x: Tensor, level: Level, noise: Noise, rounds: int, size: Number) -> Tensor:
    """x <- x + step score + sqrt(2 step) z; for Gaussian x_t of variance v, x settles at v / (1 - step / (2 v))."""
    # the papers' |z| / |score| is replaced by sigma, its average, so that an item does not depend on its batch
    step = 2 * (size * level.sigma) ** 2
    for _ in range(rounds):
        score = -eps_hat(x, denoise(x, level.time), level) / level.sigma
        x = x + step * score + math.sqrt(2 * step) * noise(x)
    return x


SamplerStep = Callable[..., Pair]  # step(denoise, x_t, t, s, ...) -> (x_s, x0_hat)
NAMES = "ddpm ddim euler heun dpmpp_2m unipc euler_ancestral edm_churn langevin predictor_corrector consistency"
METHODS: dict[str, SamplerStep] = {name: globals()[name] for name in NAMES.split()}
__all__ = ["METHODS", "SamplerStep", *METHODS]
