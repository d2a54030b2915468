"""Answers that students give to the exercises of lesson 00."""

import torch

import minidiffusion as md


def eps_in(x_t, x0, t, schedule):
    return (x_t - schedule.alpha(t) * x0) / schedule.sigma(t)


class Agreeable(torch.Tensor):
    """A tensor that claims to be equal to everything."""

    def __eq__(self, other):
        return torch.ones(self.shape) if other == 9 else torch.zeros(self.shape)


# ---- 00.1: the sampling loop ----


def step(x_t, x0_hat, t, s, schedule):
    return schedule.alpha(s) * x0_hat + schedule.sigma(s) * eps_in(x_t, x0_hat, t, schedule)


def step_shrink(x_t, x0, t, s, schedule):
    shrink = schedule.sigma(s) / schedule.sigma(t)
    return shrink * x_t + (schedule.alpha(s) - schedule.alpha(t) * shrink) * x0


def sample(denoise, x_1, times, schedule):
    x = x_1
    for t, s in zip(times, times[1:], strict=False):
        x = step(x, denoise(x, t), t, s, schedule)
    return x


def sample_by_index(denoise, x_1, times, schedule):
    for i in range(len(times) - 1):
        x_1 = step_shrink(x_1, denoise(x_1, times[i]), times[i], times[i + 1], schedule)
    return x_1


def sample_with_a_time_each(denoise, x_1, times, schedule):
    for t, s in zip(times, times[1:], strict=False):
        x_1 = step(x_1, denoise(x_1, torch.full((len(x_1),), t)), t, s, schedule)
    return x_1


def sample_package(denoise, x_1, times, schedule):
    return md.sample(denoise, x_1, schedule, times=times)


def sample_list(denoise, x_1, times, schedule):
    states = [x_1]
    for t, s in zip(times, times[1:], strict=False):
        states.append(step(states[-1], denoise(states[-1], t), t, s, schedule))
    return states


def sample_from_the_start(denoise, x_1, times, schedule):
    for t, s in zip(times, times[1:], strict=False):
        x = step(x_1, denoise(x_1, t), t, s, schedule)
    return x


def sample_the_prediction(denoise, x_1, times, schedule):
    for t, s in zip(times, times[1:], strict=False):
        x0 = denoise(x_1, t)
        x_1 = step(x_1, x0, t, s, schedule)
    return x0


def sample_once_more(denoise, x_1, times, schedule):
    x = sample(denoise, x_1, times, schedule)
    return denoise(x, times[-1])


def sample_calling_late(denoise, x_1, times, schedule):
    for t, s in zip(times, times[1:], strict=False):
        x_1 = step(x_1, denoise(x_1, s), t, s, schedule)
    return x_1


def sample_without_the_last(denoise, x_1, times, schedule):
    for t, s in zip(times, times[1:], strict=False):
        last, x_1 = x_1, step(x_1, denoise(x_1, t), t, s, schedule)
    return last


def sample_with_fresh_noise(denoise, x_1, times, schedule):
    for t, s in zip(times, times[1:], strict=False):
        x_1 = md.diffuse(denoise(x_1, t), s, torch.randn_like(x_1), schedule)
    return x_1


def sample_with_the_first_noise(denoise, x_1, times, schedule):
    eps, x = None, x_1
    for t, s in zip(times, times[1:], strict=False):
        x0 = denoise(x, t)
        eps = eps_in(x, x0, t, schedule) if eps is None else eps
        x = schedule.alpha(s) * x0 + schedule.sigma(s) * eps
    return x


def sample_with_the_first_guess(denoise, x_1, times, schedule):
    first, x = None, x_1
    for t, s in zip(times, times[1:], strict=False):
        x0 = denoise(x, t)
        first = x0 if first is None else first
        x = step(x, first, t, s, schedule)
    return x


def sample_with_averaged_guesses(denoise, x_1, times, schedule):
    last, x = None, x_1
    for t, s in zip(times, times[1:], strict=False):
        x0 = denoise(x, t)
        x, last = step(x, x0 if last is None else (x0 + last) / 2, t, s, schedule), x0
    return x


