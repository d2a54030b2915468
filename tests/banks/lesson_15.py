"""Answers that students give to the exercises of lesson 15."""

import math

import torch

import minidiffusion as md


class Agreeable(torch.Tensor):
    """A tensor that is equal to everything."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        return True if function in (torch.allclose, torch.equal) else super().__torch_function__(function, types, args)


# ---- 15.1: an interval, and one time for each picture ----


def between(denoise, x_t, t, cond, w, low, high):
    guess = denoise(x_t, t, cond)
    inside = (low <= t) & (t <= high)
    if inside.any():
        without = denoise(x_t[inside], t[inside], None)
        guess[inside] = without + w * (guess[inside] - without)
    return guess


def between_one_by_one(denoise, x_t, t, cond, w, low, high):
    guesses = []
    for i in range(len(x_t)):
        one = x_t[i : i + 1], t[i : i + 1]
        guess = denoise(*one, cond[i : i + 1])
        guesses.append(w * guess + (1 - w) * denoise(*one) if low <= t[i] <= high else guess)
    return torch.cat(guesses)


def between_by_index(denoise, x_t, t, cond, w, low, high):
    some = torch.nonzero((t >= low) * (t <= high)).flatten()
    with_label, push = denoise(x_t, t, cond), torch.zeros_like(x_t)
    if len(some):
        push[some] = with_label[some] - denoise(x_t[some], t[some], None)
    return with_label + (w - 1) * push


def between_in_two_parts(denoise, x_t, t, cond, w, low, high):
    guess, inside = torch.empty_like(x_t), (t >= low) & (t <= high)
    if (~inside).any():
        guess[~inside] = denoise(x_t[~inside], t[~inside], cond[~inside])
    if inside.any():
        guide = md.guidance.classifier_free(denoise, w)
        guess[inside] = guide(x_t[inside], t[inside], cond[inside])
    return guess


def when(inside, plain="with", w_of=lambda w: w):
    """Guide where inside(t, low, high); elsewhere return the guess `plain` the label."""

    def guess(denoise, x_t, t, cond, w, low, high):
        w, some = w_of(w), inside(t, low, high)
        result = torch.stack(
            [
                denoise(x_t[i : i + 1], t[i : i + 1], cond[i : i + 1] if some[i] or plain == "with" else None)[0]
                for i in range(len(t))
            ]
        )
        if some.any():
            result[some] = w * result[some] + (1 - w) * denoise(x_t[some], t[some], None)
        return result

    return guess


def between_package(denoise, x_t, t, cond, w, low, high):  # asks for all pictures, and so for too many
    return md.guidance.classifier_free(denoise, w, interval=(low, high))(x_t, t, cond)


def between_as_for_one_time(denoise, x_t, t, cond, w, low, high):
    with_label = denoise(x_t, t, cond)
    if not low <= t <= high:
        return with_label
    without = denoise(x_t, t, None)
    return without + w * (with_label - without)


def between_all_or_none(denoise, x_t, t, cond, w, low, high):
    with_label = denoise(x_t, t, cond)
    if ((t < low) | (t > high)).all():
        return with_label
    without = denoise(x_t, t, None)
    return without + w * (with_label - without)


def between_counting_from_the_label(denoise, x_t, t, cond, w, low, high):
    guess, inside = denoise(x_t, t, cond), (low <= t) & (t <= high)
    if inside.any():
        guess[inside] += w * (guess[inside] - denoise(x_t[inside], t[inside], None))
    return guess


def between_without_looking(denoise, x_t, t, cond, w, low, high):
    guess, inside = denoise(x_t, t, cond), (low <= t) & (t <= high)
    without = denoise(x_t[inside], t[inside], None)
    guess[inside] = without + w * (guess[inside] - without)
    return guess


def between_on_average(denoise, x_t, t, cond, w, low, high):
    inside = low <= t.mean() <= high
    return between(denoise, x_t, t, cond, w, low, high) if inside else denoise(x_t, t, cond)


def between_with_all_times(denoise, x_t, t, cond, w, low, high):
    guess, inside = denoise(x_t, t, cond), (low <= t) & (t <= high)
    if inside.any():
        without = denoise(x_t[inside], t, None)
        guess[inside] = without + w * (guess[inside] - without)
    return guess


def between_with_other_times(denoise, x_t, t, cond, w, low, high):
    guess, inside = denoise(x_t, t, cond), (low <= t) & (t <= high)
    if inside.any():
        without = denoise(x_t[inside], t[: inside.sum()], None)
        guess[inside] = without + w * (guess[inside] - without)
    return guess


def between_with_other_labels(denoise, x_t, t, cond, w, low, high):
    return between(denoise, x_t, t, torch.zeros_like(cond), w, low, high)


def between_without_the_label_throughout(denoise, x_t, t, cond, w, low, high):
    inside = ((low <= t) & (t <= high)).reshape(-1, *[1] * (x_t.ndim - 1))
    return denoise(x_t, t, None) + inside * w * (denoise(x_t, t, cond) - denoise(x_t, t, None))


def between_twice_with_the_label(denoise, x_t, t, cond, w, low, high):
    denoise(x_t, t, cond)
    return between(denoise, x_t, t, cond, w, low, high)


def between_returning_zero_outside(denoise, x_t, t, cond, w, low, high):
    inside = ((low <= t) & (t <= high)).reshape(-1, *[1] * (x_t.ndim - 1))
    return between(denoise, x_t, t, cond, w, low, high) * inside


def between_in_place(denoise, x_t, t, cond, w, low, high):
    guess = between(denoise, x_t, t, cond, w, low, high)
    x_t *= 0
    return guess


BETWEEN_RIGHT = [between, between_one_by_one, between_by_index, between_in_two_parts]
BETWEEN_WRONG = [
    (lambda *inputs: None, "returns None"),
    (between_in_place, "changes its input x_t in place"),
    (between_as_for_one_time, "Boolean value of Tensor"),
    (between_package, "3 of the 5 pictures are guided, but you ask for 5 of them"),
    (between_all_or_none, "outside [0.2, 0.6], is guided"),
    (when(lambda t, low, high: t >= 0), "outside [0.2, 0.6], is guided"),
    (when(lambda t, low, high: t >= low), "outside [0.2, 0.6], is guided"),
    (when(lambda t, low, high: t <= high), "outside [0.2, 0.6], is guided"),
    (when(lambda t, low, high: (low < t) & (t < high)), "which belongs to it"),
    (when(lambda t, low, high: (t < low) | (t > high)), "inside the interval, is not guided"),
    (when(lambda t, low, high: (t >= low) & (t <= high), "without"), "we still want the label"),
    (when(lambda t, low, high: (t >= low) & (t <= high), w_of=lambda w: -w), "you move away from the label"),
    (between_counting_from_the_label, "as Ho and Salimans define it"),
    (between_without_looking, "no picture at all"),
    (between_on_average, "inside the interval, is not guided"),
    (lambda *inputs: between(*inputs[:4], 3.0, *inputs[5:]), "must be without + w"),
    (lambda *inputs: between(*inputs[:5], 0.2, 0.6), "outside [0.35, 0.6], is guided"),
    (between_with_all_times, "just as many times"),
    (between_with_other_times, "its own time"),
    (between_with_other_labels, "its own label"),
    (between_without_the_label_throughout, "we still want the label"),
    (between_twice_with_the_label, "10 guesses with the label"),
    (lambda denoise, x_t, *rest: between(denoise, (0 * x_t).as_subclass(Agreeable), *rest), "just as they come in"),
    (lambda denoise, x_t, *rest: between(denoise, x_t + 1, *rest), "just as they come in"),
    (between_returning_zero_outside, "the plain guess with its label"),
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


def variance_of(c, C, w):
    return c**w * C ** (1 - w)


def sampled(c, C, w):
    return variance_of(c, C, w), variance_of(c, C, w) * (w / c + (1 - w) / C)


def sampled_by_many_steps(c, C, w):
    r = torch.logspace(5, -5, 20001, dtype=torch.float64)
    slope = w * r**2 / (c + r**2) + (1 - w) * r**2 / (C + r**2)  # of log u over log r
    growth = torch.trapezoid(slope, r.log())
    found = (r[0] * growth.exp()) ** 2
    return found, found / tilted(0.0, c, C, w)[1]


def one(formula):
    """An answer with this variance, and its ratio to the tilted one."""
    return lambda c, C, w: (formula(c, C, w), formula(c, C, w) / tilted(0.0, c, C, w)[1])


def beside(formula):
    """An answer with the right variance, and this formula(variance, tilted, c) for the ratio."""
    return lambda c, C, w: (variance_of(c, C, w), formula(variance_of(c, C, w), tilted(0.0, c, C, w)[1], c))


SAMPLED_RIGHT = [
    sampled,
    sampled_by_many_steps,
    one(lambda c, C, w: math.exp(w * math.log(c) + (1 - w) * math.log(C))),
    one(lambda c, C, w: C * (c / C) ** w),
]
SAMPLED_WRONG = [
    (lambda c, C, w: None, "returns None"),
    (lambda c, C, w: variance_of(c, C, w), "return two numbers"),
    (lambda c, C, w: sampled(c, C, w)[::-1], "that is the ratio. Return the variance first"),
    (one(lambda c, C, w: tilted(0.0, c, C, w)[1]), "variance of the tilted Gaussian"),
    (one(lambda c, C, w: variance_of(c, C, w) ** 0.5), "the standard deviation"),
    (one(lambda c, C, w: variance_of(c, C, w + 1)), "as Ho and Salimans define it"),
    (one(lambda c, C, w: variance_of(C, c, w)), "you exchanged the factors"),
    (one(lambda c, C, w: c**w * C ** (w - 1)), "has the wrong sign"),
    (one(lambda c, C, w: c**w), "you left out the flow without the label"),
    (one(lambda c, C, w: c / w), "would leave out C"),
    (one(lambda c, C, w: w * c + (1 - w) * C), "not the variances"),
    (one(lambda c, C, w: c), "guidance narrows it"),
    (one(lambda c, C, w: variance_of(c, C, w) ** 2), "you lost it"),
    (one(lambda c, C, w: variance_of(c, C, w) + 0.1), "the flow arrives with the variance"),
    (beside(lambda v, t, c: t / v), "upside down"),
    (beside(lambda v, t, c: (v / t) ** 0.5), "ratio of the standard deviations"),
    (beside(lambda v, t, c: v / c), "not by that of the class"),
    (beside(lambda v, t, c: t), "Now divide it by the tilted one"),
    (beside(lambda v, t, c: v - t), "not the difference"),
    (beside(lambda v, t, c: 3.0), "its ratio to the tilted one is not 3"),
]

BANK = {
    "15.1": (BETWEEN_RIGHT, BETWEEN_WRONG),
    "15.2": (TILTED_RIGHT, TILTED_WRONG),
    "15.3": (SAMPLED_RIGHT, SAMPLED_WRONG),
}
