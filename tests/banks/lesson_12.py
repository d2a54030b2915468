"""Answers that students give to the exercises of lesson 12."""

import torch

import minidiffusion as md

# ---- 12.1: what becomes of a lost axis ----


def left_over(output, times, schedule):
    x = 1.0
    for t, s in zip(times, times[1:], strict=False):
        alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        x0_hat = {"x0": 0.0, "eps": x / alpha, "v": alpha * x}[output]
        eps_hat = {"x0": x / sigma, "eps": 0.0, "v": sigma * x}[output]
        x = schedule.alpha(s) * x0_hat + schedule.sigma(s) * eps_hat
    return x


def left_in_one_line(output, times, schedule):
    first, last = times[0], times[-1]
    if output == "x0":
        return schedule.sigma(last) / schedule.sigma(first)
    if output == "eps":
        return schedule.alpha(last) / schedule.alpha(first)
    x = 1.0
    for t, s in zip(times[:-1], times[1:], strict=True):
        x *= schedule.alpha(s) * schedule.alpha(t) + schedule.sigma(s) * schedule.sigma(t)
    return x


def left_as_tensor(output, times, schedule):
    x = torch.ones((), dtype=torch.float64)
    for i in range(len(times) - 1):
        a, sd = schedule.alpha(times[i]), schedule.sigma(times[i])
        guess = {"x0": 0 * x, "eps": x / a, "v": a * x}[output]
        x = schedule.alpha(times[i + 1]) * guess + schedule.sigma(times[i + 1]) * (x - a * guess) / sd
    return x


def stepping(step, start=0, stop=None, keep=True):
    """A left_over with a step of its own, step(output, x, alpha, sigma, alpha_s, sigma_s)."""

    def left(output, times, schedule):
        x = 1.0
        for t, s in list(zip(times, times[1:], strict=False))[start:stop]:
            now, then = schedule.at(t), schedule.at(s)
            x = step(output, x if keep else 1.0, now.alpha, now.sigma, then.alpha, then.sigma)
        return x

    return left


def right_step(output, x, a, sd, a_s, sd_s):
    return x * {"x0": sd_s / sd, "eps": a_s / a, "v": a_s * a + sd_s * sd}[output]


def early(output, times, schedule):
    for t, s in zip(times, times[1:], strict=False):
        return right_step(output, 1.0, schedule.alpha(t), schedule.sigma(t), schedule.alpha(s), schedule.sigma(s))


def swapped(output, x, a, sd, a_s, sd_s):
    return right_step(output, x, sd, a, sd_s, a_s)


def as_if(other):
    return lambda output, x, a, sd, a_s, sd_s: right_step(other.get(output, output), x, a, sd, a_s, sd_s)


def guess_only(output, times, schedule):
    x = left_over(output, times[:-1], schedule)
    a = schedule.alpha(times[-2])
    return {"x0": 0.0, "eps": x / a, "v": a * x}[output]


LEFT_RIGHT = [left_over, left_in_one_line, left_as_tensor]
LEFT_WRONG = [
    (lambda *inputs: None, "returns None"),
    (0.0, "hand in the function itself"),
    (lambda output, times, schedule: 1.0, "nothing has changed"),
    (stepping(right_step, stop=-1), "one step is missing"),
    (stepping(right_step, keep=False), "only the last step counts"),
    (early, "only the first step counts"),
    (lambda output, times, schedule: left_over(output, [times[0], times[-1]], schedule), "not one long step"),
    (lambda output, times, schedule: left_over(output, times[::-1], schedule), "backwards"),
    (lambda output, times, schedule: left_over(output, times, md.schedule.cosine()), "the schedule that comes in"),
    (stepping(swapped), "that is the answer for 'x0'"),
    (stepping(as_if({"eps": "x0"})), "is 0: no noise"),
    (stepping(as_if({"x0": "eps"})), "is 0: no picture"),
    (stepping(as_if({"v": "x0"})), "is 0: alpha eps_hat"),
    (guess_only, "Return the state x after the last step"),
    (lambda output, times, schedule: 2 * left_over(output, times, schedule), "so all of x_t is picture"),
    (lambda output, times, schedule: 0.0, "all of x_t is picture"),
    (lambda output, times, schedule: [left_over(output, times, schedule)], "must be one number"),
    (lambda output, times, schedule: schedule.snr(times), "stops"),
]

# ---- 12.2: how wide must it be ----


def variances(s, alpha, sigma, output):
    total = alpha**2 * s + sigma**2
    return alpha**2 * s**2 / total if output == "x0" else sigma**4 / alpha**2 / total