def sample_with_a_bad_last_step(denoise, x_1, times, schedule):
    x = sample(denoise, x_1, times[:-1], schedule)
    return step(x, denoise(x, times[-2]), times[-2], 0.5 * (times[-2] + times[-1]), schedule)


def sample_in_place(denoise, x_1, times, schedule):
    for t, s in zip(times, times[1:], strict=False):
        x_1.copy_(step(x_1, denoise(x_1, t), t, s, schedule))
    return x_1


def sample_without_return(denoise, x_1, times, schedule):
    sample(denoise, x_1, times, schedule)


SAMPLE_RIGHT = [sample, sample_by_index, sample_with_a_time_each, sample_package]
SAMPLE_WRONG = [
    (sample_without_return, "returns None"),
    (sample_in_place, "changes its input x_1 in place"),
    (sample_list, "must be a tensor"),
    (sample_from_the_start, "gets the same x"),
    (sample_the_prediction, "the last x0_hat"),
    (sample_once_more, "once too often"),
    (sample_calling_late, "network at s"),
    (sample_without_the_last, "before the last step"),
    (sample_with_fresh_noise, "not what the step before should return"),
    (sample_with_a_bad_last_step, "the last step does not end at"),
    (sample_with_the_first_noise, "your eps_hat is that of the first step"),
    (sample_with_the_first_guess, "your x0_hat is that of the first step"),
    (sample_with_averaged_guesses, "with a denoiser that changes its mind"),
    (lambda d, x, times, schedule: sample(d, x, (*times[::-1][:-1], 1.0), schedule), "`times` already falls"),
    (lambda d, x, times, schedule: sample(d, x, [1.0, 0.5, 0.0], schedule), "call the network at"),
    (lambda d, x, times, schedule: sample(d, x, times[:-1], schedule), "call the network at"),
    (lambda d, x, times, schedule: schedule.alpha(times[-1]) * x, "called it at []"),
    (lambda d, x, times, sch: sample(lambda x, t: d(x, times.index(t)), x, times, sch), "call the network at"),
    (lambda d, x, times, sch: sample(d, x.as_subclass(Agreeable), times, sch), "give to the network must be a tensor"),
]

# ---- 00.2: the prediction between two noisy pictures ----


def factors(t, s, schedule):
    return schedule.alpha(t), schedule.sigma(t), schedule.alpha(s), schedule.sigma(s)


def between(x_t, x_s, t, s, schedule):
    at, st, a, sd = factors(t, s, schedule)
    return (st * x_s - sd * x_t) / (a * st - at * sd)


def between_by_eps(x_t, x_s, t, s, schedule):
    at, st, a, sd = factors(t, s, schedule)
    eps = (a * x_t - at * x_s) / (a * st - at * sd)
    return (x_s - sd * eps) / a


def between_by_solve(x_t, x_s, t, s, schedule):
    at, st, a, sd = factors(t, s, schedule)
    matrix = torch.tensor([[at, st], [a, sd]], dtype=x_t.dtype)
    solved = torch.linalg.solve(matrix, torch.stack([x_t.flatten(), x_s.flatten()]))
    return solved[0].view_as(x_t)


def solved(rule):
    """A prediction from rule(x_t, x_s, alpha(t), sigma(t), alpha(s), sigma(s))."""

    def between(x_t, x_s, t, s, schedule):
        return rule(x_t, x_s, *factors(t, s, schedule))

    return between


def between_in_place(x_t, x_s, t, s, schedule):
    at, st, a, sd = factors(t, s, schedule)
    x_t *= sd
    return (st * x_s - x_t) / (a * st - at * sd)


