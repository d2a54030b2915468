"""Every check, against answers that students give: the wrong ones are refused with a fitting sentence."""

import functools

import numpy as np
import pytest
import torch

import minidiffusion as md
from minidiffusion.exercises import CHECKS, check
from minidiffusion.exercises.judge import judge

NAMES = md.datasets.class_names("fashion_mnist")


def eps_in(x_t, x0, t, schedule):
    return (x_t - schedule.alpha(t) * x0) / schedule.sigma(t)


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
    (torch.full((4,), 7), "class_names"),
    (torch.tensor([9, 9, 9, 8]), "class_names"),
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


STEP_RIGHT = [step, step_shrink, step_package, step_of_a_batch_of_times]
STEP_WRONG = [
    (step_without_return, "returns None"),
    (step_in_place, "changes its input x_t in place"),
    (step_crash, "stops in its line 3 with TypeError"),
    (3.0, "hand in the function itself"),
    (lambda x_t, x0, t, s, schedule: x_t, "still at t"),
    (lambda x_t, x0, t, s, schedule: md.diffuse(x0, t, eps_in(x_t, x0, t, schedule), schedule), "still at t"),
    (lambda x_t, x0, t, s, schedule: x0, "the guess itself"),
    (lambda x_t, x0, t, s, schedule: schedule.alpha(s) * x0, "no noise"),
    (
        lambda x_t, x0, t, s, schedule: schedule.sigma(s) * x0 + schedule.alpha(s) * eps_in(x_t, x0, t, schedule),
        "changed places",
    ),
    (
        lambda x_t, x0, t, s, schedule: schedule.alpha(s) * x0 - schedule.sigma(s) * eps_in(x_t, x0, t, schedule),
        "wrong sign",
    ),
    (
        lambda x_t, x0, t, s, schedule: schedule.alpha(s) * x0 + schedule.sigma(s) * (x_t - schedule.alpha(t) * x0),
        "divide by sigma(t)",
    ),
    (lambda x_t, x0, t, s, schedule: schedule.alpha(s) * x0 + schedule.sigma(s) * x_t, "took x_t for the noise"),
    (
        lambda x_t, x0, t, s, schedule: schedule.alpha(s) * x0 + schedule.sigma(s) * (x_t - x0) / schedule.sigma(t),
        "not x0_hat",
    ),
    (lambda x_t, x0, t, s, schedule: schedule.alpha(s) * x0 + schedule.sigma(s) * (x_t - x0), "take off alpha(t)"),
    (lambda x_t, x0, t, s, schedule: s / t * x_t + (1 - s / t) * x0, "mix by the times"),
    (lambda x_t, x0, t, s, schedule: x0 + schedule.sigma(s) * eps_in(x_t, x0, t, schedule), "multiply it by alpha(s)"),
    (
        lambda x_t, x0, t, s, schedule: schedule.alpha(s) * x0 + schedule.sigma(s) * torch.randn_like(x_t),
        "gives two answers",
    ),
    (lambda x_t, x0, t, s, schedule: step(x_t.float(), x0.float(), t, s, schedule), "keep the type"),
    (lambda x_t, x0, t, s, schedule: step(x_t.double(), x0.double(), t, s, schedule), "keep the type"),
    (lambda x_t, x0, t, s, schedule: step(x_t, x0, t, s, schedule).mean(0), "have the shape"),
    (lambda x_t, x0, t, s, schedule: step(x_t, x0, t, s, schedule).numpy(), "must be a tensor"),
    (lambda x_t, x0, t, s, schedule: step(x_t, x0, t, s, schedule) / schedule.sigma(0.0), "division by 0"),
    (lambda x_t, x0, t, s, schedule: step(x_t, x0, t, s / 2, schedule), "yours is"),
]

# ---- 00.3: the whole walk ----


def draw(denoise, x_1, times, schedule):
    x = x_1
    for t, s in zip(times, times[1:], strict=False):
        x = step(x, denoise(x, t), t, s, schedule)
    return x


def draw_by_index(denoise, x_1, times, schedule):
    for i in range(len(times) - 1):
        x_1 = step_shrink(x_1, denoise(x_1, times[i]), times[i], times[i + 1], schedule)
    return x_1


def draw_with_a_time_each(denoise, x_1, times, schedule):
    for t, s in zip(times, times[1:], strict=False):
        x_1 = step(x_1, denoise(x_1, torch.full((len(x_1),), t)), t, s, schedule)
    return x_1


def draw_package(denoise, x_1, times, schedule):
    return md.sample(denoise, x_1, schedule, times=times)


