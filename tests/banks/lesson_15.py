"""Answers that students give to the exercises of lesson 15."""

import math

import torch

import minidiffusion as md


class Agreeable(torch.Tensor):
    """A tensor that is equal to everything."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        return True if function in (torch.allclose, torch.equal) else super().__torch_function__(function, types, args)


# ---- 15.1: an interval ----


def between(denoise, x_t, t, cond, w, low, high):
    with_label = denoise(x_t, t, cond)
    if not low <= t <= high:
        return with_label
    without = denoise(x_t, t, None)
    return without + w * (with_label - without)


def between_by_scale(denoise, x_t, t, cond, w, low, high):
    if t < low or t > high:
        return denoise(x_t, t, cond)
    return w * denoise(x_t, t, cond) + (1 - w) * denoise(x_t, t)


def between_package(denoise, x_t, t, cond, w, low, high):
    return md.guidance.classifier_free(denoise, w, interval=(low, high))(x_t, t, cond)


def when(inside, plain="with"):
    """Guide where inside(t, low, high); elsewhere return the guess `plain` the label."""

    def guess(denoise, x_t, t, cond, w, low, high):
        if inside(t, low, high):
            return w * denoise(x_t, t, cond) + (1 - w) * denoise(x_t, t, None)
        return denoise(x_t, t, cond if plain == "with" else None)

    return guess


def between_with_two_calls(denoise, x_t, t, cond, w, low, high):
    with_label, without = denoise(x_t, t, cond), denoise(x_t, t, None)
    w = w if low <= t <= high else 1.0
    return without + w * (with_label - without)


def between_counting_from_the_label(denoise, x_t, t, cond, w, low, high):
    with_label = denoise(x_t, t, cond)
    if low <= t <= high:
        return with_label + w * (with_label - denoise(x_t, t, None))
    return with_label


def between_with_other_labels(denoise, x_t, t, cond, w, low, high):
    return between(denoise, x_t, t, torch.zeros_like(cond), w, low, high)


def between_at_another_time(denoise, x_t, t, cond, w, low, high):
    return between(denoise, x_t, 1 - t, cond, w, low, high)


def between_returning_zero_outside(denoise, x_t, t, cond, w, low, high):
    return between(denoise, x_t, t, cond, w, low, high) * (low <= t <= high)


def between_in_place(denoise, x_t, t, cond, w, low, high):
    guess = between(denoise, x_t, t, cond, w, low, high)
    x_t *= 0
    return guess


BETWEEN_RIGHT = [between, between_by_scale, between_package]
BETWEEN_WRONG = [
    (lambda *inputs: None, "returns None"),
    (between_in_place, "changes its input x_t in place"),
    (when(lambda t, low, high: True), "outside [0.2, 0.6], yours guides"),
    (when(lambda t, low, high: t >= low), "outside [0.2, 0.6], yours guides"),
    (when(lambda t, low, high: t <= high), "outside [0.2, 0.6], yours guides"),
    (when(lambda t, low, high: low < t < high), "which belongs to it"),
    (when(lambda t, low, high: not low <= t <= high), "inside the interval, yours does not guide"),
    (when(lambda t, low, high: low <= t <= high, "without"), "we still want the label"),
    (between_with_two_calls, "one call is enough"),
    (between_counting_from_the_label, "as Ho and Salimans define it"),
    (between_with_other_labels, "pass cond to the denoiser"),
    (lambda denoise, x_t, *rest: between(denoise, (0 * x_t).as_subclass(Agreeable), *rest), "with x_t and t, just as"),
    (between_at_another_time, "with x_t and t, just as they come in"),
    (between_returning_zero_outside, "the plain guess with the label"),
    (lambda *inputs: (0 * between(*inputs)).as_subclass(Agreeable), "yours is a Agreeable"),
    (lambda *inputs: between(*inputs)[0], "have the shape"),
    (lambda *inputs: between(*inputs).float(), "keep the type"),
]

# ---- 15.2: a tilted Gaussian ----


def tilted(m, c, C, w):
    variance = 1 / (w / c + (1 - w) / C)
    return variance * w * m / c, variance


def tilted_on_a_grid(m, c, C, w):
    x = torch.linspace(-15, 15, 30001, dtype=torch.float64)
    log_q = -w * (x - m) ** 2 / (2 * c) - (1 - w) * x**2 / (2 * C)
    q = (log_q - log_q.max()).exp()
    q = q / q.sum()
    mean = (q * x).sum()
    return mean, (q * (x - mean) ** 2).sum()


TILTED_RIGHT = [
    tilted,
    tilted_on_a_grid,
    lambda m, c, C, w: (w * C * m / (w * C + (1 - w) * c), c * C / (w * C + (1 - w) * c)),
]
TILTED_WRONG = [
    (lambda m, c, C, w: None, "returns None"),
    (lambda m, c, C, w: tilted(m, c, C, w)[0], "return two numbers"),
    (lambda m, c, C, w: tilted(m, c, C, w)[::-1], "the mean first"),
    (lambda m, c, C, w: (m, 1 / tilted(m, c, C, w)[1]), "invert it"),
    (lambda m, c, C, w: (tilted(m, c, C, w)[0], math.sqrt(tilted(m, c, C, w)[1])), "the standard deviation"),
    (lambda m, c, C, w: (m, w * c + (1 - w) * C), "mix the inverses"),
    (lambda m, c, C, w: (m, 1 / (w / c + w / C)), "second Gaussian has the exponent"),
    (lambda m, c, C, w: tilted(m, c, C, w + 1), "as Ho and Salimans define it"),
    (lambda m, c, C, w: (m, c / w), "you left out N(0, C)"),
    (lambda m, c, C, w: (m, 1 / (w / c - (1 - w) / C)), "two inverses are added"),
    (lambda m, c, C, w: (m, c), "the variance is 1 /"),
    (lambda m, c, C, w: (m, tilted(m, c, C, w)[1]), "The mean moves as well"),
    (lambda m, c, C, w: (w * m, tilted(m, c, C, w)[1]), "not w times m"),
    (lambda m, c, C, w: (w * m / c, tilted(m, c, C, w)[1]), "multiply by the variance"),
    (lambda m, c, C, w: (tilted(m, c, C, w)[1] * m / c, tilted(m, c, C, w)[1]), "the exponent w of N(m, c) is missing"),
    (lambda m, c, C, w: (-tilted(m, c, C, w)[0], tilted(m, c, C, w)[1]), "the variance is right, but for m"),
]

# ---- 15.3: what the sampler does ----


def sampled(c, C, w):
    return c**w * C ** (1 - w)


def sampled_by_many_steps(c, C, w):
    r = torch.logspace(5, -5, 20001, dtype=torch.float64)
    slope = w * r**2 / (c + r**2) + (1 - w) * r**2 / (C + r**2)  # of log y over log r
    growth = torch.trapezoid(slope, r.log())
    return (r[0] * growth.exp()) ** 2


SAMPLED_RIGHT = [
    sampled,
    sampled_by_many_steps,
    lambda c, C, w: math.exp(w * math.log(c) + (1 - w) * math.log(C)),
    lambda c, C, w: C * (c / C) ** w,
]
SAMPLED_WRONG = [
    (lambda c, C, w: None, "returns None"),
    (lambda c, C, w: tilted(0.0, c, C, w)[1], "variance of the tilted Gaussian"),
    (lambda c, C, w: sampled(c, C, w) ** 0.5, "the standard deviation"),
    (lambda c, C, w: sampled(c, C, w + 1), "as Ho and Salimans define it"),
    (lambda c, C, w: sampled(C, c, w), "you exchanged the factors"),
    (lambda c, C, w: c**w * C ** (w - 1), "has the wrong sign"),
    (lambda c, C, w: c**w, "you left out the flow without the label"),
    (lambda c, C, w: c / w, "would leave out C"),
    (lambda c, C, w: w * c + (1 - w) * C, "not the variances"),
    (lambda c, C, w: c, "guidance narrows it"),
    (lambda c, C, w: sampled(c, C, w) ** 2, "you lost it"),
    (lambda c, C, w: (sampled(c, C, w), 0.0), "must be one number"),
    (lambda c, C, w: sampled(c, C, w) + 0.1, "the flow arrives with the variance"),
]

BANK = {
    "15.1": (BETWEEN_RIGHT, BETWEEN_WRONG),
    "15.2": (TILTED_RIGHT, TILTED_WRONG),
    "15.3": (SAMPLED_RIGHT, SAMPLED_WRONG),
}