def rest(s, alpha, sigma):
    return (s * sigma**2 / (alpha**2 * s + sigma**2)).sum()


def width_needed(s, alpha, sigma, output, tolerance):
    total = alpha**2 * s + sigma**2
    allowed = tolerance * (s * sigma**2 / total).sum()
    said = alpha**2 * s**2 / total if output == "x0" else sigma**4 / alpha**2 / total
    said = said.sort(descending=True).values
    return next(r for r in range(len(s) + 1) if said[r:].sum() <= allowed)


def width_by_while(s, alpha, sigma, output, tolerance):
    said, allowed = variances(s, alpha, sigma, output).sort().values, tolerance * rest(s, alpha, sigma)
    dropped, lost = 0, 0.0
    while dropped < len(s) and lost + said[dropped] <= allowed:
        lost += said[dropped]
        dropped += 1
    return len(s) - dropped


def width_by_cumsum(s, alpha, sigma, output, tolerance):
    said = variances(s, alpha, sigma, output).sort().values
    return len(s) - (said.cumsum(0) <= tolerance * rest(s, alpha, sigma)).sum()


def searching(said=variances, order=lambda x: x.sort(descending=True).values, allowed=rest, shift=0):
    def width(s, alpha, sigma, output, tolerance):
        found, bound = order(said(s, alpha, sigma, output)), tolerance * allowed(s, alpha, sigma)
        first = next((r for r in range(len(s) + 1) if found[r:].sum() <= bound), len(s))
        return first + shift

    return width


def in_noise(s, alpha, sigma, output):
    total = alpha**2 * s + sigma**2
    return alpha**2 * s**2 / total if output == "x0" else sigma**2 / total


def times_snr(s, alpha, sigma, output):
    return in_noise(s, alpha, sigma, output) * ((alpha / sigma) ** 2 if output == "eps" else 1)


def width_by_s(s, alpha, sigma, output, tolerance):
    return searching(order=lambda said: said[s.argsort(descending=True)])(s, alpha, sigma, output, tolerance)


def on_the_circle(s, alpha, sigma, output):
    return (alpha**2 * s**2 if output == "x0" else sigma**4 / alpha**2) / (alpha**2 * (s - 1) + 1)


def width_in_place(s, alpha, sigma, output, tolerance):
    s *= alpha**2
    return 0


WIDTH_RIGHT = [width_needed, width_by_while, width_by_cumsum]
WIDTH_WRONG = [
    (lambda *inputs: None, "returns None"),
    (width_in_place, "changes its input s in place"),
    (searching(order=lambda x: x), "Sort the axes first"),
    (searching(order=lambda x: x.sort().values), "varies most"),
    (width_by_s, "by the variance of the answer and not by s"),
    (searching(said=on_the_circle), "alpha^2 + sigma^2 need not be 1"),
    (searching(shift=1), "one axis too many"),
    (searching(shift=-1), "one axis too few"),
    (searching(said=in_noise), "divided by the SNR"),
    (searching(said=times_snr), "do not multiply by it"),
    (searching(said=lambda s, a, sd, output: variances(s, a, sd, "x0")), "the width for x0"),
    (searching(allowed=lambda s, a, sd: s.sum()), "not the whole variance"),
    (lambda s, alpha, sigma, output, tolerance: 0, "adds"),
    (lambda s, alpha, sigma, output, tolerance: len(s), "is enough, but so is"),
    (lambda s, alpha, sigma, output, tolerance: 2.5, "a whole number"),
    (lambda s, alpha, sigma, output, tolerance: s, "must be one number"),
    (lambda s, alpha, sigma, output, tolerance: s[alpha], "stops"),
]

# ---- 12.3: the skip that leaves least to say ----


def least_skip(s, a, b, alpha, sigma):
    target = (a**2 * s + b**2).sum()
    shared = (a * alpha * s + b * sigma).sum()
    total = (alpha**2 * s + sigma**2).sum()
    return shared / total, target - shared**2 / total


def least_skip_from_means(s, a, b, alpha, sigma):
    v, n = s.mean().item(), len(s)
    factor = (a * alpha * v + b * sigma) / (alpha**2 * v + sigma**2)
    return [factor, n * ((a - factor * alpha) ** 2 * v + (b - factor * sigma) ** 2)]


def least_skip_closed(s, a, b, alpha, sigma):
    total = alpha**2 * s.sum() + sigma**2 * len(s)
    factor = (a * alpha * s.sum() + b * sigma * len(s)) / total
    return torch.stack([factor, (a * sigma - b * alpha) ** 2 * len(s) * s.sum() / total])