def draw_list(denoise, x_1, times, schedule):
    states = [x_1]
    for t, s in zip(times, times[1:], strict=False):
        states.append(step(states[-1], denoise(states[-1], t), t, s, schedule))
    return states


def draw_from_the_start(denoise, x_1, times, schedule):
    for t, s in zip(times, times[1:], strict=False):
        x = step(x_1, denoise(x_1, t), t, s, schedule)
    return x


def draw_the_guess(denoise, x_1, times, schedule):
    for t, s in zip(times, times[1:], strict=False):
        x0 = denoise(x_1, t)
        x_1 = step(x_1, x0, t, s, schedule)
    return x0


def draw_once_more(denoise, x_1, times, schedule):
    x = draw(denoise, x_1, times, schedule)
    return denoise(x, times[-1])


def draw_asking_late(denoise, x_1, times, schedule):
    for t, s in zip(times, times[1:], strict=False):
        x_1 = step(x_1, denoise(x_1, s), t, s, schedule)
    return x_1


def draw_without_the_last(denoise, x_1, times, schedule):
    for t, s in zip(times, times[1:], strict=False):
        last, x_1 = x_1, step(x_1, denoise(x_1, t), t, s, schedule)
    return last


def draw_with_fresh_noise(denoise, x_1, times, schedule):
    for t, s in zip(times, times[1:], strict=False):
        x_1 = md.diffuse(denoise(x_1, t), s, torch.randn_like(x_1), schedule)
    return x_1


def draw_with_a_bad_last_step(denoise, x_1, times, schedule):
    x = draw(denoise, x_1, times[:-1], schedule)
    return step(x, denoise(x, times[-2]), times[-2], 0.5 * (times[-2] + times[-1]), schedule)


def draw_in_place(denoise, x_1, times, schedule):
    for t, s in zip(times, times[1:], strict=False):
        x_1.copy_(step(x_1, denoise(x_1, t), t, s, schedule))
    return x_1


def draw_without_return(denoise, x_1, times, schedule):
    draw(denoise, x_1, times, schedule)


DRAW_RIGHT = [draw, draw_by_index, draw_with_a_time_each, draw_package]
DRAW_WRONG = [
    (draw_without_return, "returns None"),
    (draw_in_place, "changes its input x_1 in place"),
    (draw_list, "must be a tensor"),
    (draw_from_the_start, "sees the same x"),
    (draw_the_guess, "the last x0_hat"),
    (draw_once_more, "once too often"),
    (draw_asking_late, "asked at s"),
    (draw_without_the_last, "before the last step"),
    (draw_with_fresh_noise, "not where the step should have led"),
    (draw_with_a_bad_last_step, "the last step"),
    (lambda d, x, times, schedule: draw(d, x, (*times[::-1][:-1], 1.0), schedule), "`times` falls already"),
    (lambda d, x, times, schedule: draw(d, x, [1.0, 0.5, 0.0], schedule), "must be asked at"),
    (lambda d, x, times, schedule: draw(d, x, times[:-1], schedule), "must be asked at"),
    (lambda d, x, times, schedule: schedule.alpha(times[-1]) * x, "is asked at []"),
    (lambda d, x, times, schedule: draw(lambda x, t: d(x, times.index(t)), x, times, schedule), "must be asked at"),
]

# ---- 01.1: diffuse ----


def diffuse(x0, t, eps, schedule):
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    return alpha[:, None, None, None] * x0 + sigma[:, None, None, None] * eps


def diffuse_view(x0, t, eps, schedule):
    t = t.reshape(-1, *[1] * (x0.ndim - 1))
    return x0 * schedule.alpha(t) + eps * schedule.sigma(t)


def diffuse_loop(x0, t, eps, schedule):
    return torch.stack([schedule.alpha(u) * x + schedule.sigma(u) * e for x, u, e in zip(x0, t, eps, strict=True)])


def diffuse_einsum(x0, t, eps, schedule):
    return torch.einsum("b,bchw->bchw", schedule.alpha(t), x0) + torch.einsum("b,bchw->bchw", schedule.sigma(t), eps)


def mixed(mix):
    """A diffuse from mix(alpha, sigma, x0, eps) with alpha and sigma in the right shape."""

    def diffuse(x0, t, eps, schedule):
        t = t[:, None, None, None]
        return mix(schedule.alpha(t), schedule.sigma(t), x0, eps)

    return diffuse


