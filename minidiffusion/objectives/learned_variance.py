"""Learn how much fresh noise a reverse step needs, beside its mean (Nichol and Dhariwal 2021, sec. 3.1).

p(x_s | x_t) = N(mean, variance), the mean that of `posterior` with x0_hat in the place of x0. The variance lies
between two bounds, right for data that is pure noise and for data that is one point, and v says where (eq. 15):

    variance = exp(v log beta + (1 - v) log beta_tilde)
    beta = sigma_t^2 (1 - r),    beta_tilde = sigma_s^2 (1 - r),    r = snr(t) / snr(s)
"""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..denoiser import Denoise, Denoiser
from ..process import Time, diffuse
from ..samplers import Step, Walk
from ..schedule import Level
from .weighted import Loss


class LearnedVariance(Denoiser):
    """A Denoiser whose network gives two answers, both of the shape of x_t: what its head means, and 2 v - 1.

    net(x, t, cond) -> (batch, 2 channels, ...), the head's output first. A network that says 0 takes the middle
    of the two bounds, on the logarithmic scale.
    """

    def answers(self, x_t: Tensor, t: Time, cond: Any = None) -> tuple[Tensor, Tensor]:
        """The head's output, and v."""
        both = self._ask(x_t, t, cond)
        if both.shape[1] != 2 * x_t.shape[1]:
            raise ValueError(f"net must give {2 * x_t.shape[1]} channels for {x_t.shape[1]}, got {both.shape[1]}")
        output, v = both.chunk(2, dim=1)
        return output, (1 + v) / 2

    def output(self, x_t: Float[Tensor, "batch *shape"], t: Time, cond: Any = None) -> Float[Tensor, "batch *shape"]:
        """What the network says of x0, in the head's own terms."""
        return self.answers(x_t, t, cond)[0]

    def ancestral(self, cond: Any = None) -> Step:
        """The step of ddpm, with the learned variance: md.sample(denoiser, x_1, method=denoiser.ancestral(cond)).

        The last step shows its mean, as the papers' samplers do.
        """

        def step(denoise: Denoise, x_t: Tensor, t: Level, s: Level, walk: Walk) -> tuple[Tensor, Tensor]:
            output, v = self.answers(x_t, t.time, cond)
            x0 = self.head.to_x0(output, x_t, t.time, self.schedule)
            r = math.exp(t.log_snr - s.log_snr)
            mean, log_variance, _ = _reverse(x_t, x0, v, t.alpha, t.sigma, s.alpha, s.sigma, r)
            return mean if s.sigma == 0 else mean + (0.5 * log_variance).exp() * walk.noise(x_t), x0

        return step


def _reverse(x_t: Tensor, x0: Tensor, v: Any, alpha_t: Any, sigma_t: Any, alpha_s: Any, sigma_s: Any, r: Any):
    """Mean and log variance of p(x_s | x_t), and log beta_tilde, which at sigma_s = 0 gives way to log beta."""
    mean = alpha_s * (1 - r) * x0 + alpha_t * sigma_s**2 / (alpha_s * sigma_t**2) * x_t
    log_beta, tilde = torch.as_tensor(sigma_t**2 * (1 - r)).log(), torch.as_tensor(sigma_s**2 * (1 - r))
    log_tilde = torch.where(tilde > 0, tilde.log(), log_beta)
    return mean, v * log_beta + (1 - v) * log_tilde, log_tilde


def hybrid_loss(steps: int = 1000) -> Loss:
    """L_simple + 0.001 L_vlb (Nichol and Dhariwal 2021, eq. 16), for `fit(denoiser, data, loss=hybrid_loss())`.

    The mean learns from the first, v from the second. L_vlb is the bound of a chain of `steps` even steps of t, in
    nats per dimension, estimated from one step for each item of the batch.
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ValueError(f"steps must be a whole number of at least 1, got {steps!r}")

    def loss(denoiser: LearnedVariance, x0: Tensor, t: Tensor, eps: Tensor, cond: Any = None) -> Tensor:
        i = (t.double() * steps).ceil().long().clamp(1, steps)
        simple, bound = hybrid_terms(denoiser, x0, i, eps, steps, cond)
        return simple + 0.001 * steps * bound

    return loss


def hybrid_terms(
    denoiser: LearnedVariance,
    x0: Float[Tensor, "batch *shape"],
    i: Int[Tensor, "batch"],
    eps: Float[Tensor, "batch *shape"],
    steps: int,
    cond: Any = None,
) -> tuple[Float[Tensor, "batch"], Float[Tensor, "batch"]]:
    """For the step from t = i / steps to s = (i - 1) / steps: the squared error of the output, and L_vlb's term.

    The term is KL(q(x_s | x_t, x0) || p(x_s | x_t)) in nats per dimension, or where sigma_s = 0 the negative
    log-density of x0. Its gradient reaches v only: the mean is detached (sec. 3.1, "we also apply a stop-gradient").
    """
    t, s, schedule, head = i.double() / steps, (i.double() - 1) / steps, denoiser.schedule, denoiser.head
    x_t = diffuse(x0, t, eps, schedule)
    output, v = denoiser.answers(x_t, t, cond)
    simple = (output - head.target(x0, eps, t, schedule)).pow(2).flatten(1).mean(1)

    shape = (-1,) + (1,) * (x0.ndim - 1)
    alpha_t, sigma_t = schedule.alpha(t).view(shape), schedule.sigma(t).view(shape)
    alpha_s, sigma_s = schedule.alpha(s).view(shape), schedule.sigma(s).view(shape)
    r = (schedule.log_snr(t) - schedule.log_snr(s)).exp().view(shape)
    scales = (alpha_t, sigma_t, alpha_s, sigma_s, r)
    x0_hat = head.to_x0(output.detach(), x_t, t, schedule)
    mean, log_variance, log_tilde = _reverse(x_t.double(), x0_hat.double(), v.double(), *scales)
    true_mean, _, _ = _reverse(x_t.double(), x0.double(), v.double(), *scales)
    # where sigma_s = 0 the true x_s is x0 itself, without any variance of its own
    noisy = sigma_s > 0
    own = torch.where(noisy, log_tilde, -math.inf)
    entropy = torch.where(noisy, 1 + log_tilde, -math.log(2 * math.pi))
    bound = 0.5 * (log_variance - entropy + (own.exp() + (true_mean - mean) ** 2) / log_variance.exp())
    return simple, bound.flatten(1).mean(1).to(simple)