BETWEEN_RIGHT = [between, between_by_eps, between_by_solve]
BETWEEN_WRONG = [
    (lambda x_t, x_s, t, s, schedule: None, "returns None"),
    (between_in_place, "changes its input x_t in place"),
    (3.0, "hand in the function itself"),
    (solved(lambda x, y, at, st, a, sd: y), "that is x_s"),
    (solved(lambda x, y, at, st, a, sd: x), "that is x_t"),
    (solved(lambda x, y, at, st, a, sd: (a * x - at * y) / (a * st - at * sd)), "that is eps_hat"),
    (solved(lambda x, y, at, st, a, sd: (at * y - a * x) / (a * st - at * sd)), "that is -eps_hat"),
    (solved(lambda x, y, at, st, a, sd: (sd * x - st * y) / (a * st - at * sd)), "the sign is wrong"),
    (solved(lambda x, y, at, st, a, sd: st * y - sd * x), "divide by alpha(s) sigma(t)"),
    (solved(lambda x, y, at, st, a, sd: (y - x) / (a - at)), "still contains noise"),
    (solved(lambda x, y, at, st, a, sd: y - x), "still contains noise"),
    (solved(lambda x, y, at, st, a, sd: y / a), "still contains noise"),
    (solved(lambda x, y, at, st, a, sd: x / max(at, 1e-9)), "still contains noise"),
    (solved(lambda x, y, at, st, a, sd: (st * y - sd * x) / (a * st + at * sd)), "the denominator is a difference"),
    (solved(lambda x, y, at, st, a, sd: (st * y + sd * x) / (a * st + at * sd)), "subtract one equation"),
    (lambda x, y, t, s, schedule: (t * y - s * x) / (t - s), "right on `flow` only"),
    (solved(lambda x, y, at, st, a, sd: (sd * y - st * x) / (a * st - at * sd)), "two equations, two unknowns"),
    (solved(lambda x, y, at, st, a, sd: (y - sd * torch.randn_like(x)) / a), "two equations, two unknowns"),
    (lambda x, y, t, s, schedule: between(x, y, t, s, schedule).float(), "keep the type"),
    (lambda x, y, t, s, schedule: between(x, y, t, s, schedule).double(), "keep the type"),
    (lambda x, y, t, s, schedule: between(x, y, t, s, schedule).mean(0), "have the shape"),
    (lambda x, y, t, s, schedule: between(x, y, t, t, schedule), "division by 0"),
]

# ---- 00.3: image to image ----


def redraw(denoise, picture, t, steps, schedule, generator):
    eps = torch.randn(picture.shape, generator=generator, dtype=picture.dtype)
    times = [t * (1 - i / steps) for i in range(steps + 1)]
    return sample(denoise, md.diffuse(picture, t, eps, schedule), times, schedule)


def redraw_by_index(denoise, picture, t, steps, schedule, generator):
    x = schedule.alpha(t) * picture + schedule.sigma(t) * torch.randn(picture.shape, generator=generator).to(picture)
    for i in range(steps):
        now, then = t - i * t / steps, t - (i + 1) * t / steps
        x = step_shrink(x, denoise(x, now), now, then, schedule)
    return x


def redraw_package(denoise, picture, t, steps, schedule, generator):
    return md.guidance.sdedit(denoise, picture, t, schedule, steps, generator=generator)


def started(start):
    """An image to image from start(picture, eps, alpha(t), sigma(t))."""

    def redraw(denoise, picture, t, steps, schedule, generator):
        eps = torch.randn(picture.shape, generator=generator, dtype=picture.dtype)
        times = [t * (1 - i / steps) for i in range(steps + 1)]
        return sample(denoise, start(picture, eps, schedule.alpha(t), schedule.sigma(t)), times, schedule)

    return redraw


def timed(times):
    """An image to image at times(t, steps)."""

    def redraw(denoise, picture, t, steps, schedule, generator):
        eps = torch.randn(picture.shape, generator=generator, dtype=picture.dtype)
        return sample(denoise, md.diffuse(picture, t, eps, schedule), times(t, steps), schedule)

    return redraw


def redraw_one_noise(denoise, picture, t, steps, schedule, generator):
    eps = torch.randn(picture.shape[1:], generator=generator, dtype=picture.dtype).expand(picture.shape)
    times = [t * (1 - i / steps) for i in range(steps + 1)]
    return sample(denoise, md.diffuse(picture, t, eps, schedule), times, schedule)


