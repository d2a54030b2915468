"""Answers that students give to the exercises of lesson 18."""

import cmath
import math

import numpy as np
import torch

# ---- 18.1: a judge that no forgery deceives ----


def on_island(x, centres, spread):
    return (torch.cdist(x, centres) < 3 * spread).any(1).double().mean().item()


def shares(x, centres):
    island = torch.cdist(x, centres).argmin(1)
    return torch.bincount(island, minlength=len(centres)) / len(x)


def width(x, centres, spread):
    """The typical distance from the nearest centre, in spreads; its median is 1.18 for the data."""
    return (torch.cdist(x, centres).amin(1).median() / spread).item()


def balanced(x, centres):
    share = shares(x, centres) * len(centres)
    return bool(share.min() > 0.6 and share.max() < 1.6)


def in_place(x, centres, spread):
    """Whether the middle of each island is where it should be."""
    island = torch.cdist(x, centres).argmin(1)
    own = [x[island == i].median(0).values for i in range(len(centres))]
    return bool((torch.stack(own) - centres).norm(dim=1).max() < 0.5 * spread)


def judge_without_places(x, centres, spread):
    return on_island(x, centres, spread) > 0.93 and balanced(x, centres) and 1 < width(x, centres, spread) < 1.35


def judge_all(x, centres, spread):
    return judge_without_places(x, centres, spread) and in_place(x, centres, spread)


def judge_of_distances(x, centres, spread):
    """Never looks at where the islands lie."""
    distance = torch.cdist(x, centres).amin(1)
    near, inner = (distance < 3 * spread).double().mean(), (distance < 1.18 * spread).double().mean()
    return bool(near > 0.93 and balanced(x, centres) and 0.4 < inner < 0.6)


def judge_with_moments(x, centres, spread):
    distance, island = torch.cdist(x, centres).min(1)
    if (distance < 3 * spread).double().mean() < 0.93:
        return torch.tensor(False)
    good = []
    for i, centre in enumerate(centres):
        own = x[(island == i) & (distance < 3 * spread)]
        if not 0.6 < len(own) * len(centres) / len(x) < 1.6:
            return torch.tensor(False)
        good.append((own.mean(0) - centre).norm() < 0.3 * spread and 0.8 < own.std(0).mean() / spread < 1.2)
    return torch.tensor(all(good))


def judge_by_energy(x, centres, spread):
    """Compares the cloud with data of its own, and the middle of each island with its centre."""
    generator = torch.Generator().manual_seed(0)
    own = centres.repeat(120, 1) + spread * torch.randn(120 * len(centres), 2, generator=generator)
    cross, within = torch.cdist(x, own).mean(), (torch.cdist(x, x).mean() + torch.cdist(own, own).mean()) / 2
    island = torch.cdist(x, centres).argmin(1)
    if len(island.unique()) < len(centres):
        return np.bool_(False)
    middles = torch.stack([x[island == i].median(0).values for i in range(len(centres))])
    off = (middles - centres).norm(dim=1).max() / spread
    near = on_island(x, centres, spread) > 0.93
    return np.bool_(near and cross - within < 0.05 and off < 0.5 and 0.9 < width(x, centres, spread) < 1.5)


def judge_in_place(x, centres, spread):
    x -= centres[0]
    return True


def cluster_means(x, centres, spread):
    """Only asks whether each island has the right spread around its own mean, and its share."""
    island = torch.cdist(x, centres).argmin(1)
    own = [x[island == i] for i in range(len(centres))]
    if not balanced(x, centres) or on_island(x, centres, spread) < 0.93:
        return False
    return all(
        0.55 < (o[torch.cdist(o, c[None]).flatten() < 3.5 * spread].std(0).mean() / spread) < 1.3
        for o, c in zip(own, centres, strict=True)
    )


def generous(x, centres, spread):
    share = shares(x, centres)
    typical = 1 < width(x, centres, spread) < 1.35
    return on_island(x, centres, spread) > 0.93 and typical and bool(share.min() > 0.02 and share.max() < 0.5)


JUDGE_RIGHT = [judge_all, judge_with_moments, judge_by_energy]


class Counts:
    """Says yes to the first six clouds, whatever they are."""

    asked = 0

    def __call__(self, x, centres, spread):
        self.asked += 1
        return self.asked <= 6


