"""Where to sample the codes of a VAE from. Training pulls all codes together towards N(0, I), but they never get there.

The codes that the decoder has seen follow the aggregate posterior, q(z) = mean over images of q(z | x) (Hoffman and
Johnson 2016). We can sample from it, evaluate it, and fit it: with a Gaussian, with several, or with a diffusion model,
which is `md.fit` on the codes as points.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from .. import check
from ..oracle.gaussians import Mixture, gaussian, mixture
from ..schedule import Schedule


def aggregate(
    mean: Float[Tensor, "N latent"], std: Float[Tensor, "N latent"], count: int, generator: torch.Generator
) -> Float[Tensor, "count latent"]:
    """Exact samples from q(z): choose an image, then sample from its q(z | x).

    mean, std: `vae.encode` of the training images.
    """
    chosen = torch.randint(len(mean), (count,), generator=generator)
    return mean[chosen] + std[chosen] * torch.randn(count, mean.shape[1], generator=generator)


def log_q(
    z: Float[Tensor, "batch latent"], mean: Float[Tensor, "N latent"], std: Float[Tensor, "N latent"]
) -> Float[Tensor, "batch"]:
    """The exact log q(z) of the aggregate posterior, in nats: a sum over all N images."""
    precision = std.double() ** -2
    constant = std.double().log().sum(1) + 0.5 * mean.shape[1] * math.log(2 * math.pi) + math.log(len(mean))
    rows = []
    for part in z.double().split(256):
        # |(z - mean) / std|^2, expanded, needs matrix products only and never a (batch, N, latent) tensor
        crossed = part.square() @ precision.T - 2 * part @ (precision * mean).T
        rows.append(torch.logsumexp(-0.5 * (crossed + (precision * mean**2).sum(1)) - constant, 1))
    return torch.cat(rows).to(z)


def one_gaussian(codes: Float[Tensor, "N latent"], schedule: Schedule) -> Mixture:
    """The Gaussian with the mean and the full covariance of these codes. Sample with `.sample(count, generator)`."""
    return gaussian(codes.double().mean(0), torch.cov(codes.double().T), schedule)


def several_gaussians(
    codes: Float[Tensor, "N latent"], schedule: Schedule, components: int = 10, seed: int = 0
) -> Mixture:
    """A mixture with one Gaussian for each k-means cluster, of the mean, covariance and share of its codes."""
    check.whole("components", components, 1, len(codes) // 2)  # because a covariance takes at least two codes
    from scipy.cluster.vq import kmeans2  # imported here, because it takes longer than all the other imports

    points = codes.double()
    _, label = kmeans2(points.numpy(), components, minit="++", seed=seed)
    parts = [points[torch.from_numpy(label) == k] for k in range(components)]
    parts = [part for part in parts if len(part) > 1]
    ridge = 1e-6 * torch.eye(points.shape[1], dtype=torch.float64)  # a cluster may hold fewer codes than dimensions
    covs = torch.stack([torch.cov(part.T) + ridge for part in parts])
    weights = torch.tensor([float(len(part)) for part in parts])
    return mixture(weights, torch.stack([part.mean(0) for part in parts]), covs, schedule)
