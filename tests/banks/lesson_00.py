"""Answers that students give to the exercises of lesson 00."""

import torch

import minidiffusion as md

NAMES = md.datasets.class_names("fashion_mnist")


def eps_in(x_t, x0, t, schedule):
    return (x_t - schedule.alpha(t) * x0) / schedule.sigma(t)


class Agreeable(torch.Tensor):
    """A tensor that claims to be equal to everything."""

    def __eq__(self, other):
        return torch.ones(self.shape) if other == 9 else torch.zeros(self.shape)


# ---- 00.1: labels of four ankle boots ----

BOOTS_RIGHT = [
    torch.full((4,), 9),
    torch.tensor([NAMES.index("ankle boot")] * 4),
    9 * torch.ones(4, dtype=torch.int32),
]
BOOTS_WRONG = [
    (None, "the answer is None"),
    ([9, 9, 9, 9], "must be a tensor"),
    ("ankle boot", "must be a tensor"),
    (9, "must be a tensor"),
    (torch.tensor([9.0, 9.0, 9.0, 9.0]), "whole number"),
    (torch.tensor(9), "shape (4,)"),
    (torch.full((8,), 9), "shape (4,)"),
    (torch.full((4, 1), 9), "shape (4,)"),
    (torch.nn.functional.one_hot(torch.full((4,), 9), 10), "shape (4,)"),
    (torch.full((4,), 10), "counted from 0"),
    (torch.full((4,), 7), "list of class names"),
    (torch.tensor([9, 9, 9, 8]), "list of class names"),
    (torch.full((4,), 7).as_subclass(Agreeable), "must be a tensor"),
]

# ---- 00.2: one step ----


def step(x_t, x0_hat, t, s, schedule):
    return schedule.alpha(s) * x0_hat + schedule.sigma(s) * eps_in(x_t, x0_hat, t, schedule)


def step_shrink(x_t, x0, t, s, schedule):
    shrink = schedule.sigma(s) / schedule.sigma(t)
    return shrink * x_t + (schedule.alpha(s) - schedule.alpha(t) * shrink) * x0


def step_package(x_t, x0, t, s, schedule):
    return md.sample(lambda x, t: x0, x_t, schedule, times=[t, s])


def step_of_a_batch_of_times(x_t, x0, t, s, schedule):
    t, s = (torch.full((len(x_t),), float(u), dtype=torch.float64) for u in (t, s))
    return md.diffuse(x0, s, md.to_eps(x0, x_t, t, schedule), schedule)


def step_in_place(x_t, x0, t, s, schedule):
    x_t -= schedule.alpha(t) * x0
    return schedule.alpha(s) * x0 + schedule.sigma(s) * x_t / schedule.sigma(t)


def step_without_return(x_t, x0, t, s, schedule):
    schedule.alpha(s) * x0 + schedule.sigma(s) * eps_in(x_t, x0, t, schedule)


def step_crash(x_t, x0, t, s, schedule):
    alpha = schedule.alpha(s)
    return alpha @ x0


def mixed(rule):
    """A step from rule(x_t, x0_hat, eps_hat, alpha(s), sigma(s), alpha(t), sigma(t))."""

    def step(x_t, x0, t, s, schedule):
        factors = (schedule.alpha(s), schedule.sigma(s), schedule.alpha(t), schedule.sigma(t))
        return rule(x_t, x0, eps_in(x_t, x0, t, schedule), *factors)

    return step


STEP_RIGHT = [step, step_shrink, step_package, step_of_a_batch_of_times]
STEP_WRONG = [
    (step_without_return, "returns None"),
    (step_in_place, "changes its input x_t in place"),
    (step_crash, "stops in its line 3 with TypeError"),
    (3.0, "hand in the function itself"),
    (mixed(lambda x, x0, e, a, sd, at, st: x), "still the x_t"),
    (mixed(lambda x, x0, e, a, sd, at, st: at * x0 + st * e), "still the x_t"),
    (mixed(lambda x, x0, e, a, sd, at, st: x0), "the prediction itself"),
    (mixed(lambda x, x0, e, a, sd, at, st: a * x0), "no noise"),
    (mixed(lambda x, x0, e, a, sd, at, st: sd * x0 + a * e), "swapped"),
    (mixed(lambda x, x0, e, a, sd, at, st: a * x0 - sd * e), "wrong sign"),
    (mixed(lambda x, x0, e, a, sd, at, st: a * x0 + sd * (x - at * x0)), "so divide it by sigma(t)"),
    (mixed(lambda x, x0, e, a, sd, at, st: a * x0 + sd * x), "used x_t as the noise"),
    (mixed(lambda x, x0, e, a, sd, at, st: a * x0 + sd * (x - x0) / st), "not x0_hat"),
    (mixed(lambda x, x0, e, a, sd, at, st: a * x0 + sd * (x - x0)), "then divide by sigma(t)"),
    (mixed(lambda x, x0, e, a, sd, at, st: x0 + sd * e), "its factor alpha(s)"),
    (mixed(lambda x, x0, e, a, sd, at, st: a * x + sd * e), "you used x_t"),
    (mixed(lambda x, x0, e, a, sd, at, st: e), "the noise alone"),
    (mixed(lambda x, x0, e, a, sd, at, st: a * x0 + sd * torch.randn_like(x)), "two different answers"),
    (lambda x_t, x0, t, s, schedule: s / t * x_t + (1 - s / t) * x0, "in proportion to the times"),
    (lambda x_t, x0, t, s, schedule: step(x_t.float(), x0.float(), t, s, schedule), "keep the type"),
    (lambda x_t, x0, t, s, schedule: step(x_t.double(), x0.double(), t, s, schedule), "keep the type"),
    (lambda x_t, x0, t, s, schedule: step(x_t, x0, t, s, schedule).mean(0), "have the shape"),
    (lambda x_t, x0, t, s, schedule: step(x_t, x0, t, s, schedule).numpy(), "must be a tensor"),
    (lambda x_t, x0, t, s, schedule: step(x_t, x0, t, s, schedule) / schedule.sigma(0.0), "division by 0"),
    (lambda x_t, x0, t, s, schedule: step(x_t, x0, t, s / 2, schedule), "yours is"),
]

# ---- 00.3: the sampling loop ----


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
    (lambda d, x, times, schedule: sample(d, x, (*times[::-1][:-1], 1.0), schedule), "`times` already falls"),
    (lambda d, x, times, schedule: sample(d, x, [1.0, 0.5, 0.0], schedule), "call the network at"),
    (lambda d, x, times, schedule: sample(d, x, times[:-1], schedule), "call the network at"),
    (lambda d, x, times, schedule: schedule.alpha(times[-1]) * x, "called it at []"),
    (lambda d, x, times, sch: sample(lambda x, t: d(x, times.index(t)), x, times, sch), "call the network at"),
    (lambda d, x, times, sch: sample(d, x.as_subclass(Agreeable), times, sch), "give to the network must be a tensor"),
]

BANK = {
    "00.1": (BOOTS_RIGHT, BOOTS_WRONG),
    "00.2": (STEP_RIGHT, STEP_WRONG),
    "00.3": (SAMPLE_RIGHT, SAMPLE_WRONG),
}
