"""A network that says where the path ends: exact on a Gaussian, where every path is a straight stretch."""

import copy
import math

import pytest
import torch

import minidiffusion as md

COSINE, LEVELS = md.schedule.cosine(), 6
MEAN, VARIANCE = torch.tensor([0.7, -0.4], dtype=torch.float64), torch.tensor([0.3, 2.0], dtype=torch.float64)


def teacher(x_t, t, cond=None):
    """E[x0 | x_t] of N(MEAN, VARIANCE), t one time for each row."""
    alpha, sigma = (curve(t.double())[:, None] for curve in (COSINE.alpha, COSINE.sigma))
    return MEAN + alpha * VARIANCE / (alpha**2 * VARIANCE + sigma**2) * (x_t - alpha * MEAN)


def aimed(x, guess, now, then):
    """To the level `then` on the line from x at `now` that ends in the guess."""
    eps = (x - now.alpha * guess) / now.sigma
    return then.alpha * guess + then.sigma * eps


def ends(levels, wrong=0.0):
    """A student that knows where the teacher's `levels` steps end: on a Gaussian at a x_t + b, by level."""

    def net(x, t, cond):
        a, b = torch.ones(len(x), 2, dtype=torch.float64), torch.zeros(len(x), 2, dtype=torch.float64)
        x = x.double()
        for row, time in enumerate(t.tolist()):
            y = torch.stack([torch.zeros(2), torch.ones(2)]).double()  # what becomes of 0 and 1
            for i in range(round(time * levels), 0, -1):
                now, half, then = (COSINE.at((i - back) / levels) for back in (0, 0.5, 1))
                guess = teacher(y, torch.full((2,), now.time, dtype=torch.float64))
                better = teacher(aimed(y, guess, now, half), torch.full((2,), half.time, dtype=torch.float64))
                y = aimed(y, better, now, then)
            a[row], b[row] = y[1] - y[0], y[0]
        return a * x + b + wrong * t[:, None]

    return md.Denoiser(net, COSINE, md.heads.X0)


def drawn(count=64):
    g = torch.Generator().manual_seed(0)
    x0 = MEAN + VARIANCE.sqrt() * torch.randn(count, 2, generator=g, dtype=torch.float64)
    return x0, (torch.arange(count) + 0.5) / count, torch.randn(count, 2, generator=g, dtype=torch.float64)


def test_the_ends_of_the_teachers_path_are_what_the_loss_wants(unchecked):
    x0, t, eps = drawn()
    loss = md.consistency_loss(teacher, LEVELS)
    # the times of the net come in float32; nothing else is lost
    assert loss(ends(LEVELS), x0, t, eps).max() < 1e-9
    # other ends, and ends of another path, are not
    assert loss(ends(LEVELS, wrong=0.1), x0, t, eps).min() > 1e-4
    assert loss(ends(LEVELS + 1), x0, t, eps).max() > 1e-4
    assert loss(ends(LEVELS), x0, t, eps).shape == (64,)


def test_the_distance_is_pseudo_huber_and_the_goal_holds_still(unchecked):
    """One level: from pure noise to clean data. The student says w x."""
    w = torch.nn.Parameter(torch.tensor(0.8, dtype=torch.float64))
    net = torch.nn.Module()
    net.w = w
    net.forward = lambda x, t, cond: net.w * x
    x0, t, eps = drawn()
    loss = md.consistency_loss(teacher, 1, c=0.5)(md.Denoiser(net, COSINE, md.heads.X0), x0, t, eps)
    one = COSINE.at(1.0)
    x_1 = one.alpha * x0 + one.sigma * eps
    # at t = 0 the path has arrived at the teacher's guess half way, and the student says w times that
    half = aimed(x_1, teacher(x_1, torch.ones(64)), one, COSINE.at(0.5))
    change = w.detach() * (x_1 - teacher(half, torch.full((64,), 0.5)))
    size, h = change.square().sum(1), 0.5 * math.sqrt(2)
    torch.testing.assert_close(loss, (size + h**2).sqrt() - h, check_dtype=False)
    loss.sum().backward()
    # d loss / d w with the goal held still
    torch.testing.assert_close(w.grad, ((change * x_1).sum(1) / (size + h**2).sqrt()).sum(), check_dtype=False)


def test_the_condition_reaches_the_teacher_and_the_student(unchecked):
    heard = []

    def net(x, t, cond):
        heard.append(cond)
        return x

    x0, t, eps = drawn(3)
    labels = torch.tensor([1, 2, 3])
    denoiser = md.Denoiser(net, COSINE, md.heads.V)
    md.consistency_loss(denoiser, 4)(denoiser, x0, t, eps, cond=labels)
    assert len(heard) == 4 and all(cond is labels for cond in heard)


def test_a_student_draws_in_one_jump_what_its_teacher_cannot(unchecked):
    """A Gaussian of unequal variances: the teacher's one step is its mean, the student's has the spread."""
    torch.manual_seed(0)
    exact = md.oracle.gaussian(MEAN.float(), torch.diag(VARIANCE).float(), COSINE)
    points = exact.sample(4000, torch.Generator().manual_seed(1))
    student, settings = md.Denoiser(md.nets.MLP(2, 32, 2), COSINE, md.heads.V), dict(precision="float32")
    for loss, rate, steps in ((None, 5e-3, 400), (md.consistency_loss(exact, 8), 2e-3, 600)):
        *_, step = md.fit(student, points, steps, loss=loss, learning_rate=rate, ema_decay=0.98, **settings)
        student = copy.deepcopy(step.ema).requires_grad_(True)
    x_1 = md.prior((4000, 2), COSINE, torch.Generator().manual_seed(2))
    for steps in (1, 2, 4):
        x_0 = md.sample(student, x_1, steps=steps, method="consistency", generator=torch.Generator().manual_seed(3))
        torch.testing.assert_close(x_0.mean(0), MEAN.float(), rtol=0, atol=0.1)
        torch.testing.assert_close(x_0.var(0), VARIANCE.float(), rtol=0.15, atol=0)
    lazy = md.sample(exact, x_1, steps=1)
    assert lazy.var(0).max() < 1e-6


def test_the_sampler_goes_back_up_with_noise_that_is_all_fresh():
    def jump(x_t, t):
        return 0.5 * x_t + t

    x_1 = torch.tensor([[1.0, -2.0]])
    walk = md.trajectory(jump, x_1, COSINE, 2, "consistency", generator=torch.Generator().manual_seed(5))
    (_, x_half, first), (_, x_0, second) = walk
    z = torch.randn(1, 2, generator=torch.Generator().manual_seed(5))
    half = COSINE.at(0.5)
    torch.testing.assert_close(first, jump(x_1, 1.0))
    torch.testing.assert_close(x_half, half.alpha * first + half.sigma * z)
    torch.testing.assert_close(second, jump(x_half, 0.5))
    torch.testing.assert_close(x_0, second)


@pytest.mark.parametrize("levels", [0, -1, 2.0, True, None])
def test_bad_levels_are_named(unchecked, levels):
    with pytest.raises(ValueError, match="levels must be a whole number"):
        md.consistency_loss(teacher, levels)


@pytest.mark.parametrize("c", [0.0, -1.0, math.nan, math.inf, "0.1"])
def test_a_bad_c_is_named(unchecked, c):
    with pytest.raises(ValueError, match="c must be a finite number above 0"):
        md.consistency_loss(teacher, 4, c)


def test_a_teacher_that_is_none_is_named(unchecked):
    with pytest.raises(TypeError, match="teacher must be callable"):
        md.consistency_loss(3)
