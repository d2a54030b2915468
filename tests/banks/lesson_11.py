"""Answers that students give to the exercises of lesson 11."""

import torch

import minidiffusion as md

# ---- 11.1: the weight hidden in any loss ----


def hidden_weight(a, b, alpha, sigma):
    return (a - b * alpha / sigma) ** 2


def weight_by_determinant(a, b, alpha, sigma):
    return ((a * sigma - b * alpha) / sigma) ** 2


def weight_by_trial(a, b, alpha, sigma):
    x0, eps, d = 0.3, -0.7, 0.5
    x_t = alpha * x0 + sigma * eps
    wrong = (x_t - alpha * (x0 + d)) / sigma
    return (((a * (x0 + d) + b * wrong) - (a * x0 + b * eps)) / d) ** 2


def weight_expanded(a, b, alpha, sigma):
    r = torch.tensor(alpha / sigma, dtype=torch.float64)
    return a * a - 2 * a * b * r + b * b * r**2


WEIGHT_RIGHT = [hidden_weight, weight_by_determinant, weight_by_trial, weight_expanded]
WEIGHT_WRONG = [
    (None, "the answer is None"),
    (1.0, "hand in the function itself"),
    (lambda a, b, alpha, sigma: None, "returns None"),
    (lambda a, b, alpha, sigma: a - b * alpha / sigma, "a square is missing"),
    (lambda a, b, alpha, sigma: abs(a - b * alpha / sigma), "a square is missing"),
    (lambda a, b, alpha, sigma: (a - b * alpha / sigma) ** -2, "upside down"),
    (lambda a, b, alpha, sigma: (a + b * alpha / sigma) ** 2, "Check the sign"),
    (lambda a, b, alpha, sigma: (a - b * sigma / alpha) ** 2, "are swapped"),
    (lambda a, b, alpha, sigma: (a - b * alpha) ** 2, "divides by sigma"),
    (lambda a, b, alpha, sigma: a**2 + b**2 * (alpha / sigma) ** 2, "add them first, then square"),
    (lambda a, b, alpha, sigma: (a - b) ** 2, "not as large"),
    (lambda a, b, alpha, sigma: (alpha / sigma) ** 2, "for a = 0 and b = 1 only"),
    (lambda a, b, alpha, sigma: (alpha / sigma) ** 2 + 1, "that is the weight for v"),
    (lambda a, b, alpha, sigma: (a - b * (alpha / sigma) ** 2) ** 2, "the SNR is the square"),
    (lambda a, b, alpha, sigma: torch.tensor([a, b]), "must be one number"),
    (lambda a, b, alpha, sigma: (a - 2 * b * alpha / sigma) ** 2, "Keep x_t fixed"),
    (lambda a, b, alpha, sigma: md.no_such_thing, "stops"),
]

# ---- 11.2: a fair loss ----


def wide(x):
    return x[:, None, None, None]


def guess(said, output, x_t, a, s):
    return {"x0": said, "eps": (x_t - s * said) / a, "v": a * x_t - s * said}[output]


def fair_loss(said, output, x0, eps, alpha, sigma):
    a, s = alpha[:, None, None, None], sigma[:, None, None, None]
    x_t = a * x0 + s * eps
    x0_hat = {"x0": said, "eps": (x_t - s * said) / a, "v": a * x_t - s * said}[output]
    error = (x0_hat - x0).square().flatten(1).mean(1)
    return ((alpha / sigma) ** 2).clamp(max=5) @ error / len(x0)


def fair_by_gain(said, output, x0, eps, alpha, sigma):
    a, s = wide(alpha), wide(sigma)
    target = {"x0": x0, "eps": eps, "v": a * eps - s * x0}[output]
    snr = alpha**2 / sigma**2
    gain = {"x0": torch.ones_like(snr), "eps": snr, "v": snr + 1}[output]
    return ((said - target).square().mean((1, 2, 3)) * snr.clamp(max=5) / gain).mean().item()


def fair_by_loop(said, output, x0, eps, alpha, sigma):
    total = 0.0
    for y, x, e, a, s in zip(said, x0, eps, alpha, sigma, strict=False):
        x_hat = guess(y, output, a * x + s * e, a, s)
        total += min((a / s) ** 2, 5) * (x_hat - x).square().mean()
    return total / len(x0)


def losing(make):
    """A loss made from (error of each picture, weight, snr, alpha, sigma)."""

    def loss(said, output, x0, eps, alpha, sigma):
        a, s = wide(alpha), wide(sigma)
        error = (guess(said, output, a * x0 + s * eps, a, s) - x0).square().flatten(1).mean(1)
        snr = (alpha / sigma) ** 2
        return make(error, snr.clamp(max=5), snr)

    return loss


def plain(said, output, x0, eps, alpha, sigma):
    a, s = wide(alpha), wide(sigma)
    return (said - {"x0": x0, "eps": eps, "v": a * eps - s * x0}[output]).square().mean()


def plain_weighted(said, output, x0, eps, alpha, sigma):
    a, s = wide(alpha), wide(sigma)
    off = (said - {"x0": x0, "eps": eps, "v": a * eps - s * x0}[output]).square()
    return (wide(((alpha / sigma) ** 2).clamp(max=5)) * off).mean()


def as_x0(said, output, x0, eps, alpha, sigma):
    return (wide(((alpha / sigma) ** 2).clamp(max=5)) * (said - x0).square()).mean()


def by_columns(said, output, x0, eps, alpha, sigma):
    a, s = wide(alpha), wide(sigma)
    off = (guess(said, output, a * x0 + s * eps, a, s) - x0).square()
    return (((alpha / sigma) ** 2).clamp(max=5) * off).mean()


