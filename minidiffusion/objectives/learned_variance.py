"""Learn how much fresh noise a reverse step needs, beside its mean (Nichol and Dhariwal 2021, sec. 3.1).

p(x_s | x_t) = N(mean, variance), the mean that of `posterior` with x0_hat in place of x0. Where alpha^2 + sigma^2 = 1,
the right variance is beta for data from N(0, I) and beta_tilde for data that is a single point. Most data lies between,
and v, which is not confined to [0, 1], says where (eq. 15):

    variance = exp(v log beta + (1 - v) log beta_tilde)
    beta = sigma_t^2 (1 - r),    beta_tilde = sigma_s^2 (1 - r),    r = snr(t) / snr(s)
"""

import math
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .. import check
from ..denoiser import Denoise, Denoiser
from ..process import diffuse, fresh, posterior_between
from ..schedule import Batch, Level, Time
from .weighted import Loss


class LearnedVariance(Denoiser):
    """A Denoiser whose network gives two answers, both of the shape of x_t: its head's output, and 2 v - 1.

    net(x, t, cond) -> (batch, 2 channels, ...), the head's output first. A network whose output is 0 takes the middle
    of the two bounds, on the logarithmic scale.
    """

    def answers(self, x_t: Tensor, t: Time, cond: Any = None) -> tuple[Tensor, Tensor]:
        """The head's output, and v."""
        output, v = super().output(x_t, t, cond).chunk(2, dim=1)
        return output, (1 + v) / 2

    def output_shape(self, x: Tensor) -> tuple[int, ...]:
        return len(x), 2 * x.shape[1], *x.shape[2:]

    def output(self, x_t: Batch, t: Time, cond: Any = None) -> Tensor:
        """The first answer alone: the prediction in the terms of the head."""
        output, v = self.answers(x_t, t, cond)
        self.v = v.detach()  # for `ancestral`; with its graph, copy.deepcopy would refuse the denoiser
        return output

    def ancestral(self, denoise: Denoise, x_t: Tensor, t: Level, s: Level, noise: Any) -> tuple[Tensor, Tensor]:
        """A step of ddpm with the learned variance: md.sample(denoise, x_1, method=learned.ancestral).

        denoise: this denoiser, or anything made from it, such as clipped(...) or classifier_free(...). The mean is
        built from its x0_hat; v is the answer of the latest call of the network that this x0_hat needed, which in
        guidance is the call with the condition. The last step returns its mean, as the samplers of the papers do.
        """
        x0, v = denoise(x_t, t.time), self.__dict__.pop("v", None)
        if v is None:
            raise ValueError("denoise must be this denoiser, or made from it: its network was not called")
        mean, log_variance, _ = _reverse(x_t, x0, v, t, s)
        return mean if s.sigma == 0 else mean + (0.5 * log_variance).exp() * noise(x_t), x0


def _reverse(x_t: Tensor, x0: Tensor, v: Tensor, t: Level, s: Level) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and log variance of p(x_s | x_t), and log beta_tilde, replaced by log beta at sigma_s = 0."""
    mean, _ = posterior_between(x_t, x0, t, s)
    beta, beta_tilde = (torch.as_tensor(level.sigma**2 * fresh(t, s)) for level in (t, s))
    log_tilde = torch.where(beta_tilde > 0, beta_tilde.log(), beta.log())
    return mean, v * beta.log() + (1 - v) * log_tilde, log_tilde


def hybrid_loss(steps: int = 1000) -> Loss:
    """L_simple + 0.001 L_vlb (Nichol and Dhariwal 2021, eq. 16): fit(denoiser, data, steps=1000, loss=hybrid_loss()).

    The mean learns from the first term, v from the second. L_vlb is the bound of a chain of `steps` even steps of t, in
    nats per dimension, estimated from one step for each item of the batch.
    """
    check.whole("steps", steps)

    def loss(denoiser: LearnedVariance, x0: Tensor, t: Tensor, eps: Tensor, cond: Any = None) -> Tensor:
        i = (t.double() * steps).ceil().long().clamp(1, steps)
        simple, bound = hybrid_terms(denoiser, x0, i, eps, steps, cond)
        return simple + 0.001 * steps * bound

    return loss


def hybrid_terms(
    denoiser: LearnedVariance, x0: Batch, i: Int[Tensor, "batch"], eps: Batch, steps: int, cond: Any = None
) -> tuple[Float[Tensor, "batch"], Float[Tensor, "batch"]]:
    """For the step from t = i / steps to s = (i - 1) / steps: the squared error of the output, and the term of L_vlb.

    The term is KL(q(x_s | x_t, x0) || p(x_s | x_t)) in nats per dimension, or where sigma_s = 0 the negative
    log-density of x0. Its gradient reaches v only: the mean is detached (sec. 3.1, "we also apply a stop-gradient").
    """
    schedule, head = denoiser.schedule, denoiser.head
    t, s = (schedule.at(time.double() / steps, like=x0.double()) for time in (i, i - 1))
    x_t = diffuse(x0, t.time, eps, schedule)
    output, v = denoiser.answers(x_t, t.time, cond)
    simple = (output - head.target(x0, eps, t.time, schedule)).pow(2).flatten(1).mean(1)

    x0_hat = head.to_x0(output.detach(), x_t, t.time, schedule)
    mean, log_variance, log_tilde = _reverse(x_t.double(), x0_hat.double(), v.double(), t, s)
    true_mean, _ = posterior_between(x_t.double(), x0.double(), t, s)
    # where sigma_s = 0 the true x_s is x0 itself, without any variance of its own
    noisy = s.sigma > 0
    own = torch.where(noisy, log_tilde, -math.inf)
    entropy = torch.where(noisy, 1 + log_tilde, -math.log(2 * math.pi))
    bound = 0.5 * (log_variance - entropy + (own.exp() + (true_mean - mean) ** 2) / log_variance.exp())
    return simple, bound.flatten(1).mean(1).to(simple)