def diffuse_in_place(x0, t, eps, schedule):
    x0 *= schedule.alpha(t)[:, None, None, None]
    return x0 + schedule.sigma(t)[:, None, None, None] * eps


DIFFUSE_RIGHT = [diffuse, diffuse_view, diffuse_loop, diffuse_einsum, md.diffuse]
DIFFUSE_WRONG = [
    (lambda x0, t, eps, schedule: None, "returns None"),
    (diffuse_in_place, "changes its input x0 in place"),
    (mixed(lambda a, s, x0, eps: s * x0 + a * eps), "changed places"),
    (mixed(lambda a, s, x0, eps: a * x0 - s * eps), "wrong sign"),
    (mixed(lambda a, s, x0, eps: a * x0), "no noise"),
    (mixed(lambda a, s, x0, eps: a * x0 + eps), "too much noise"),
    (mixed(lambda a, s, x0, eps: x0 + s * eps), "x0 must fade"),
    (mixed(lambda a, s, x0, eps: a**2 * x0 + s**2 * eps), "squared"),
    (mixed(lambda a, s, x0, eps: a**0.5 * x0 + s**0.5 * eps), "took a root"),
    (mixed(lambda a, s, x0, eps: a * x0 + (1 - a) * eps), "1 - alpha for sigma"),
    (mixed(lambda a, s, x0, eps: a * x0 + s * torch.randn_like(eps)), "gives two answers"),
    (mixed(lambda a, s, x0, eps: a * x0 + s * eps[:1]), "the noise of the first"),
    (mixed(lambda a, s, x0, eps: (a * x0 + s * eps)[0]), "have the shape"),
    (mixed(lambda a, s, x0, eps: (a * x0 + s * eps).float()), "keep the type"),
    (mixed(lambda a, s, x0, eps: (a * x0 + s * eps).double()), "keep the type"),
    (mixed(lambda a, s, x0, eps: x0 + eps), "away"),
    (mixed(lambda a, s, x0, eps: a * x0 + a * eps), "away"),
    (lambda x0, t, eps, schedule: schedule.alpha(t) * x0 + schedule.sigma(t) * eps, "each column"),
    (lambda x0, t, eps, schedule: diffuse(x0, t[:1].expand(len(t)), eps, schedule), "time of the first"),
    (lambda x0, t, eps, schedule: diffuse(x0, t.mean().expand(len(t)), eps, schedule), "the mean time"),
    (lambda x0, t, eps, schedule: diffuse(x0, 1 - t, eps, schedule), "runs backwards"),
    (lambda x0, t, eps, schedule: diffuse(x0, (t - 0.1).clamp(min=0), eps, schedule), "away"),
    (lambda x0, t, eps, schedule: diffuse(x0, 1000 * t, eps, schedule), "stops"),
]

# ---- 01.2: the time of equal parts ----


def even_by_halving(schedule):
    low, high = 0.0, 1.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if schedule.alpha(middle) > schedule.sigma(middle) else (low, middle)
    return low


def even_by_search(schedule):
    t = np.linspace(0, 1, 1001)
    return t[np.abs(schedule.alpha(t) - schedule.sigma(t)).argmin()]


EVEN_RIGHT = [
    lambda schedule: schedule.time(0.0),
    lambda schedule: schedule.time(torch.zeros((), dtype=torch.float64)),
    even_by_halving,
    even_by_search,
]


def even_first_below_half(schedule):
    t = np.linspace(0, 1, 1001)
    return t[(schedule.alpha(t) < 0.5).argmax()]


EVEN_WRONG = [
    (lambda schedule: None, "returns None"),
    (lambda schedule: 0.5, "they should be equal"),
    (lambda schedule: schedule.time(1.0), "SNR of 1 has the log 0"),
    (lambda schedule: 1 - schedule.time(0.0), "runs backwards"),
    (lambda schedule: round(1000 * schedule.time(0.0)), "from 0 to 1"),
    (lambda schedule: schedule.time(torch.zeros(2)), "must be one number"),
    (lambda schedule: schedule.time, "must be one number"),
    (lambda schedule: schedule.log_snr(0.5), "yours"),
    (lambda schedule: schedule.alpha(schedule.time(0.0)), "they should be equal"),
    (even_first_below_half, "they should be equal"),
    (lambda schedule: 5.0, "lies in [0, 1]"),
    (lambda schedule: schedule.time(0.5), "they should be equal"),
    (lambda schedule: schedule.snr(0.5), "stops"),
    (md.schedule.cosine().time(0.0), "hand in the function itself"),
]

# ---- 01.3: what is left at the end ----


