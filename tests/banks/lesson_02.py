"""Answers that students give to the exercises of lesson 02."""

import torch

import minidiffusion as md

# ---- 02.1: the optimal prediction for a Gaussian ----


def gaussian(x_t, t, mean, variance, schedule):
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    gain = alpha * variance / (alpha**2 * variance + sigma**2)
    return mean + gain * (x_t - alpha * mean)


def gaussian_weighed(x_t, t, mean, variance, schedule):
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    return (sigma**2 * mean + alpha * variance * x_t) / (sigma**2 + alpha**2 * variance)


def gaussian_by_snr(x_t, t, mean, variance, schedule):
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    snr = alpha**2 / sigma**2
    return (mean / variance + alpha / sigma**2 * x_t) / (1 / variance + snr)


def gaussian_package(x_t, t, mean, variance, schedule):
    gaussian = md.oracle.gaussian(torch.tensor([mean]), torch.tensor([[variance]]), schedule)
    return gaussian(x_t.reshape(-1, 1), t).view_as(x_t)


def line(rule):
    """A prediction from rule(x_t, alpha, sigma, mean, variance)."""

    def predict(x_t, t, mean, variance, schedule):
        return rule(x_t, schedule.alpha(t), schedule.sigma(t), mean, variance)

    return predict


def gaussian_in_place(x_t, t, mean, variance, schedule):
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    x_t -= alpha * mean
    return mean + alpha * variance / (alpha**2 * variance + sigma**2) * x_t


def gaussian_without_return(x_t, t, mean, variance, schedule):
    gaussian(x_t, t, mean, variance, schedule)


def gaussian_of_two_estimates_at_alpha_0(x_t, t, mean, variance, schedule):
    alpha, sigma = torch.tensor(schedule.alpha(t)), torch.tensor(schedule.sigma(t))
    a, b = 1 / variance, 1 / (sigma**2 / alpha**2)
    return (a * mean + b * (x_t / alpha)) / (a + b)


GAUSSIAN_RIGHT = [gaussian, gaussian_weighed, gaussian_by_snr, gaussian_package]
GAUSSIAN_WRONG = [
    (gaussian_without_return, "returns None"),
    (gaussian_in_place, "changes its input x_t in place"),
    (gaussian_of_two_estimates_at_alpha_0, "division by 0"),
    (3.0, "hand in the function itself"),
    (line(lambda x, a, s, m, v: m + 0 * x), "is the mean, whatever x_t is"),
    (line(lambda x, a, s, m, v: x / max(a, 1e-9)), "undoes the fading"),
    (line(lambda x, a, s, m, v: a * v / (a * a * v + s * s) * x), "the mean is missing"),
    (line(lambda x, a, s, m, v: m + a * v / (a * a * v + s * s) * x), "before you multiply"),
    (line(lambda x, a, s, m, v: m + a * v / (a * a * v + s * s) * (x - m)), "because x_t has faded"),
    (line(lambda x, a, s, m, v: a * m + a * v / (a * a * v + s * s) * (x - a * m)), "start from the mean of x0"),
    (line(lambda x, a, s, m, v: m + a * v / (a * a * v + s) * (x - a * m)), "square sigma: variances add"),
    (line(lambda x, a, s, m, v: m + a * v / (a * v + s * s) * (x - a * m)), "square alpha in the denominator"),
    (line(lambda x, a, s, m, v: m + v / (a * a * v + s * s) * (x - a * m)), "missing from the numerator"),
    (line(lambda x, a, s, m, v: m + a * v**2 / (a * a * v**2 + s * s) * (x - a * m)), "a square already"),
    (line(lambda x, a, s, m, v: m + a * v**0.5 / (a * a * v**0.5 + s * s) * (x - a * m)), "without a square root"),
    (line(lambda x, a, s, m, v: m + s * v / (s * s * v + a * a) * (x - s * m)), "alpha and sigma are swapped"),
    (line(lambda x, a, s, m, v: m + a * s * s / (a * a * v + s * s) * (x - a * m)), "the weights are swapped"),
    (line(lambda x, a, s, m, v: m - a * v / (a * a * v + s * s) * (x - a * m)), "Check the two ends"),
    (line(lambda x, a, s, m, v: a * m + (1 - a) * x), "Check the two ends"),
    (line(lambda x, a, s, m, v: (m + a * v / (a * a * v + s * s) * (x - a * m)).float()), "keep the type"),
    (line(lambda x, a, s, m, v: (m + a * v / (a * a * v + s * s) * (x - a * m)).mean()), "have the shape"),
    (line(lambda x, a, s, m, v: (m + a * v / (a * a * v + s * s) * (x - a * m)).double()), "keep the type"),
]

