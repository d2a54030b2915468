"""Answers that students give to the exercises of lesson 19."""

import math

import torch

# ---- 19.1: the judge ----


def share(image, text):
    likeness = image @ text.T
    own = likeness.diagonal()[:, None]
    return ((likeness >= own).sum(1) == 1).float().mean().item()


def share_by_loop(image, text):
    right = 0
    for i in range(len(image)):
        scores = [float(image[i] @ text[j]) for j in range(len(text))]
        right += all(scores[i] > score for j, score in enumerate(scores) if j != i)
    return right / len(image)


def share_by_masking(image, text):
    likeness = image @ text.T
    own = likeness.diagonal().clone()
    likeness[torch.arange(len(image)), torch.arange(len(image))] = -2
    return (own > likeness.max(1).values).double().mean()


def best(image, text):
    return ((image @ text.T).argmax(1) == torch.arange(len(image))).float()


def in_place(image, text):
    image *= 2
    return share(image, text)


HITS_RIGHT = [share, share_by_loop, share_by_masking]
HITS_WRONG = [
    (lambda image, text: None, "returns None"),
    (in_place, "changes its input image in place"),
    (lambda image, text: best(image, text).mean(), "A tie with another caption is not a hit"),
    (lambda image, text: share(image, text) * len(image), "divide by the 40 pictures"),
    (lambda image, text: 100 * share(image, text), "in percent"),
    (lambda image, text: 1 - share(image, text), "share of misses"),
    (lambda image, text: (image * text[: len(image)]).sum(1).mean(), "no other caption is asked"),
    (lambda image, text: share(image, text[: len(image)]), "compare with the first 30 captions only"),
    (lambda image, text: share(text[: len(image)], image), "best picture of each caption"),
    (lambda image, text: best(image, text), "must be one number"),
    (lambda image, text: str(share(image, text)), "must be one number"),
    (lambda image, text: 0.5, "but yours is 0.500"),
    (lambda image, text: (image @ text.T)[999], "stops"),
]

# ---- 19.2: attention ----


def weights_of(q, k, real, scale=None, fill=-torch.inf, dim=1):
    scores = q @ k.T / (q.shape[1] ** 0.5 if scale is None else scale)
    return scores.masked_fill(~real, fill).softmax(dim)


def attend(q, k, v, real):
    weights = weights_of(q, k, real)
    return weights @ v, weights


def attend_by_leaving_out(q, k, v, real):
    part = (q @ k[real].T / math.sqrt(q.shape[1])).exp()
    weights = q.new_zeros(len(q), len(k))
    weights[:, real] = part / part.sum(1, keepdim=True)
    return weights @ v, weights


def attend_by_dividing(q, k, v, real):
    part = (q @ k.T / q.shape[1] ** 0.5).exp() * real
    weights = part / part.sum(1, keepdim=True)
    return torch.einsum("nm,md->nd", weights, v), weights


def with_weights(weigh):
    """Attention with the weights weigh(q, k, real)."""

    def answer(q, k, v, real):
        weights = weigh(q, k, real)
        return weights @ v, weights

    return answer


def attend_in_place(q, k, v, real):
    q /= q.shape[1] ** 0.5
    weights = (q @ k.T).masked_fill(~real, -torch.inf).softmax(1)
    return weights @ v, weights


ATTEND_RIGHT = [attend, attend_by_leaving_out, attend_by_dividing]
ATTEND_WRONG = [
    (lambda q, k, v, real: None, "returns None"),
    (attend_in_place, "changes its input q in place"),
    (lambda q, k, v, real: attend(q, k, v, real)[0], "return two things"),
    (with_weights(lambda q, k, real: weights_of(q, k, real | True)), "padding gets a part"),
    (with_weights(lambda q, k, real: weights_of(q, k, real | True) * real), "no longer sum to 1"),
    (with_weights(lambda q, k, real: weights_of(q, k, real, fill=0.0)), "exp(0) is 1"),
    (with_weights(lambda q, k, real: weights_of(q, k, real, scale=1.0)), "square root of the length of a query"),
    (with_weights(lambda q, k, real: weights_of(q, k, real, scale=q.shape[1])), "not by the length"),
    (with_weights(lambda q, k, real: weights_of(q, k, real, scale=len(k) ** 0.5)), "number of words"),
    (with_weights(lambda q, k, real: weights_of(q, k, real | True, dim=0)), "must run over the words"),
    (with_weights(lambda q, k, real: q @ k.T / q.shape[1] ** 0.5), "those are the scores"),
    (lambda q, k, v, real: (attend(q, k, v, real)[0] / 2, attend(q, k, v, real)[1]), "your weights are right"),
    (lambda q, k, v, real: attend(q, k, v, real)[::-1], "have the shape"),
    (lambda q, k, v, real: tuple(part.float() for part in attend(q, k, v, real)), "keep the type"),
    (with_weights(lambda q, k, real: weights_of(-q, k, real)), "the first place should give"),
]

# ---- 19.3: the forgotten scale ----


def at(log_snr):
    """The time at which the schedule has log_snr(t, s, schedule)."""
    return lambda t, s, schedule: schedule.time(log_snr(t, s, schedule))


def by_bisection(t, s, schedule):
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        louder = s**2 * schedule.alpha(middle) ** 2 * schedule.sigma(t) ** 2
        low, high = (middle, high) if louder > (schedule.alpha(t) * schedule.sigma(middle)) ** 2 else (low, middle)
    return low


def from_factors(t, s, schedule):
    return schedule.time(2 * math.log(schedule.alpha(t) / schedule.sigma(t) / s))


NOISE_RIGHT = [at(lambda t, s, schedule: schedule.log_snr(t) - 2 * math.log(s)), by_bisection, from_factors]
NOISE_WRONG = [
    (lambda t, s, schedule: None, "returns None"),
    (at(lambda t, s, schedule: schedule.log_snr(t) + 2 * math.log(s)), "the wrong way round"),
    (at(lambda t, s, schedule: schedule.log_snr(t) - math.log(s)), "SNR compares variances"),
    (at(lambda t, s, schedule: schedule.log_snr(t) - 4 * math.log(s)), "squared s twice"),
    (at(lambda t, s, schedule: schedule.log_snr(t) - 2 * math.log10(s)), "use math.log"),
    (at(lambda t, s, schedule: schedule.log_snr(t) - s**2), "logarithms are subtracted"),
    (lambda t, s, schedule: schedule.log_snr(t) - 2 * math.log(s), "turns it into a time"),
    (lambda t, s, schedule: t, "that is t itself"),
    (lambda t, s, schedule: t * s, "do not scale with s"),
    (lambda t, s, schedule: t / s, "do not scale with s"),
    (lambda t, s, schedule: t + 0.01, "the schedule cosine"),
    (lambda t, s, schedule: [t], "must be one number"),
]

BANK = {"19.1": (HITS_RIGHT, HITS_WRONG), "19.2": (ATTEND_RIGHT, ATTEND_WRONG), "19.3": (NOISE_RIGHT, NOISE_WRONG)}