def factor_of(change):
    """change(s, a, b, alpha, sigma) instead of the right factor, with what is really left."""

    def answer(s, a, b, alpha, sigma):
        c = change(s, a, b, alpha, sigma)
        return c, ((a - c * alpha) ** 2 * s + (b - c * sigma) ** 2).sum()

    return answer


def rest_of(change):
    """change(target, shared, total, rest, n) instead of what is left, with the right factor."""

    def answer(s, a, b, alpha, sigma):
        factor, rest = least_skip(s, a, b, alpha, sigma)
        target, shared, total = a**2 * s + b**2, a * alpha * s + b * sigma, alpha**2 * s + sigma**2
        return factor, change(target, shared, total, rest, len(s))

    return answer


def shared_of(s, a, b, alpha, sigma):
    return (a * alpha * s + b * sigma).sum()


def total_of(s, a, b, alpha, sigma):
    return (alpha**2 * s + sigma**2).sum()


SKIP_RIGHT = [
    least_skip,
    least_skip_from_means,
    least_skip_closed,
    lambda s, a, b, alpha, sigma: least_skip(s.float(), a, b, alpha, sigma),
]
SKIP_WRONG = [
    (lambda *inputs: None, "returns None"),
    (lambda s, a, b, alpha, sigma: b / sigma, "return two numbers"),
    (lambda *inputs: least_skip(*inputs)[::-1], "you return what is left first"),
    (factor_of(lambda s, a, b, alpha, sigma: b / sigma), "takes all the noise off"),
    (factor_of(lambda *inputs: -shared_of(*inputs) / total_of(*inputs)), "the factor has the wrong sign"),
    (
        factor_of(lambda s, a, b, alpha, sigma: ((a * alpha * s + b * sigma) / (alpha**2 * s + sigma**2)).mean()),
        "first sum, then divide",
    ),
    (
        factor_of(lambda s, a, b, al, sigma: (a * al * s.sum() + b * sigma) / (al**2 * s.sum() + sigma**2)),
        "noise is on every axis",
    ),
    (factor_of(lambda *inputs: inputs[1] * inputs[3] * inputs[0].sum() / total_of(*inputs)), "add b sigma"),
    (factor_of(lambda *inputs: len(inputs[0]) * inputs[2] * inputs[4] / total_of(*inputs)), "add a alpha s"),
    (factor_of(shared_of), "divide by the variance of x_t"),
    (factor_of(lambda *inputs: shared_of(*inputs) / (inputs[3] * inputs[0] + inputs[4]).sum()), "square both"),
    (factor_of(lambda *inputs: shared_of(*inputs) / (len(inputs[0]) * inputs[4] ** 2)), "the picture in x_t varies"),
    (factor_of(lambda *inputs: shared_of(*inputs) / (inputs[3] ** 2 * inputs[0]).sum()), "the noise in x_t varies"),
    (factor_of(lambda s, *others: shared_of(s**2, *others) / total_of(s**2, *others)), "do not square it"),
    (factor_of(lambda *inputs: total_of(*inputs) / shared_of(*inputs)), "upside down"),
    (factor_of(lambda *inputs: 2 * shared_of(*inputs) / total_of(*inputs)), "a factor 2 is too much"),
    (rest_of(lambda target, shared, total, rest, n: target.sum()), "all there is to say"),
    (rest_of(lambda target, shared, total, rest, n: shared.sum() ** 2 / total.sum()), "what the skip says"),
    (rest_of(lambda target, shared, total, rest, n: 2 * target.sum() - rest), "leaves less to say"),
    (rest_of(lambda target, shared, total, rest, n: rest / n), "the mean over the axes"),
    (rest_of(lambda target, shared, total, rest, n: rest**0.5), "Return its square"),
    (rest_of(lambda target, shared, total, rest, n: (target - shared**2 / total).sum()), "a factor of its own"),
    (rest_of(lambda target, shared, total, rest, n: 7.0), "the factor is right"),
    (lambda s, a, b, alpha, sigma: (9.0, a), "your factor is 9"),
    (lambda s, a, b, alpha, sigma: least_skip(s, a, b, alpha, (1 - alpha**2) ** 0.5), "need not be 1"),
    (rest_of(lambda target, shared, total, rest, n: "rest"), "must be one number"),
    (lambda s, a, b, alpha, sigma: a.tolist(), "stops"),
]

BANK = {
    "12.1": (LEFT_RIGHT, LEFT_WRONG),
    "12.2": (WIDTH_RIGHT, WIDTH_WRONG),
    "12.3": (SKIP_RIGHT, SKIP_WRONG),
}