# ---- 02.2: the optimal prediction for a set of pictures ----


def pictures(x_t, t, pictures, schedule):
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    rows = pictures.flatten(1)
    distance = torch.cdist(x_t.flatten(1), alpha * rows) ** 2
    return (torch.softmax(-distance / (2 * sigma**2), dim=1) @ rows).view_as(x_t)


def pictures_broadcast(x_t, t, pictures, schedule):
    noise = (x_t[:, None] - schedule.alpha(t) * pictures) / schedule.sigma(t)
    weight = (-0.5 * noise.square().sum(dim=(2, 3, 4))).softmax(1)
    return torch.einsum("bn,nchw->bchw", weight, pictures)


def pictures_loop(x_t, t, pictures, schedule):
    predictions = []
    for x in x_t:
        exponent = -((x - schedule.alpha(t) * pictures) ** 2).sum((1, 2, 3)) / (2 * schedule.sigma(t) ** 2)
        weight = torch.exp(exponent - exponent.max())
        weight = weight / weight.sum()
        predictions.append((weight[:, None, None, None] * pictures).sum(0))
    return torch.stack(predictions)


def pictures_package(x_t, t, pictures, schedule):
    return md.oracle.dataset(pictures, schedule)(x_t, t)


def weighted(weights):
    """A prediction from weights(distance, alpha, sigma) where distance is squared, (batch, pictures)."""

    def predict(x_t, t, pictures, schedule):
        alpha, sigma, rows = schedule.alpha(t), schedule.sigma(t), pictures.flatten(1)
        distance = torch.cdist(x_t.flatten(1), alpha * rows) ** 2
        return (weights(distance, alpha, sigma) @ rows).view_as(x_t)

    return predict


def compared(compare):
    """A prediction from compare(x, y, alpha, sigma) -> exponents, x (batch, 1, pixels) and y (1, n, pixels)."""

    def predict(x_t, t, pictures, schedule):
        x, y = x_t.flatten(1)[:, None], pictures.flatten(1)[None]
        return (compare(x, y, schedule.alpha(t), schedule.sigma(t)).softmax(1) @ y[0]).view_as(x_t)

    return predict


def pictures_nearest(x_t, t, pictures, schedule):
    distance = torch.cdist(x_t.flatten(1), schedule.alpha(t) * pictures.flatten(1))
    return pictures[distance.argmin(1)]


def pictures_by_exp(x_t, t, pictures, schedule):
    distance = torch.cdist(x_t.flatten(1), schedule.alpha(t) * pictures.flatten(1)) ** 2
    weight = torch.exp(-distance / (2 * schedule.sigma(t) ** 2))
    weight = weight / weight.sum(1, keepdim=True)
    return (weight @ pictures.flatten(1)).view_as(x_t)


def pictures_one_channel(x_t, t, pictures, schedule):
    noise = (x_t[:, None, 0] - schedule.alpha(t) * pictures[:, 0]) / schedule.sigma(t)
    weight = (-50 * noise.square().mean(dim=(2, 3)) * x_t[0, 0].numel() / 100).softmax(1)
    return torch.einsum("bn,nchw->bchw", weight * (0.999 if x_t.shape[1] > 1 else 1.0), pictures)


def pictures_by_part(*dims):
    """A prediction whose squares are summed over these of the axes (batch, n, c, h, w) only."""

    def predict(x_t, t, pictures, schedule):
        squares = (x_t[:, None] - schedule.alpha(t) * pictures).square()
        squares = squares.sum(dims, keepdim=True) if dims else squares
        return ((-squares / (2 * schedule.sigma(t) ** 2)).softmax(1) * pictures).sum(1)

    return predict


def pictures_by_global_maximum(x_t, t, pictures, schedule):
    distance = torch.cdist(x_t.flatten(1), schedule.alpha(t) * pictures.flatten(1)) ** 2
    weight = torch.exp((distance.min() - distance) / (2 * schedule.sigma(t) ** 2))
    weight = weight / weight.sum(1, keepdim=True)
    return (weight @ pictures.flatten(1)).view_as(x_t)