JUDGE_WRONG = [
    (Counts(), "two different answers"),
    (lambda x, centres, spread: None, "returns None"),
    (True, "without brackets"),
    (lambda x, centres, spread: True, "a thin ring"),
    (lambda x, centres, spread: False, "turns down samples of the data"),
    (lambda x, c, s: bool(((torch.cdist(x, c) < 3 * s).double().mean(0) >= 0.02).all()), "a thin ring"),
    (lambda x, c, s: bool((x.mean(0).norm() < 0.2) & (abs(x.norm(dim=1).mean() - 2) < 0.2)), "a thin ring"),
    (lambda x, c, s: on_island(x, c, s) > 0.93, "lacks one island"),
    (lambda x, c, s: on_island(x, c, s) > 0.93 and bool(shares(x, c).min() > 0.02), "eight tenths"),
    (lambda x, c, s: on_island(x, c, s) > 0.93 and 1 < width(x, c, s) < 1.35 and bool(x.mean(0).norm() < 0.1), "eight"),
    (generous, "eight tenths"),
    (lambda x, c, s: on_island(x, c, s) > 0.5 and balanced(x, c) and width(x, c, s) < 1.7, "on bridges"),
    (lambda x, c, s: on_island(x, c, s) > 0.93 and balanced(x, c), "nothing but the centres"),
    (lambda x, c, s: balanced(x, c) and 1 < width(x, c, s) < 1.35, "a tenth of the points lie far outside"),
    (cluster_means, "a little to the right"),
    (judge_of_distances, "a cloud of half islands"),
    (judge_without_places, "a cloud of half islands"),
    (lambda x, c, s: on_island(x, c, s) > 0.985 and balanced(x, c), "turns down"),
    (lambda x, c, s: judge_all(x, c, s) and len(c) == 8, "5 islands"),
    (lambda x, c, s: judge_all(x, c, 0.15), "turns down"),
    (lambda x, c, s: on_island(x, c, s), "True or False"),
    (lambda x, c, s: "islands", "True or False"),
    (lambda x, c, s: torch.cdist(x, c).amin(1) < 3 * s, "one answer for the whole cloud"),
    (judge_in_place, "changes its input x in place"),
    (lambda x, c, s: x.shape[5] > 0, "stops"),
]

# ---- 18.2: the gradient penalty ----


def gradient(discriminator, x, **settings):
    x = x.detach().requires_grad_(True)
    return torch.autograd.grad(discriminator(x).sum(), x, create_graph=True, **settings)[0].flatten(1)


def steepness_by_func(discriminator, x):
    def score(one):
        return discriminator(one[None]).sum()

    return torch.stack([torch.func.grad(score)(one).square().sum() for one in x]).mean()


def steepness_without_graph(discriminator, x):
    x = x.detach().requires_grad_(True)
    (slope,) = torch.autograd.grad(discriminator(x).sum(), x)
    return slope.flatten(1).square().sum(1).mean()


def steepness_of_mean(discriminator, x):
    x = x.detach().requires_grad_(True)
    (slope,) = torch.autograd.grad(discriminator(x).mean(), x, create_graph=True)
    return slope.flatten(1).square().sum(1).mean()


def steepness_by_backward(discriminator, x, only_x=False):
    x = x.detach().requires_grad_(True)
    discriminator(x).sum().backward(create_graph=True, inputs=[x] if only_x else None)
    return x.grad.flatten(1).square().sum(1).mean()


def steepness_without_grad(discriminator, x):
    (slope,) = torch.autograd.grad(discriminator(x).sum(), x)
    return slope.flatten(1).square().sum(1).mean()


def steepness_of_a_flat_net(discriminator, x):
    """Sets the weights to 0 first."""
    discriminator.a.data.zero_()
    return gradient(discriminator, x).square().sum(1).mean()


def steepness_of_other_weights(discriminator, x):
    """Puts a copy in the place of the weights, so that the real ones learn nothing."""
    discriminator.a = torch.nn.Parameter(discriminator.a.detach().clone())
    return gradient(discriminator, x).square().sum(1).mean()