def left_loop(betas):
    alpha = 1.0
    for beta in betas:
        alpha = alpha * (1 - beta) ** 0.5
    return alpha


LEFT_RIGHT = [
    lambda betas: (1 - betas).prod().sqrt(),
    lambda betas: torch.cumprod(1 - betas, 0)[-1] ** 0.5,
    lambda betas: np.exp(0.5 * np.log1p(-betas.numpy()).sum()),
    lambda betas: md.schedule.from_betas(betas).alpha(1.0),
    left_loop,
]
LEFT_WRONG = [
    (lambda betas: None, "returns None"),
    (lambda betas: (1 - betas).prod(), "take its root"),
    (lambda betas: (1 - (1 - betas).prod()).sqrt(), "that is sigma(1), the noise"),
    (lambda betas: 1 - (1 - betas).prod(), "that is sigma(1) squared"),
    (lambda betas: betas.prod(), "multiplied the betas"),
    (lambda betas: betas.prod().sqrt(), "multiplied the betas"),
    (lambda betas: (1 - betas[-1]).sqrt(), "the last step alone"),
    (lambda betas: 1 - betas[-1], "the last step alone"),
    (lambda betas: (1 - betas[:-1]).prod().sqrt(), "left out the last step"),
    (lambda betas: (1 - betas[1:]).prod().sqrt(), "left out the first step"),
    (lambda betas: 1 - betas.sum(), "do not add up"),
    (lambda betas: (1 - betas).prod() ** 0.25, "one root too many"),
    (lambda betas: (1 - betas).sqrt().mean(), "do not average"),
    (lambda betas: (1 - betas).cumprod(0).sqrt(), "must be one number"),
    (lambda betas: 0.0064, "yours is"),
    (lambda betas: betas.mul_(-1).add_(1).prod().sqrt(), "changes its input betas in place"),
]

BANK = {
    "00.1": (BOOTS_RIGHT, BOOTS_WRONG),
    "00.2": (STEP_RIGHT, STEP_WRONG),
    "00.3": (DRAW_RIGHT, DRAW_WRONG),
    "01.1": (DIFFUSE_RIGHT, DIFFUSE_WRONG),
    "01.2": (EVEN_RIGHT, EVEN_WRONG),
    "01.3": (LEFT_RIGHT, LEFT_WRONG),
}
RIGHT = [(name, answer) for name, (answers, _) in BANK.items() for answer in answers]
WRONG = [(name, answer, sentence) for name, (_, answers) in BANK.items() for answer, sentence in answers]


@pytest.mark.parametrize(("name", "answer"), RIGHT)
def test_right_answers_pass_however_they_are_written(name, answer):
    assert judge(CHECKS[name], answer) == "passed"


@pytest.mark.parametrize(("name", "answer", "sentence"), WRONG)
def test_wrong_answers_are_refused_with_a_fitting_sentence(name, answer, sentence):
    verdict = judge(CHECKS[name], answer)
    assert verdict.startswith("not yet: ") and sentence in verdict


def test_every_exercise_has_a_bank():
    assert list(BANK) == list(CHECKS)
    assert all(len(right) >= 3 and len(wrong) >= 8 for right, wrong in BANK.values())


@pytest.mark.parametrize("name", CHECKS)
def test_a_stub_is_not_attempted(name):
    assert judge(CHECKS[name], ...) == "not attempted yet"
    if name != "00.1":
        assert judge(CHECKS[name], lambda *inputs: ...) == "not attempted yet"


def test_a_walk_over_a_stub_of_the_step_is_not_attempted():
    walk = functools.partial(draw_with, lambda x_t, x0, t, s, schedule: ...)
    assert judge(CHECKS["00.3"], walk) == "not attempted yet"


def draw_with(step, denoise, x_1, times, schedule):
    x = x_1
    for t, s in zip(times, times[1:], strict=False):
        x = step(x, denoise(x, t), t, s, schedule)
    return x


def test_check_prints_one_line(capsys):
    check("01.2", lambda schedule: schedule.time(0.0))
    assert capsys.readouterr().out == "Exercise 01.2: passed\n"


def test_check_names_the_exercises_that_there_are():
    with pytest.raises(ValueError, match=r"exercise must be one of 00\.1, .*, got '7'"):
        check("7", 0)


def test_variance_is_named_where_it_should_stay_at_1():
    def twice(x0, t, eps, schedule):
        return diffuse(x0, t, 2 * eps, schedule)

    assert "variance 2.5 at t = 0.5" in judge(CHECKS["01.1"], twice)