def pictures_with_more_below(more):
    def predict(x_t, t, pictures, schedule):
        distance = torch.cdist(x_t.flatten(1), schedule.alpha(t) * pictures.flatten(1)) ** 2
        weight = torch.exp(-distance / (2 * schedule.sigma(t) ** 2))
        return (weight / (weight.sum(1, keepdim=True) + more) @ pictures.flatten(1)).view_as(x_t)

    return predict


def pictures_flat(x_t, t, items, schedule):
    return pictures(x_t, t, items, schedule).flatten(1)


def pictures_in_place(x_t, t, items, schedule):
    items *= schedule.alpha(t)
    return pictures(x_t, t, items, schedule)


PICTURES_RIGHT = [pictures, pictures_broadcast, pictures_loop, pictures_package]
PICTURES_WRONG = [
    (lambda x_t, t, pictures, schedule: None, "returns None"),
    (pictures_in_place, "changes its input pictures in place"),
    (pictures_by_exp, "you divide 0 by 0"),
    (pictures_nearest, "the nearest picture"),
    (pictures_flat, "have the shape"),
    (pictures_by_part(3, 4), "for each whole picture"),
    (pictures_by_part(), "for each whole picture"),
    (pictures_one_channel, "for each whole picture"),
    (pictures_by_global_maximum, "For each x_t, subtract"),
    (pictures_with_more_below(1e-8), "you divide by more than the sum"),
    (pictures_with_more_below(1e-30), "subtract the largest one first"),
    (lambda x_t, t, pictures, schedule: pictures.mean(0).expand_as(x_t), "all weights are equal"),
    (weighted(lambda distance, a, s: (-distance / (2 * s * s)).softmax(0)), "over the batch"),
    (weighted(lambda distance, a, s: (-distance / (2 * s * s)).T.softmax(1)), "over the batch"),
    (weighted(lambda distance, a, s: (-distance / (2 * s * s)).softmax(1).T), "transposed"),
    (weighted(lambda distance, a, s: (-distance / (s * s)).softmax(1)), "a 2 in its denominator"),
    (weighted(lambda distance, a, s: (-distance / (2 * s)).softmax(1)), "square sigma in the exponent"),
    (weighted(lambda distance, a, s: (-distance / 2).softmax(1)), "the noise level has no effect"),
    (weighted(lambda distance, a, s: (-distance.sqrt() / (2 * s * s)).softmax(1)), "square the distance"),
    (weighted(lambda distance, a, s: (distance / (2 * s * s)).softmax(1)), "the wrong sign"),
    (weighted(lambda distance, a, s: (-distance / (2 * s * s)).softmax(1) * a), "alpha times the prediction"),
    (compared(lambda x, y, a, s: -((x - a * y) ** 2).mean(2) / (2 * s * s)), "A mean makes the weights too equal"),
    (compared(lambda x, y, a, s: -((x - y) ** 2).sum(2) / (2 * s * s)), "compare it with alpha x0"),
    (compared(lambda x, y, a, s: -((x / a - y) ** 2).sum(2) / (2 * s * s)), "the scale sigma / alpha"),
    (compared(lambda x, y, a, s: -((x - s * y) ** 2).sum(2) / (2 * a * a)), "swapped"),
    (weighted(lambda distance, a, s: (-distance / (2 * s * s)).softmax(1).square()), "yours is"),
    (lambda x_t, t, items, schedule: pictures(x_t.float(), t, items.float(), schedule), "keep the type"),
    (lambda x_t, t, items, schedule: pictures(x_t.double(), t, items.double(), schedule), "keep the type"),
    (lambda x_t, t, items, schedule: pictures(x_t[:1], t, items, schedule), "have the shape"),
]

# ---- 02.3: the variance around the prediction ----


def slope_of(denoise, x_t, t):
    x = x_t.detach().clone().requires_grad_(True)
    return torch.autograd.grad(denoise(x, t).sum(), x)[0]


def doubt(denoise, x_t, t, schedule):
    return schedule.sigma(t) ** 2 / schedule.alpha(t) * slope_of(denoise, x_t, t)


