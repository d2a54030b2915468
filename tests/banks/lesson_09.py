"""Answers that students give to the exercises of lesson 09."""

import math

import torch

from minidiffusion import rivals

# ---- 09.1: the density of the codes ----


def logs(z, mean, std):
    return torch.distributions.Normal(mean, std).log_prob(z[:, None]).sum(2)


def density_by_logsumexp(z, mean, std):
    return torch.logsumexp(logs(z, mean, std), 1) - math.log(len(mean))


def density_by_library(z, mean, std):
    clouds = torch.distributions.Independent(torch.distributions.Normal(mean, std), 1)
    weights = torch.distributions.Categorical(torch.ones(len(mean), dtype=z.dtype))
    return torch.distributions.MixtureSameFamily(weights, clouds).log_prob(z)


def density_by_loop(z, mean, std):
    found = []
    for code in z:
        away = (code - mean) / std
        each = -0.5 * away.square().sum(1) - std.log().sum(1) - 0.5 * z.shape[1] * math.log(2 * math.pi)
        most = each.max()
        found.append(most + (each - most).exp().mean().log())
    return torch.stack(found)


def density_in_place(z, mean, std):
    z -= mean.mean(0)
    return density_by_logsumexp(z, mean - mean.mean(0), std)


def density_that_underflows(z, mean, std):
    return logs(z, mean, std).exp().mean(1).log()


def density_with_a_floor(z, mean, std):
    return (logs(z, mean, std).exp().mean(1) + 1e-30).log()


def density_from(exponent):
    def density(z, mean, std):
        each = exponent(z[:, None] - mean, std).sum(2) - 0.5 * z.shape[1] * math.log(2 * math.pi)
        return torch.logsumexp(each, 1) - math.log(len(mean))

    return density


DENSITY_RIGHT = [
    density_by_logsumexp,
    density_by_library,
    density_by_loop,
    density_from(lambda d, s: -0.5 * (d / s) ** 2 - s.log()),
    lambda z, m, s: rivals.codes.log_q(z, m, s),
]
DENSITY_WRONG = [
    (lambda z, m, s: None, "returns None"),
    (density_in_place, "changes its input z in place"),
    (density_that_underflows, "exp underflows to 0"),
    (density_with_a_floor, "exp underflows to 0"),
    (lambda z, m, s: logs(z, m, s), "a number for each code and cloud"),
    (lambda z, m, s: torch.logsumexp(logs(z, m, s), 0), "a number for each cloud"),
    (lambda z, m, s: torch.logsumexp(logs(z, m, s), 1), "you added the clouds"),
    (lambda z, m, s: logs(z, m, s).mean(1), "the mean of the logarithms"),
    (lambda z, m, s: logs(z, m, s).amax(1), "the nearest cloud alone"),
    (lambda z, m, s: density_by_logsumexp(z, m, s).exp(), "that is the density"),
    (lambda z, m, s: density_by_logsumexp(z, m, s) / math.log(2), "in bits"),
    (lambda z, m, s: density_by_logsumexp(z, m, s) + 1.5 * math.log(2 * math.pi), "the constant of a Gaussian"),
    (density_from(lambda d, s: -0.5 * (d / s) ** 2), "log std is missing"),
    (density_from(lambda d, s: -0.5 * (d / s) ** 2 - 2 * s.log()), "by std^2. Divide it by std"),
    (density_from(lambda d, s: -((d / s) ** 2) - s.log()), "1/2 in the exponent"),
    (density_from(lambda d, s: -0.5 * d**2 / s - s.log()), "by the variance"),
    (density_from(lambda d, s: -0.5 * d**2 + 0 * s), "std is missing"),
    (lambda z, m, s: density_by_logsumexp(z, m, s).sum(), "have the shape"),
    (lambda z, m, s: density_by_logsumexp(z, m, s) + 1, "nats away"),
]

# ---- 09.2: without a code's own cloud ----


def out(z, mean, std):
    return logs(z, mean, std).fill_diagonal_(-math.inf)


def own_out(z, mean, std):
    return torch.logsumexp(out(z, mean, std), 1) - math.log(len(mean) - 1)


def own_out_by_loop(z, mean, std):
    found = []
    for i, code in enumerate(z):
        others = torch.arange(len(mean)) != i
        found.append(density_by_logsumexp(code[None], mean[others], std[others])[0])
    return torch.stack(found)


def own_out_by_mask(z, mean, std):
    each = logs(z, mean, std)
    each = each.masked_fill(torch.eye(len(z), dtype=torch.bool), -1e30)
    return (each.softmax(1) * 0).sum(1) + each.logsumexp(1) - math.log(len(z) - 1)


def own_out_in_place(z, mean, std):
    mean += 0.1
    return own_out(z, mean, std)


def nearest_out(z, mean, std):
    each = logs(z, mean, std)
    each[torch.arange(len(z)), each.argmax(1)] = -math.inf
    return each.logsumexp(1) - math.log(len(z) - 1)


