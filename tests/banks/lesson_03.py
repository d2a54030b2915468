"""Answers that students give to the exercises of lesson 03."""

import torch

import minidiffusion as md

# ---- 03.1: one exact step ----


def one_step_in_place(x_1, data):
    x_1.copy_(data.mean(0).expand_as(x_1))
    return x_1


def one_step_nearest(x_1, data):
    return data[torch.cdist(x_1.flatten(1), data.flatten(1)).argmin(1)]


ONE_RIGHT = [
    lambda x_1, data: data.mean(dim=0).expand_as(x_1),
    lambda x_1, data: torch.zeros_like(x_1) + data.mean(0),
    lambda x_1, data: torch.stack([sum(data) / len(data)] * len(x_1)),
    lambda x_1, data: md.sample(md.oracle.dataset(data, md.schedule.flow()), x_1, steps=1),
]
ONE_WRONG = [
    (lambda x_1, data: None, "returns None"),
    (one_step_in_place, "changes its input x_1 in place"),
    (one_step_nearest, "nearest to the noise"),
    (torch.zeros(5, 3), "hand in the function itself"),
    (lambda x_1, data: data.mean(0), "have the shape"),
    (lambda x_1, data: data, "have the shape"),
    (lambda x_1, data: data.mean(), "have the shape"),
    (lambda x_1, data: data.mean().item(), "must be a tensor"),
    (lambda x_1, data: x_1, "that is the noise"),
    (lambda x_1, data: x_1.mean(0).expand_as(x_1), "the mean of the noise"),
    (lambda x_1, data: data.mean().expand_as(x_1), "Each pixel has its own mean"),
    (lambda x_1, data: data[0].expand_as(x_1), "the first item"),
    (lambda x_1, data: data.median(0).values.expand_as(x_1), "the median"),
    (lambda x_1, data: data.sum(0).expand_as(x_1), "Divide it by their number"),
    (lambda x_1, data: torch.zeros_like(x_1), "is not 0"),
    (lambda x_1, data: data.mean(0) + x_1, "the noise is still in your sample"),
    (lambda x_1, data: data.mean(0) + 0.1 * x_1, "two noises give two different samples"),
    (lambda x_1, data: 0.5 * data.mean(0).expand_as(x_1), "away from the optimal prediction"),
    (lambda x_1, data: data.mean(0).expand_as(x_1).float(), "keep the type"),
]

# ---- 03.2: the variance after a few steps ----


def factor_of(times, variance, schedule, gain=lambda a, s, v: a * v / (a * a * v + s * s)):
    factor = 1.0
    for t, s in zip(times, times[1:], strict=False):
        alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        x0 = gain(alpha, sigma, variance)
        factor *= schedule.alpha(s) * x0 + schedule.sigma(s) * (1 - alpha * x0) / sigma
    return factor


def with_gain(gain):
    return lambda times, variance, schedule: factor_of(times, variance, schedule, gain) ** 2


def variance_shrink(times, variance, schedule):
    total = 1.0
    for t, s in zip(times, times[1:], strict=False):
        at, st, a, sigma = schedule.alpha(t), schedule.sigma(t), schedule.alpha(s), schedule.sigma(s)
        total *= ((at * a * variance + st * sigma) / (at**2 * variance + st**2)) ** 2
    return total


def variance_by_one_sample(times, variance, schedule):
    gaussian = md.oracle.gaussian(torch.zeros(1), torch.tensor([[variance]]), schedule)
    return md.sample(gaussian, torch.ones(1, 1, dtype=torch.float64), times=times) ** 2


def variance_recursive(times, variance, schedule):
    if len(times) == 1:
        return torch.tensor(1.0)
    return factor_of(times[:2], variance, schedule) ** 2 * variance_recursive(times[1:], variance, schedule)


def variance_of_a_few_samples(times, variance, schedule):
    gaussian = md.oracle.gaussian(torch.zeros(1), torch.tensor([[variance]]), schedule)
    return md.sample(gaussian, torch.randn(50, 1), times=times).var()


VARIANCE_RIGHT = [
    lambda times, variance, schedule: factor_of(times, variance, schedule) ** 2,
    variance_shrink,
    variance_by_one_sample,
    variance_recursive,
]
VARIANCE_WRONG = [
    (lambda times, variance, schedule: None, "returns None"),
    (factor_of, "the factor of the standard deviation"),
    (lambda times, variance, schedule: abs(factor_of(times, variance, schedule)) ** 0.5, "the root of the factor"),
    (lambda times, variance, schedule: variance * factor_of(times, variance, schedule) ** 2, "whose variance is 1"),
    (lambda times, variance, schedule: factor_of(times, variance, schedule) ** 2 / variance, "Do not divide"),
    (lambda times, variance, schedule: variance, "the variance of the data"),
    (lambda times, variance, schedule: factor_of(times[:-1], variance, schedule) ** 2, "the last step is missing"),
    (lambda times, variance, schedule: factor_of(times[1:], variance, schedule) ** 2, "the first step is missing"),
    (lambda times, variance, schedule: factor_of(times, variance**2, schedule) ** 2, "do not square `variance`"),
    (with_gain(lambda a, s, v: a * v / (a * a * v + s)), "square sigma in the prediction"),
    (with_gain(lambda a, s, v: v / (a * a * v + s * s)), "alpha in its numerator"),
    (lambda times, variance, schedule: factor_of(times[::-1], variance, schedule) ** 2, "stops"),
    (variance_of_a_few_samples, "but yours is"),
    (lambda times, variance, schedule: factor_of([1.0, times[-1]], variance, schedule) ** 2, "but yours is"),
    (lambda times, variance, schedule: [factor_of(times, variance, schedule) ** 2] * 2, "must be one number"),
]