def narrow(said, output, x0, eps, alpha, sigma):
    off = (guess(said, output, alpha * x0 + sigma * eps, alpha, sigma) - x0).square().flatten(1).mean(1)
    return (((alpha / sigma) ** 2).clamp(max=5) * off).mean()


def swapped(said, output, x0, eps, alpha, sigma):
    a, s = wide(alpha), wide(sigma)
    off = (guess(said, output, s * x0 + a * eps, a, s) - x0).square().flatten(1).mean(1)
    return (((alpha / sigma) ** 2).clamp(max=5) * off).mean()


def in_place(said, output, x0, eps, alpha, sigma):
    said -= x0
    return said.square().mean()


FAIR_RIGHT = [fair_loss, fair_by_gain, fair_by_loop, losing(lambda e, w, s: torch.dot(e, w) / len(w))]
FAIR_WRONG = [
    (lambda *inputs: None, "returns None"),
    (in_place, "changes its input said in place"),
    (losing(lambda e, w, s: w * e), "one number"),
    (plain, "Turn what was said into x0_hat first"),
    (plain_weighted, "Turn what was said into x0_hat first"),
    (as_x0, "turn it into x0_hat first"),
    (losing(lambda e, w, s: (s * e).mean()), "the weight is not capped"),
    (losing(lambda e, w, s: (s.clamp(min=5) * e).mean()), "the larger of SNR and 5"),
    (losing(lambda e, w, s: e.mean()), "count equally"),
    (losing(lambda e, w, s: e.mean() * w.mean()), "Multiply first"),
    (losing(lambda e, w, s: (w * e).sum()), "summed over the pictures"),
    (losing(lambda e, w, s: (w * e).mean() * 36), "summed over the pixels"),
    (losing(lambda e, w, s: (w * e).sum() / w.sum()), "by the sum of the weights"),
    (losing(lambda e, w, s: (s.sqrt().clamp(max=5) * e).mean()), "the square of alpha / sigma"),
    (losing(lambda e, w, s: ((1 / s).clamp(max=5) * e).mean()), "your SNR is upside down"),
    (losing(lambda e, w, s: (w * e.sqrt()).mean()), "the root of the error"),
    (by_columns, "each column of pixels"),
    (narrow, "the columns of pixels"),
    (swapped, "are swapped in x_t"),
    (losing(lambda e, w, s: 0.5 * (w * e).mean()), "six pictures your loss"),
    (lambda said, output, x0, eps, alpha, sigma: min(alpha, 5) * said, "stops"),
]

# ---- 11.3: one first guess ----


def one_first_guess(said, output, x_t, alpha, sigma):
    return said + {"x0": alpha * x_t, "eps": sigma * x_t, "v": 0 * x_t}[output]


def first_by_target(said, output, x_t, alpha, sigma):
    x0_hat = alpha * x_t
    eps_hat = (x_t - alpha * x0_hat) / sigma
    return said + {"x0": x0_hat, "eps": eps_hat, "v": alpha * eps_hat - sigma * x0_hat}[output]


def first_by_if(said, output, x_t, alpha, sigma):
    if output == "v":
        return said
    return said + (alpha if output == "x0" else sigma) * x_t


def adding(x0=None, eps=None, v=None):
    """The right answer, except for what is added to these outputs."""

    def first(said, output, x_t, alpha, sigma):
        other = {"x0": x0, "eps": eps, "v": v}[output]
        if other is None:
            return one_first_guess(said, output, x_t, alpha, sigma)
        return said + other(x_t, alpha, sigma)

    return first


def first_in_place(said, output, x_t, alpha, sigma):
    said += alpha * x_t
    return said


FIRST_RIGHT = [one_first_guess, first_by_target, first_by_if]
FIRST_WRONG = [
    (lambda *inputs: None, "returns None"),
    (first_in_place, "changes its input said in place"),
    (lambda said, output, x_t, alpha, sigma: said, "you add nothing to 'x0'"),
    (lambda said, output, x_t, alpha, sigma: alpha * x_t, "you dropped what the network said"),
    (adding(x0=lambda x, a, s: -a * x), "the sign is wrong for 'x0'"),
    (adding(x0=lambda x, a, s: x), "What is x0 if"),
    (adding(eps=lambda x, a, s: a * x), "Add the noise that goes with it"),
    (adding(eps=lambda x, a, s: x), "x_t is not the noise"),
    (adding(eps=lambda x, a, s: x / s), "belongs to the guess x0_hat = 0"),
    (adding(eps=lambda x, a, s: (1 - a) / s * x), "alpha^2 x_t there"),
    (adding(eps=lambda x, a, s: s**2 * x), "forgot to divide by sigma"),
    (adding(eps=lambda x, a, s: -s * x), "the sign is wrong for 'eps'"),
    (adding(v=lambda x, a, s: a * x), "Put both guesses into v"),
    (adding(v=lambda x, a, s: -s * x), "the part of the noise is missing"),
    (adding(v=lambda x, a, s: -s * a * x), "the part of the noise is missing"),
    (adding(v=lambda x, a, s: s * a * x), "the part of the picture is missing"),
    (adding(v=lambda x, a, s: 2 * s * a * x), "v is a difference"),
    (lambda said, output, x_t, alpha, sigma: one_first_guess(said, output, x_t, alpha, sigma).float(), "keep the type"),
    (lambda said, output, x_t, alpha, sigma: one_first_guess(said, output, x_t, alpha, sigma)[0], "have the shape"),
    (lambda said, output, x_t, alpha, sigma: [said], "must be a tensor"),
]

BANK = {
    "11.1": (WEIGHT_RIGHT, WEIGHT_WRONG),
    "11.2": (FAIR_RIGHT, FAIR_WRONG),
    "11.3": (FIRST_RIGHT, FIRST_WRONG),
}