def own_zeroed(z, mean, std):
    return logs(z, mean, std).fill_diagonal_(0.0).logsumexp(1) - math.log(len(z) - 1)


def own_subtracted(z, mean, std):
    each = logs(z, mean, std).exp()
    return ((each.sum(1) - each.diagonal()) / (len(z) - 1)).log()


OWN_RIGHT = [own_out, own_out_by_loop, own_out_by_mask]
OWN_WRONG = [
    (lambda z, m, s: None, "returns None"),
    (own_out_in_place, "changes its input mean in place"),
    (density_by_logsumexp, "the own cloud still counts"),
    (lambda z, m, s: logs(z, m, s).logsumexp(1) - math.log(len(m) - 1), "still in the sum"),
    (lambda z, m, s: out(z, m, s).logsumexp(1) - math.log(len(m)), "not over N"),
    (lambda z, m, s: out(z, m, s).logsumexp(1), "you added the other clouds"),
    (own_zeroed, "Use minus infinity"),
    (nearest_out, "the nearest cloud. It need not be"),
    (lambda z, m, s: logs(z, m, s).diagonal(), "the own cloud alone"),
    (lambda z, m, s: out(z, m, s).logsumexp(0) - math.log(len(m) - 1), "averaged over the codes"),
    (lambda z, m, s: out(z, m, s).amax(1), "the nearest other cloud alone"),
    (lambda z, m, s: own_out(z, m, s).exp(), "that is the density"),
    (own_subtracted, "exp underflows"),
    (out, "a number for each code and cloud"),
    (lambda z, m, s: own_out(z, m, s).mean(), "have the shape"),
    (lambda z, m, s: own_out(z, m, s) + 1, "nats away"),
]

# ---- 09.3: how much speckle ----


def mean(x):
    return x.mean((1, 2, 3))


def by_rows(x):
    steps = x.diff(dim=3)
    return ((mean(steps**2) - mean(steps[:, :, 1:] * steps[:, :, :-1])) / 2).clamp(min=0).sqrt()


def by_columns(pictures):
    return by_rows(pictures.transpose(2, 3))


def by_mixed(pictures):
    return mean(pictures.diff(dim=3).diff(dim=2) ** 2).sqrt() / 2


def by_kernel(pictures):
    kernel = torch.tensor([[1.0, -2, 1], [-2, 4, -2], [1, -2, 1]]).expand(pictures.shape[1], 1, 3, 3)
    seen = torch.nn.functional.conv2d(pictures, kernel, groups=pictures.shape[1])
    return mean(seen**2).sqrt() / 6


def by_rows_in_place(pictures):
    pictures -= pictures.mean()
    return by_rows(pictures)


def steps_of(pictures):
    return pictures.diff(dim=3)


def no_clamp(pictures):
    x = pictures.double()
    return ((mean(steps_of(x) ** 2) - mean(steps_of(x)[:, :, 1:] ** 2) - 1e-9) / 2).sqrt().float()


SPECKLE_RIGHT = [by_rows, by_columns, by_mixed, by_kernel]
SPECKLE_WRONG = [
    (lambda x: None, "returns None"),
    (by_rows_in_place, "changes its input pictures in place"),
    (lambda x: x.flatten(1).std(1), "the contrast of the whole picture"),
    (lambda x: mean(steps_of(x) ** 2).sqrt(), "you count the edges"),
    (lambda x: mean(steps_of(x) ** 2).sqrt() / 2**0.5, "you count the edges"),
    (lambda x: by_rows(x) * 2**0.5, "the noise of two pixels"),
    (lambda x: by_rows(x) / 2**0.5, "not by 4"),
    (lambda x: by_rows(x) ** 2, "the variance of the noise"),
    (lambda x: 2 * by_mixed(x), "the noise of two pixels, and"),
    (lambda x: 2**0.5 * by_mixed(x), "the noise of two pixels, and"),
    (lambda x: by_rows(x).mean(), "one number for all pictures"),
    (lambda x: by_rows(x).mean().item(), "one number for all pictures"),
    (lambda x: x.diff(dim=3).diff(dim=2).square().mean((2, 3)).sqrt() / 2, "a number for each channel"),
    (no_clamp, "nan"),
    (lambda x: by_rows(x).double(), "keep the type"),
    (lambda x: by_rows(x).flip(0), "the order of the pictures"),
    (lambda x: by_rows(x) + 0.02, "on bars and bands"),
    (
        lambda x: mean(steps_of(x)[:, :, 1:] * steps_of(x)[:, :, :-1]).clamp(min=0).sqrt(),
        "those are the edges",
    ),
    (
        lambda x: (
            (mean(steps_of(x) ** 2) - mean(steps_of(x)[..., 1:] * steps_of(x)[..., :-1])).div(2).clamp(min=0).sqrt()
        ),
        "They share a pixel",
    ),
]

BANK = {
    "09.1": (DENSITY_RIGHT, DENSITY_WRONG),
    "09.2": (OWN_RIGHT, OWN_WRONG),
    "09.3": (SPECKLE_RIGHT, SPECKLE_WRONG),
}