# ---- 03.3: sampling by jumps ----


def jumps(jump, x_1, times, noises, schedule):
    x = x_1
    for t, s, noise in zip(times, times[1:], noises, strict=False):
        x = schedule.alpha(s) * jump(x, t) + schedule.sigma(s) * noise
    return x


def jumps_by_index(jump, x_1, times, noises, schedule):
    for i in range(len(noises)):
        x_1 = md.diffuse(jump(x_1, times[i]), times[i + 1], noises[i], schedule)
    return x_1


def jumps_recursive(jump, x_1, times, noises, schedule):
    if len(times) == 1:
        return x_1
    x = md.diffuse(jump(x_1, times[0]), times[1], noises[0], schedule)
    return jumps_recursive(jump, x, times[1:], noises[1:], schedule)


def stepped(step):
    """Jumps whose next state is step(x0, t, s, i, noises, noise), where noise(x0, s, eps) is md.diffuse."""

    def sample(jump, x_1, times, noises, schedule):
        x = x_1
        for i, (t, s) in enumerate(zip(times, times[1:], strict=False)):
            x = step(jump(x, t), t, s, i, noises, lambda x0, s, eps: md.diffuse(x0, s, eps, schedule))
        return x

    return sample


def jumps_from_the_start(jump, x_1, times, noises, schedule):
    for t, s, noise in zip(times, times[1:], noises, strict=False):
        x = md.diffuse(jump(x_1, t), s, noise, schedule)
    return x


def jumps_once_more(jump, x_1, times, noises, schedule):
    return jump(jumps(jump, x_1, times, noises, schedule), times[-1])


def jumps_late(jump, x_1, times, noises, schedule):
    for s, noise in zip(times[1:], noises, strict=True):
        x_1 = md.diffuse(jump(x_1, s), s, noise, schedule)
    return x_1


def jumps_last_end(jump, x_1, times, noises, schedule):
    for t, s, noise in zip(times, times[1:], noises, strict=False):
        x0 = jump(x_1, t)
        x_1 = md.diffuse(x0, s, noise, schedule)
    return x0


def jumps_without_the_last(jump, x_1, times, noises, schedule):
    for t, s, noise in zip(times, times[1:], noises, strict=False):
        last, x_1 = x_1, md.diffuse(jump(x_1, t), s, noise, schedule)
    return last


def jumps_in_place(jump, x_1, times, noises, schedule):
    for t, s, noise in zip(times, times[1:], noises, strict=False):
        x_1.copy_(md.diffuse(jump(x_1, t), s, noise, schedule))
    return x_1


def jumps_by_ddim(jump, x_1, times, noises, schedule):
    for t, s in zip(times, times[1:], strict=False):
        x0 = jump(x_1, t)
        x_1 = md.diffuse(x0, s, md.to_eps(x0, x_1, t, schedule), schedule)
    return x_1


def jumps_without_noise(jump, x_1, times, noises, schedule):
    for noise in noises:
        noise.zero_()
    return jumps(jump, x_1, times, noises, schedule)


JUMPS_RIGHT = [jumps, jumps_by_index, jumps_recursive]
JUMPS_WRONG = [
    (lambda jump, x_1, times, noises, schedule: None, "returns None"),
    (jumps_in_place, "changes its input x_1 in place"),
    (jumps_from_the_start, "every jump starts from x_1"),
    (jumps_once_more, "once too often"),
    (jumps_without_noise, "plus sigma(t) times the fresh noise"),
    (jumps_late, "network at s"),
    (jumps_last_end, "the output of the last jump"),
    (jumps_without_the_last, "before the last jump"),
    (lambda jump, x_1, times, noises, schedule: jump(x_1, 1.0), "call the network at"),
    (stepped(lambda x0, t, s, i, n, noise: x0), "where the last jump ended"),
    (stepped(lambda x0, t, s, i, n, noise: noise(x0, s, n[0])), "use the noises in order"),
    (stepped(lambda x0, t, s, i, n, noise: noise(x0, s, n[-1 - i])), "use the noises in order"),
    (jumps_by_ddim, "Here you use another one"),
    (stepped(lambda x0, t, s, i, n, noise: noise(n[i], s, x0)), "alpha(t) times the picture"),
    (stepped(lambda x0, t, s, i, n, noise: noise(x0, t, n[i])), "alpha(t) times the picture"),
    (stepped(lambda x0, t, s, i, n, noise: x0 + noise(0 * x0, s, n[i])), "plus sigma(t) times the fresh noise"),
    (lambda jump, x_1, times, noises, schedule: jumps(jump, x_1, times, noises, schedule)[0], "have the shape"),
    (lambda jump, x, times, n, schedule: jumps(jump, x, times[::-1], n, schedule), "`times` already falls"),
]

BANK = {
    "03.1": (ONE_RIGHT, ONE_WRONG),
    "03.2": (VARIANCE_RIGHT, VARIANCE_WRONG),
    "03.3": (JUMPS_RIGHT, JUMPS_WRONG),
}
