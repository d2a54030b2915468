"""Answers that students give to the exercises of lesson 12."""

import torch

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


def width_in_place(s, alpha, sigma, output, tolerance):
    s *= alpha**2
    return 0


WIDTH_RIGHT = [width_needed, width_by_while, width_by_cumsum]
WIDTH_WRONG = [
    (lambda *inputs: None, "returns None"),
    (width_in_place, "changes its input s in place"),
    (searching(order=lambda x: x), "Sort the axes first"),
    (searching(order=lambda x: x.sort().values), "varies most"),
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

# ---- 12.3: a skip for any output ----


def skip_for(a, b, alpha, sigma):
    gate = b / sigma
    return gate, a - gate * alpha


def skip_by_solving(a, b, alpha, sigma):
    matrix = torch.tensor([[alpha, 1.0], [sigma, 0.0]], dtype=torch.float64)
    return torch.linalg.solve(matrix, torch.tensor([a, b], dtype=torch.float64))


def skip_as_list(a, b, alpha, sigma):
    return [b / sigma, (a * sigma - b * alpha) / sigma]


SKIP_RIGHT = [skip_for, skip_by_solving, skip_as_list]
SKIP_WRONG = [
    (lambda *inputs: None, "returns None"),
    (lambda a, b, alpha, sigma: b / sigma, "return two numbers"),
    (lambda a, b, alpha, sigma: (a - b * alpha / sigma, b / sigma), "you return the rest first"),
    (lambda a, b, alpha, sigma: (b, a - b * alpha), "so divide by it"),
    (lambda a, b, alpha, sigma: (b * sigma, a), "divide, do not multiply"),
    (lambda a, b, alpha, sigma: (1 / sigma, a - alpha / sigma), "for b = 1 only"),
    (lambda a, b, alpha, sigma: (-b / sigma, a + b * alpha / sigma), "the gate has the wrong sign"),
    (lambda a, b, alpha, sigma: (a / alpha, b - a * sigma / alpha), "takes the picture off"),
    (lambda a, b, alpha, sigma: (b / alpha, a - b), "is sigma, not alpha"),
    (lambda a, b, alpha, sigma: (b / sigma, a), "brings in some of the picture"),
    (lambda a, b, alpha, sigma: (b / sigma, a + b * alpha / sigma), "do not add it"),
    (lambda a, b, alpha, sigma: (b / sigma, b * alpha / sigma - a), "the rest has the wrong sign"),
    (lambda a, b, alpha, sigma: (b / sigma, -b * alpha / sigma), "for a = 0 only"),
    (lambda a, b, alpha, sigma: (b / sigma, a - b / sigma), "has the factor alpha"),
    (lambda a, b, alpha, sigma: (b / sigma, a - b * alpha), "the gate is b / sigma"),
    (lambda a, b, alpha, sigma: (b / sigma, 7.0), "the gate is right"),
    (lambda a, b, alpha, sigma: (9.0, a), "your gate is 9"),
    (lambda a, b, alpha, sigma: (b / sigma, "rest"), "must be one number"),
    (lambda a, b, alpha, sigma: a.tolist(), "stops"),
]

BANK = {
    "12.1": (LEFT_RIGHT, LEFT_WRONG),
    "12.2": (WIDTH_RIGHT, WIDTH_WRONG),
    "12.3": (SKIP_RIGHT, SKIP_WRONG),
}
