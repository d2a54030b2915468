"""From VAE to diffusion: a Markov hierarchical VAE, three restrictions, and its bound in two forms.

    VAE         x -> z           p(z) p(x | z)                                 Luo 2022, eq. 17 to 19
    HVAE        x -> z_1 ... z_T  p(z_T) p(z_{T-1} | z_T) ... p(x | z_1)       Luo 2022, eq. 20 to 30
    diffusion   the HVAE whose (1) latents have the size of the data, (2) encoder is a fixed linear Gaussian, not
                learned, and (3) last latent is N(0, I) for every x: `diffusion` below

The bound of a diffusion model can then be summed in two ways with the same mean. `consistency_bound` compares how x_t
is reached from both its neighbours; `elbo` compares how x_s is reached from x_t, with and without x0.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from ..denoiser import Denoise
from ..process import diffuse, noise_like, posterior, prior_std, transition
from ..schedule import Batch, Schedule
from .bound import Bound, bits_per_dim, checked, reconstruction, time_grid

Transition = Callable[[Tensor], Normal]  # from one latent to the distribution of the next


@dataclass(frozen=True)
class HVAE:
    """T latents above the data z_0, T transitions up and T down, each a Gaussian with a std for each dimension.

    encoder[i](z_i) = q(z_{i+1} | z_i), decoder[i](z_{i+1}) = p(z_i | z_{i+1}), prior = p(z_T). T = 1 is a VAE.
    """

    encoder: Sequence[Transition]
    decoder: Sequence[Transition]
    prior: Normal

    def __post_init__(self) -> None:
        if not len(self.encoder) == len(self.decoder) > 0:
            raise ValueError(f"encoder and decoder must be equally long, got {len(self.encoder)}, {len(self.decoder)}")

    def elbo(self, x0: Batch, generator: torch.Generator | None = None) -> Float[Tensor, "batch"]:
        """One draw of log p(x0, z_1 ... z_T) - log q(z_1 ... z_T | x0) in nats, z drawn from q (Luo 2022, eq. 25).

        Its mean is at most log p(x0), and is log p(x0) where q is the model's true posterior.
        """
        z, nats = x0, torch.zeros(len(x0)).to(x0)
        for encode, decode in zip(self.encoder, self.decoder, strict=True):
            q = encode(z)
            above = q.mean + q.stddev * noise_like(q.mean, generator)
            nats = nats + _sum(decode(above).log_prob(z)) - _sum(q.log_prob(above))
            z = above
        return nats + _sum(self.prior.log_prob(z))


def forward(x_s: Batch, s: float | None, t: float, schedule: Schedule) -> Normal:
    """q(x_t | x_s), s < t: `process.transition` as a distribution. s = None: x_s is clean data."""
    if s is None:
        return Normal(schedule.alpha(t) * x_s, schedule.sigma(t))
    return Normal(*transition(x_s, schedule.at(s), schedule.at(t)))


def diffusion(denoise: Denoise, schedule: Schedule, times: Sequence[float]) -> HVAE:
    """A diffusion model as the HVAE that it is: z_1 = x_t0, ..., z_T = x_1, for times that fall from 1 to t0.

    Only its decoder is learned, and of the decoder only x0_hat: p(x_s | x_t) = q(x_s | x_t, x0_hat(x_t, t)), and
    p(x0 | x_t0) = N(x0_hat(x_t0, t0), (sigma / alpha)^2).
    """
    up = time_grid(schedule, 1, times).flip(0).tolist()

    def up_from(s: float | None, t: float) -> Transition:
        return lambda x_s: forward(x_s, s, t, schedule)

    def down_from(t: float, s: float) -> Transition:
        return lambda x_t: Normal(*posterior(x_t, denoise(x_t, t), t, s, schedule))

    def data_from(x_t: Tensor) -> Normal:
        return Normal(denoise(x_t, up[0]), schedule.sigma(up[0]) / schedule.alpha(up[0]))

    return HVAE(
        encoder=[up_from(None, up[0]), *(up_from(s, t) for s, t in pairwise(up))],
        decoder=[data_from, *(down_from(t, s) for s, t in pairwise(up))],
        prior=_prior(schedule),
    )


def consistency_matching(
    denoise: Denoise,
    x0: Batch,
    eps: Float[Tensor, "3 batch *shape"],
    u: float,
    t: float,
    s: float | None,
    schedule: Schedule,
) -> Float[Tensor, "batch"]:
    """log q(x_t | x_s) - log p(x_t | x_u) in nats on a path up from x0, s < t < u; eps: the noise of its three steps.

    s = None: x_s is x0. x_t lies on the path to x_u, so the mean over paths is not a KL divergence, and may be
    negative: in KL(q(x_t | x_s) || p(x_t | x_u)), x_t would be independent of x_u, and the sum would not be the bound.
    """
    x_s = x0 if s is None else diffuse(x0, s, eps[0], schedule)
    q = forward(x_s, s, t, schedule)
    x_t = q.mean + q.stddev * eps[1]
    above = forward(x_t, t, u, schedule)
    x_u = above.mean + above.stddev * eps[2]
    p = Normal(*posterior(x_u, denoise(x_u, u), u, t, schedule))
    return _sum(q.log_prob(x_t) - p.log_prob(x_t))


def consistency_bound(
    denoise: Denoise,
    x0: Batch,
    schedule: Schedule | None = None,
    steps: int = 100,
    times: Sequence[float] | None = None,
    generator: torch.Generator | None = None,
) -> Bound:
    """The bound as a sum of consistency terms: arguments, units and the mean of the total are those of `elbo`.

        prior            E KL(q(x_1 | x_s) || p(x_1)), s the time before 1
        steps            E log q(x_t | x_s) / p(x_t | x_u), t from the one before 1 down to t0 (Luo 2022, eq. 44)
        reconstruction   as in `elbo`

    Only the sums agree, not the single terms. Each term has noise of its own, and is about (z^2 - z'^2) / 2 in every
    dimension for two independent N(0, 1), however small the step: the variance grows with the number of steps.
    """
    schedule = checked(denoise, x0, schedule)
    grid = time_grid(schedule, steps, times)
    down = grid.tolist()
    terms = []
    for u, t, s in zip(down, down[1:], [*down[2:], None], strict=False):
        eps = torch.stack([noise_like(x0, generator) for _ in range(3)])
        terms.append(consistency_matching(denoise, x0, eps, u, t, s, schedule))
    x_s = diffuse(x0, grid[1], noise_like(x0, generator), schedule)
    top = _sum(kl_divergence(forward(x_s, grid[1].item(), 1.0, schedule), _prior(schedule)))
    bottom = reconstruction(denoise, x0, noise_like(x0, generator), grid[-1], schedule)
    prior, each, last = (bits_per_dim(-nats, x0) for nats in (top, torch.stack(terms), bottom))
    return Bound(prior, each, last, grid)


def _prior(schedule: Schedule) -> Normal:
    return Normal(*torch.tensor([0.0, prior_std(schedule)], dtype=torch.float64))


def _sum(log_prob: Tensor) -> Tensor:
    return log_prob.flatten(1).sum(1)