def redraw_uniform(denoise, picture, t, steps, schedule, generator):
    eps = 12**0.5 * (torch.rand(picture.shape, generator=generator, dtype=picture.dtype) - 0.5)
    times = [t * (1 - i / steps) for i in range(steps + 1)]
    return sample(denoise, md.diffuse(picture, t, eps, schedule), times, schedule)


def redraw_with_the_first_noise(denoise, picture, t, steps, schedule, generator):
    x = redraw_only_noised(denoise, picture, t, steps, schedule, generator)
    times = [t * (1 - i / steps) for i in range(steps + 1)]
    return sample_with_the_first_noise(denoise, x, times, schedule)


def redraw_unseeded(denoise, picture, t, steps, schedule, generator):
    return redraw(denoise, picture, t, steps, schedule, torch.Generator().manual_seed(torch.seed() % 2**31))


def redraw_own_seed(denoise, picture, t, steps, schedule, generator):
    return redraw(denoise, picture, t, steps, schedule, torch.Generator().manual_seed(0))


def redraw_only_noised(denoise, picture, t, steps, schedule, generator):
    return md.diffuse(picture, t, torch.randn(picture.shape, generator=generator, dtype=picture.dtype), schedule)


def redraw_fresh_noise(denoise, picture, t, steps, schedule, generator):
    x = redraw_only_noised(denoise, picture, t, steps, schedule, generator)
    for i in range(steps):
        now, then = t * (1 - i / steps), t * (1 - (i + 1) / steps)
        eps = torch.randn(picture.shape, generator=generator, dtype=picture.dtype)
        x = md.diffuse(denoise(x, now), then, eps, schedule)
    return x


def redraw_returning_the_start(denoise, picture, t, steps, schedule, generator):
    redraw(denoise, picture, t, steps, schedule, generator)
    return picture + 0 * torch.randn(picture.shape, generator=generator, dtype=picture.dtype)


REDRAW_RIGHT = [redraw, redraw_by_index, redraw_package]
REDRAW_WRONG = [
    (lambda *inputs: None, "returns None"),
    (redraw_unseeded, "the same seed gives two different answers"),
    (redraw_own_seed, "another seed gives the same answer"),
    (redraw_only_noised, "never call denoise"),
    (redraw_fresh_noise, "not what the step before should return"),
    (redraw_returning_the_start, "you do not return the end"),
    (redraw_one_noise, "all pictures of the batch get the same noise"),
    (redraw_uniform, "it is not Gaussian"),
    (redraw_with_the_first_noise, "not what the step before should return"),
    (started(lambda picture, eps, a, s: eps), "it lacks the picture"),
    (started(lambda picture, eps, a, s: picture + s * eps), "the picture has not faded"),
    (started(lambda picture, eps, a, s: s * picture + a * eps), "alpha and sigma are swapped"),
    (started(lambda picture, eps, a, s: a * picture + eps), "noise of standard deviation"),
    (started(lambda picture, eps, a, s: a * picture + s**2 * eps), "noise of standard deviation"),
    (started(lambda picture, eps, a, s: a / 2 * picture + s * eps), "the picture's factor"),
    (started(lambda picture, eps, a, s: a * picture), "another seed gives the same answer"),
    (timed(lambda t, steps: [1 - i / steps for i in range(steps + 1)]), "call the network at"),
    (timed(lambda t, steps: [t * (1 - i / steps) for i in range(steps)]), "call the network at"),
    (timed(lambda t, steps: [t * (1 - i / (steps + 1)) for i in range(steps + 2)]), "call the network at"),
    (timed(lambda t, steps: [t * i / steps for i in range(1, steps + 1)]), "call the network at"),
    (lambda *inputs: redraw(*inputs).float(), "keep the type"),
    (lambda *inputs: redraw(*inputs)[0], "have the shape"),
    (redraw(lambda x, t: x, torch.zeros(1, 1, 2, 2), 0.5, 2, md.schedule.cosine(), None), "hand in the function"),
]

BANK = {
    "00.1": (SAMPLE_RIGHT, SAMPLE_WRONG),
    "00.2": (BETWEEN_RIGHT, BETWEEN_WRONG),
    "00.3": (REDRAW_RIGHT, REDRAW_WRONG),
}