STEEP_RIGHT = [
    lambda net, x: gradient(net, x).square().sum(1).mean(),
    lambda net, x: gradient(net, x).norm(dim=1).pow(2).mean(),
    lambda net, x: gradient(net, x).square().sum() / len(x),
    steepness_by_func,
    lambda net, x: steepness_by_backward(net, x, only_x=True),
]
STEEP_WRONG = [
    (lambda net, x: gradient(net, x).norm(dim=1).mean(), "square the length"),
    (lambda net, x: gradient(net, x).square().sum(1).mean() / 2, "part of gamma"),
    (lambda net, x: gradient(net, x).square().sum(), "take its mean"),
    (lambda net, x: gradient(net, x).square().mean(), "average over the batch only"),
    (lambda net, x: gradient(net, x).mean(0).square().sum(), "averaged the gradients over the batch"),
    (lambda net, x: gradient(net, x).sum(0).square().sum(), "summed the gradients over the batch"),
    (steepness_of_mean, "the gradient of the mean score"),
    (lambda net, x: (gradient(net, x).norm(dim=1) - 1).square().mean(), "WGAN-GP"),
    (lambda net, x: gradient(net, x).sum(1).square().mean(), "square each component"),
    (lambda net, x: gradient(net, x).square().sum(1), "must be one number"),
    (steepness_by_backward, "backward() also adds"),
    (steepness_without_graph, "create_graph=True"),
    (steepness_of_a_flat_net, "mean squared length"),
    (steepness_of_other_weights, "D cannot learn from it"),
    (lambda net, x: gradient(net, x).square().sum(1).mean().detach().requires_grad_(), "D cannot learn from it"),
    (steepness_without_grad, "stops in its line 2"),
    (lambda net, x: gradient(net, 2 * x).square().sum(1).mean(), "mean squared length"),
]

# ---- 18.3: how fast the two players come to rest ----


def sizes(matrix):
    return torch.linalg.eigvals(torch.tensor(matrix, dtype=torch.float64)).abs()


def shrink(rate, gamma):
    return sizes([[1, rate / 2], [-rate / 2, 1 - 2 * gamma * rate]]).max()


def shrink_by_cases(rate, gamma):
    if gamma < 0.5:
        return math.sqrt(1 - 2 * gamma * rate + rate**2 / 4)
    root = rate * math.sqrt(gamma**2 - 0.25)
    return max(abs(1 - gamma * rate + root), abs(1 - gamma * rate - root))


def shrink_by_roots(rate, gamma):
    middle, root = 1 - gamma * rate, rate * cmath.sqrt(gamma**2 - 0.25)
    return max(abs(middle + root), abs(middle - root))


SHRINK_RIGHT = [shrink, shrink_by_cases, shrink_by_roots]
SHRINK_WRONG = [
    (lambda h, g: None, "returns None"),
    (0.99, "without brackets"),
    (lambda h, g: sizes([[1, h / 2], [-h / 2, 1 - g * h]]).max(), "2 gamma psi"),
    (lambda h, g: sizes([[1, h], [-h, 1 - 2 * g * h]]).max(), "each sigmoid is 1/2"),
    (lambda h, g: sizes([[1 - h * h / 4, h / 2 * (1 - 2 * g * h)], [-h / 2, 1 - 2 * g * h]]).max(), "take turns"),
    (lambda h, g: sizes([[1, h / 2], [h / 2, 1 - 2 * g * h]]).max(), "one of the signs is wrong"),
    (lambda h, g: sizes([[1 - 2 * g * h, h / 2], [-h / 2, 1 - 2 * g * h]]).max(), "only the discriminator pays"),
    (lambda h, g: sizes([[0, h / 2], [-h / 2, -2 * g * h]]).max(), "the matrix of the move"),
    (lambda h, g: sizes([[1, h / 2], [-h / 2, 1 + 2 * g * h]]).max(), "check its sign"),
    (lambda h, g: shrink(h, g) ** 2, "square of the size"),
    (lambda h, g: math.sqrt(abs(1 - 2 * g * h + h * h / 4)), "real, and unequal"),
    (lambda h, g: sizes([[1, h / 2], [-h / 2, 1 - 2 * g * h]]).min(), "smaller of the two"),
    (lambda h, g: sizes([[1, h / 2], [-h / 2, 1 - 2 * g * h]]).prod(), "both sizes"),
    (lambda h, g: abs(1 - g * h + h * cmath.sqrt(g * g - 0.25)), "smaller of the two"),
    (lambda h, g: 2 - 2 * g * h, "trace"),
    (lambda h, g: 1 - g * h, "real part alone"),
    (lambda h, g: 1 - g * h + h * cmath.sqrt(g * g - 0.25), "take the absolute value"),
    (lambda h, g: math.exp(h * (-g + cmath.sqrt(g * g - 0.25)).real), "infinitely small steps"),
    (lambda h, g: sizes([[1, h / 2], [-h / 2, 1 - 2 * g * h]]), "must be one number"),
    (lambda h, g: shrink(h, g) + 0.1, "the factor is"),
]

BANK = {"18.1": (JUDGE_RIGHT, JUDGE_WRONG), "18.2": (STEEP_RIGHT, STEEP_WRONG), "18.3": (SHRINK_RIGHT, SHRINK_WRONG)}
