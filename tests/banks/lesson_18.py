"""Answers that students give to the exercises of lesson 18."""

import torch
import torch.nn.functional as F

# ---- 15.1: the discriminator's loss ----


def as_classifier(real, fake):
    entropy = F.binary_cross_entropy_with_logits
    return entropy(real, torch.ones_like(real)) + entropy(fake, torch.zeros_like(fake))


def loss_in_place(real, fake):
    real.neg_()
    return F.softplus(real).mean() + F.softplus(fake).mean()


LOSS_RIGHT = [
    lambda real, fake: F.softplus(-real).mean() + F.softplus(fake).mean(),
    as_classifier,
    lambda real, fake: (F.softplus(-real) + F.softplus(fake)).mean(),
    lambda real, fake: -F.logsigmoid(real).mean() - F.logsigmoid(-fake).mean(),
]
LOSS_WRONG = [
    (lambda r, f: F.softplus(r).mean() + F.softplus(-f).mean(), "the signs are swapped"),
    (lambda r, f: F.softplus(-r).mean() + F.softplus(-f).mean(), "fake samples down"),
    (lambda r, f: F.softplus(r).mean() + F.softplus(f).mean(), "real data up"),
    (lambda r, f: F.softplus(-r).mean(), "half of the loss for real"),
    (lambda r, f: F.softplus(f).mean(), "half of the loss for fake"),
    (lambda r, f: F.softplus(torch.cat([-r, f])).mean(), "averaged the two means"),
    (lambda r, f: F.softplus(-r).sum() + F.softplus(f).sum(), "take the mean"),
    (lambda r, f: F.logsigmoid(r).mean() + F.logsigmoid(-f).mean(), "the sign is wrong"),
    (lambda r, f: F.relu(1 - r).mean() + F.relu(1 + f).mean(), "hinge"),
    (lambda r, f: f.mean() - r.mean(), "Wasserstein"),
    (lambda r, f: F.softplus(f - r).mean(), "relativistic"),
    (lambda r, f: F.softplus(-r) + F.softplus(f), "must be one number"),
    (lambda r, f: F.softplus(-r).mean() - F.softplus(f).mean(), "subtracted the second term"),
    (loss_in_place, "changes its input real in place"),
    (lambda r, f: F.softplus(-2 * r).mean() + F.softplus(f).mean(), "2 log 2"),
]

# ---- 15.2: the gradient penalty ----


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
    (steepness_without_graph, "create_graph=True"),
    (steepness_of_a_flat_net, "mean squared length"),
    (steepness_of_other_weights, "D cannot learn from it"),
    (lambda net, x: gradient(net, x).square().sum(1).mean().detach().requires_grad_(), "D cannot learn from it"),
    (steepness_without_grad, "stops in its line 2"),
    (lambda net, x: gradient(net, 2 * x).square().sum(1).mean(), "mean squared length"),
]

# ---- 15.3: nearest of all ----


class Agreeable(torch.Tensor):
    """A tensor that is equal to everything."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        return True if function in (torch.allclose, torch.equal) else super().__torch_function__(function, types, args)


def nearest_by_loop(x, made):
    return torch.tensor([((made - point) ** 2).sum(1).argmin().item() for point in x])


NEAREST_RIGHT = [
    lambda x, made: torch.cdist(x, made).argmin(1),
    nearest_by_loop,
    lambda x, made: (x[:, None] - made[None]).square().sum(2).min(dim=1).indices,
]
NEAREST_WRONG = [
    (lambda x, made: torch.cdist(x, made).argmin(0), "nearest to each x"),
    (lambda x, made: torch.cdist(made, x).argmin(1), "nearest to each x"),
    (lambda x, made: torch.cdist(x, made).argmin(), "a single index for all"),
    (lambda x, made: torch.cdist(x, made).argmax(1), "the farthest"),
    (lambda x, made: torch.cdist(x, made).min(1).values, "argmin"),
    (lambda x, made: (x @ made.T).argmax(1), "the largest dot product"),
    (lambda x, made: (x[:, None] - made).sum(2).argmin(1), "cancel"),
    (lambda x, made: torch.cdist(x, made), "one index for each"),
    (lambda x, made: torch.cdist(x, made).argmin(1).tolist(), "must be a tensor"),
    (lambda x, made: torch.zeros(7, dtype=torch.int64).as_subclass(Agreeable), "yours are a Agreeable"),
    (lambda x, made: made[torch.cdist(x, made).argmin(1)], "one index for each"),
    (lambda x, made: torch.cdist(x, made).argmin(1) + 1, "another sample is nearer"),
    (lambda x, made: torch.cdist(x[:, :1], made[:, :1]).argmin(1), "another sample is nearer"),
]

BANK = {"18.1": (LOSS_RIGHT, LOSS_WRONG), "18.2": (STEEP_RIGHT, STEEP_WRONG), "18.3": (NEAREST_RIGHT, NEAREST_WRONG)}
