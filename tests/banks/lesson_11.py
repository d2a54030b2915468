"""Answers that students give to the exercises of lesson 11."""

import torch

import minidiffusion as md

# ---- 09.1: the weight hidden in a loss ----


def weight_if(output, snr):
    if output == "x0":
        return 1.0
    return snr if output == "eps" else snr + 1


def weight_by_gain(output, snr):
    t = md.schedule.cosine().time(torch.tensor(snr, dtype=torch.float64).log().item())
    return md.heads.HEADS[output].gain(t, torch.zeros(1), md.schedule.cosine()) ** 2


WEIGHT_RIGHT = [
    weight_if,
    lambda output, snr: {"x0": 1, "eps": snr, "v": 1 + snr}[output],
    lambda output, snr: (output != "eps") + snr * (output != "x0"),
    weight_by_gain,
]


def other(**wrong):
    """The right weights, except for these."""
    return lambda output, snr: wrong[output](snr) if output in wrong else weight_if(output, snr)


WEIGHT_WRONG = [
    (None, "the answer is None"),
    ({"x0": 1}, "hand in the function itself"),
    (lambda output, snr: None, "returns None"),
    (lambda output, snr: {"eps": snr}[output], "stops"),
    (lambda output, snr: snr, "'x0' has a different weight"),
    (lambda output, snr: output, "must be one number"),
    (other(eps=lambda snr: 1 / snr), "upside down"),
    (other(eps=lambda snr: snr**0.5), "a square is missing"),
    (other(eps=lambda snr: torch.tensor(snr, dtype=torch.float64).log().item()), "you took a logarithm"),
    (other(v=lambda snr: snr), "'v' has a different weight"),
    (other(v=lambda snr: 1 / (snr + 1)), "upside down"),
    (other(v=lambda snr: (snr + 1) ** 0.5), "a square is missing"),
    (other(v=lambda snr: snr**0.5 + 1), "for 'v' at an SNR of"),
    (other(v=lambda snr: snr / (snr + 1)), "for 'v' at an SNR of"),
    (other(x0=lambda snr: 0.0), "for 'x0' at an SNR of"),
    (other(eps=lambda snr: snr**2), "for 'eps' at an SNR of"),
]

# ---- 09.2: a weighted loss ----


def loss_flat(x0_hat, x0, snr):
    error = (x0_hat - x0).square().flatten(1).mean(1)
    return (snr.clamp(max=5) * error).mean()


def loss_broadcast(x0_hat, x0, snr):
    weight = torch.minimum(snr, torch.full_like(snr, 5.0))[:, None, None, None]
    return (weight * (x0_hat - x0) ** 2).mean()


def loss_loop(x0_hat, x0, snr):
    total = 0.0
    for guess, clean, s in zip(x0_hat, x0, snr, strict=True):
        total += min(s.item(), 5.0) * ((guess - clean) ** 2).mean().item()
    return total / len(x0)


def mean_of(make):
    """A loss made from (error of each image, weight, snr)."""

    def loss(x0_hat, x0, snr):
        return make((x0_hat - x0).square().flatten(1).mean(1), snr.clamp(max=5), snr)

    return loss


def loss_in_place(x0_hat, x0, snr):
    snr.clamp_(max=5)
    return loss_flat(x0_hat, x0, snr)


LOSS_RIGHT = [loss_flat, loss_broadcast, loss_loop, mean_of(lambda e, w, s: torch.dot(e, w) / len(w))]
LOSS_WRONG = [
    (lambda x0_hat, x0, snr: None, "returns None"),
    (loss_in_place, "changes its input snr in place"),
    (mean_of(lambda e, w, s: w * e), "one number"),
    (mean_of(lambda e, w, s: (s * e).mean()), "the weight is not capped"),
    (mean_of(lambda e, w, s: (s.clamp(min=5) * e).mean()), "the larger of snr and 5"),
    (mean_of(lambda e, w, s: e.mean()), "count equally"),
    (mean_of(lambda e, w, s: e.mean() * w.mean()), "Multiply first"),
    (mean_of(lambda e, w, s: (w * e).sum()), "summed over the images"),
    (mean_of(lambda e, w, s: (w * e).sum() / w.sum()), "by the sum of the weights"),
    (mean_of(lambda e, w, s: (w * e.sqrt()).mean()), "the root of the error"),
    (mean_of(lambda e, w, s: (w / s * e).mean()), "right for an error in eps"),
    (mean_of(lambda e, w, s: (w * w * e).mean()), "twice"),
    (lambda x0_hat, x0, snr: (snr.clamp(max=5) * (x0_hat - x0) ** 2).mean(), "each column"),
    (lambda x0_hat, x0, snr: (snr.clamp(max=5)[:, None] * (x0_hat - x0) ** 2).mean(), "each row"),
    (lambda x0_hat, x0, snr: loss_flat(x0_hat, x0, snr) * x0[0].numel(), "summed over the pixels"),
    (lambda x0_hat, x0, snr: (snr.clamp(max=5) * (x0_hat - x0).abs().flatten(1).mean(1)).mean(), "squared"),
    (lambda x0_hat, x0, snr: min(snr, 5) * (x0_hat - x0).square().mean(), "stops"),
    (lambda x0_hat, x0, snr: 0.5 * loss_flat(x0_hat, x0, snr), "for six images your loss of"),
]

# ---- 09.3: one normalisation ----


def normalise_in_place(x0):
    x0 -= x0.mean()
    return x0 / x0.std()


NORMALISE_RIGHT = [
    lambda x0: (x0 - x0.mean()) / x0.std(),
    lambda x0: (x0 - x0.mean()) / x0.std(correction=0),
    lambda x0: torch.nn.functional.layer_norm(x0, x0.shape, eps=0.0),
    lambda x0: (x0 - x0.mean()) / (x0 - x0.mean()).square().mean().sqrt(),
]
NORMALISE_WRONG = [
    (lambda x0: None, "returns None"),
    (normalise_in_place, "changes its input x0 in place"),
    (lambda x0: x0, "the input, unchanged"),
    (lambda x0: x0 - x0.mean(), "the scale is unchanged"),
    (lambda x0: x0 / x0.std(), "the mean is still there"),
    (lambda x0: (x0 - x0.mean()) / x0.var(), "divided by the variance"),
    (lambda x0: (x0 - x0.mean()) * x0.std(), "you multiplied"),
    (lambda x0: (x0 - x0.mean((1, 2, 3), keepdim=True)) / x0.std((1, 2, 3), keepdim=True), "each image got its own"),
    (lambda x0: (x0 - x0.mean(0)) / x0.std(0), "each pixel got its own"),
    (lambda x0: x0 / x0.abs().max(), "the largest value"),
    (lambda x0: (x0 - x0.min()) / (x0.max() - x0.min()), "into [0, 1]"),
    (lambda x0: 2 * (x0 - x0.min()) / (x0.max() - x0.min()) - 1, "into [-1, 1]"),
    (lambda x0: x0 / x0.std() - x0.mean(), "before you divide"),
    (lambda x0: ((x0 - x0.mean()) / x0.std()).float(), "keep the type"),
    (lambda x0: ((x0 - x0.mean()) / x0.std()).flatten(1), "have the shape"),
    (lambda x0: (x0 - x0.median()) / x0.std(), "over all images, the mean is"),
]

BANK = {
    "11.1": (WEIGHT_RIGHT, WEIGHT_WRONG),
    "11.2": (LOSS_RIGHT, LOSS_WRONG),
    "11.3": (NORMALISE_RIGHT, NORMALISE_WRONG),
}