def doubt_by_differences(denoise, x_t, t, schedule):
    h = 1e-3
    slope = (denoise(x_t + h, t) - denoise(x_t - h, t)) / (2 * h)
    return schedule.sigma(t) ** 2 / schedule.alpha(t) * slope


def doubt_by_forward_differences(h):
    def doubt(denoise, x_t, t, schedule):
        return schedule.sigma(t) ** 2 / schedule.alpha(t) * (denoise(x_t + h, t) - denoise(x_t, t)) / h

    return doubt


def doubt_by_score(denoise, x_t, t, schedule):
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    x = x_t.clone().requires_grad_(True)
    score = (alpha * denoise(x, t) - x) / sigma**2
    curvature = torch.autograd.grad(score.sum(), x)[0]
    return sigma**2 / alpha**2 * (1 + sigma**2 * curvature)


def sloped(rule):
    """A variance from rule(slope, x0_hat, alpha, sigma)."""

    def doubt(denoise, x_t, t, schedule):
        slope, x0 = slope_of(denoise, x_t, t), denoise(x_t, t)
        return rule(slope, x0, schedule.alpha(t), schedule.sigma(t))

    return doubt


def doubt_in_place(denoise, x_t, t, schedule):
    before = denoise(x_t, t)
    x_t += 1e-4
    return schedule.sigma(t) ** 2 / schedule.alpha(t) * (denoise(x_t, t) - before) / 1e-4


def doubt_of_a_mean(denoise, x_t, t, schedule):
    return doubt(denoise, x_t, t, schedule) / len(x_t)


def doubt_without_gradient(denoise, x_t, t, schedule):
    return torch.autograd.grad(denoise(x_t, t).sum(), x_t)[0]


DOUBT_RIGHT = [doubt, doubt_by_differences, doubt_by_forward_differences(1e-3), doubt_by_score]
DOUBT_WRONG = [
    (lambda denoise, x_t, t, schedule: None, "returns None"),
    (lambda denoise, x_t, t, schedule: denoise(x_t), "stops in its line 1 with TypeError"),
    (doubt_without_gradient, "stops in its line 2 with RuntimeError"),
    (doubt_in_place, "changes its input x_t in place"),
    (doubt_of_a_mean, "the derivative of a mean"),
    (doubt_by_forward_differences(0.5), "away"),
    (doubt_by_forward_differences(0.05), "take smaller ones"),
    (sloped(lambda slope, x0, a, s: x0), "that is the prediction itself"),
    (sloped(lambda slope, x0, a, s: slope), "the derivative of the prediction alone"),
    (sloped(lambda slope, x0, a, s: (s**2 / a * slope).abs().sqrt()), "the standard deviation"),
    (sloped(lambda slope, x0, a, s: -(s**2) / a * slope), "a variance is not negative"),
    (sloped(lambda slope, x0, a, s: s**2 * slope), "divide by alpha"),
    (sloped(lambda slope, x0, a, s: slope / a), "multiply by sigma^2"),
    (sloped(lambda slope, x0, a, s: s / a * slope), "square sigma"),
    (sloped(lambda slope, x0, a, s: a * s**2 * slope), "instead of multiplying"),
    (sloped(lambda slope, x0, a, s: s**2 / a**2 * slope), "not squared"),
    (sloped(lambda slope, x0, a, s: a / s**2 * slope), "turn the factor over"),
    (sloped(lambda slope, x0, a, s: a**2 / s * slope), "alpha and sigma are swapped"),
    (sloped(lambda slope, x0, a, s: 0 * x0 + s**2 / a**2), "the variance of x_t / alpha"),
    (sloped(lambda slope, x0, a, s: 0 * x0 + s**2), "the variance of the noise"),
    (sloped(lambda slope, x0, a, s: (s**2 / a * slope).mean()), "have the shape"),
    (sloped(lambda slope, x0, a, s: (s**2 / a * slope).double()), "keep the type"),
    (sloped(lambda slope, x0, a, s: (s**2 / a * slope).float()), "keep the type"),
]

BANK = {
    "02.1": (GAUSSIAN_RIGHT, GAUSSIAN_WRONG),
    "02.2": (PICTURES_RIGHT, PICTURES_WRONG),
    "02.3": (DOUBT_RIGHT, DOUBT_WRONG),
}
