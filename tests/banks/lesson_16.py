"""Answers that students give to the exercises of lesson 16."""

import torch

import minidiffusion as md

# ---- 16.1: which changes are allowed ----


def matrix(change, size, dtype=torch.float64):
    return change(torch.eye(size, dtype=dtype)).T


def is_eye(x):
    return torch.allclose(x, torch.eye(len(x), dtype=x.dtype), atol=1e-4)


def allowed(change, size):
    m = matrix(change, size)
    return is_eye(m @ m.T)


def allowed_by_dot_products(change, size):
    columns = [change(e) for e in torch.eye(size)]
    return all(abs((a @ b).item() - (i == j)) < 1e-4 for i, a in enumerate(columns) for j, b in enumerate(columns))


def allowed_by_noise(change, size):
    y = change(torch.randn(100_000, size, generator=torch.Generator().manual_seed(0)))
    return ((y.T @ y / len(y) - torch.eye(size)).abs() < 0.1).all()


def allowed_by_lengths(change, size):
    x = torch.randn(20, size, generator=torch.Generator().manual_seed(0))
    return torch.allclose(change(x).norm(dim=1), x.norm(dim=1), atol=1e-4)


def unit(norms):
    return torch.allclose(norms, torch.ones_like(norms), atol=1e-4)


def allowed_full_rank(change, size):
    m = matrix(change, size)
    return bool(torch.linalg.matrix_rank(m) == size) and unit(m.norm(dim=1))


def allowed_rows_and_columns(change, size):
    m = matrix(change, size)
    return unit(m.norm(dim=1)) and unit(m.norm(dim=0))


def allowed_different_rows(change, size):
    m = matrix(change, size)
    return unit(m.norm(dim=1)) and len(m.unique(dim=0)) == size


ALLOWED_RIGHT = [allowed, allowed_by_dot_products, allowed_by_noise, allowed_by_lengths]
ALLOWED_WRONG = [
    (lambda change, size: None, "returns None"),
    (lambda change, size: True, "you allow fading"),
    (lambda change, size: False, "you refuse the half turn"),
    (lambda change, size: matrix(change, size) @ matrix(change, size).T, "return True or False"),
    (lambda change, size: allowed(change, size) * 1.0, "return True or False"),
    (lambda change, size: is_eye(matrix(change, size) @ matrix(change, size)), "you refuse a shift"),
    (lambda change, size: bool((change(torch.eye(size)).sort(1).values[:, -1] == 1).all()), "you refuse the negative"),
    (lambda change, size: bool((change(torch.eye(size)).abs() > 0.999).sum() == size), "you refuse a rotation"),
    (
        lambda change, size: torch.equal(
            matrix(change, size, torch.float32) @ matrix(change, size, torch.float32).T, torch.eye(size)
        ),
        "up to rounding",
    ),
    (lambda change, size: bool(matrix(change, size).det().abs() > 1e-6), "you allow fading"),
    (lambda change, size: bool((matrix(change, size).det().abs() - 1).abs() < 1e-6), "adding one pixel to another"),
    (lambda change, size: torch.allclose(change(torch.ones(size)).norm(), torch.ones(size).norm()), "you allow a blur"),
    (lambda change, size: abs(matrix(change, size).square().sum().item() - size) < 1e-6, "energy as a whole"),
    (lambda change, size: is_eye(matrix(change, size).square().sum(1).diag()), "copying one half"),
    (
        lambda change, size: bool(
            ((change(torch.randn(9999, size, generator=torch.Generator().manual_seed(0))).std(0) - 1).abs() < 0.1).all()
        ),
        "independent",
    ),
    (allowed_full_rank, "a blur whose contrast was turned up again"),
    (allowed_rows_and_columns, "a blur whose contrast was turned up again"),
    (allowed_different_rows, "a blur whose contrast was turned up again"),
    (lambda change, size: change(torch.eye(size + 1)), "give `change` a tensor"),
    (lambda change, size: change(size), "give `change` a tensor"),
]

# ---- 16.2: how much the seam loses ----


def weights(alpha, sigma, rho):
    clean = torch.tensor([[1.0, rho], [rho, 1.0]], dtype=torch.float64)
    return alpha * torch.linalg.solve(alpha**2 * clean + sigma**2 * torch.eye(2), clean[1])


def filling(best=weights, start=0.0, hears=lambda known, alpha: alpha * known, ends=lambda x, guess: x):
    def filled(rho, known, times, schedule):
        mean = guess = start if isinstance(start, float) else start(known)
        for t, s in zip(times[:-1], times[1:], strict=True):
            alpha, sigma = schedule.alpha(t), schedule.sigma(t)
            a, b = best(alpha, sigma, rho)
            guess = a * hears(known, alpha) + b * mean
            mean = schedule.alpha(s) * guess + schedule.sigma(s) * (mean - alpha * guess) / sigma
        return ends(mean, guess)

    return filled


def filled(rho, known, times, schedule):
    mean = 0.0
    for t, s in zip(times[:-1], times[1:], strict=True):
        a, v = schedule.alpha(t), schedule.sigma(t) ** 2
        size, shared = a * a + v, a * a * rho
        guess = a * ((rho * size - shared) * a * known + (size - rho * shared) * mean) / (size**2 - shared**2)
        mean = schedule.alpha(s) * guess + schedule.sigma(s) * (mean - a * guess) / schedule.sigma(t)
    return mean


def filled_by_library(rho, known, times, schedule):
    clean = torch.tensor([[1.0, rho], [rho, 1.0]], dtype=torch.float64)

    def guess(x, t, cond=None):
        level = schedule.at(t)
        noisy = level.alpha**2 * clean + level.sigma**2 * torch.eye(2)
        return level.alpha * x @ torch.linalg.solve(noisy, clean)

    truth = torch.tensor([[known, 0.0]], dtype=torch.float64)
    inpainted = md.guidance.inpaint(guess, truth, torch.tensor([True, False]))
    x = truth * schedule.alpha(times[0])
    return md.sample(inpainted, x, schedule, times=times)[0, 1]


def ideal(rho, known, times, schedule):
    return rho * known


def knowing(alpha, sigma, rho):
    gain = alpha * (1 - rho**2) / (alpha**2 * (1 - rho**2) + sigma**2)
    return rho * (1 - alpha * gain), gain


FILLED_RIGHT = [filled, filling(), filled_by_library]
FILLED_WRONG = [
    (lambda rho, known, times, schedule: None, "returns None"),
    (ideal, "what it *should* be"),
    (filling(knowing, hears=lambda known, alpha: known), "what it *should* be"),
    (lambda rho, known, times, schedule: known, "We ask for the other one"),
    (filling(hears=lambda known, alpha: 0.0), "never hears of the first"),
    (filling(hears=lambda known, alpha: known), "is alpha(t) known on average"),
    (filling(lambda alpha, sigma, rho: (alpha * rho / (alpha**2 + sigma**2), 0.0)), "the first pixel only"),
    (filling(lambda alpha, sigma, rho: weights(alpha, sigma, rho) / alpha), "has a factor alpha"),
    (filling(lambda alpha, sigma, rho: weights(alpha, sigma**0.5, rho)), "you added sigma(t)"),
    (filling(lambda alpha, sigma, rho: (rho, 0.0)), "as if it were clean"),
    (filling(start=lambda known: known), "whose mean is 0"),
    (lambda rho, known, times, schedule: filled(rho, known, [times[0], times[-1]], schedule), "at *every* step"),
    (filling(ends=lambda x, guess: guess), "the last guess"),
    (lambda rho, known, times, schedule: filled(rho, known, times[:-1], schedule), "stop one step too early"),
    (lambda rho, known, times, schedule: 1.1 * filled(rho, known, times, schedule), "it should be"),
    (lambda rho, known, times, schedule: torch.tensor([known, rho * known]), "must be one number"),
    (lambda rho, known, times, schedule: known / 0.0, "ZeroDivisionError"),
]

# ---- 16.3: begin in the middle ----


def noisy(x, eps, t, schedule):
    return schedule.alpha(t) * x + schedule.sigma(t) * eps


def begin(x, eps, strength, steps, schedule):
    return noisy(x, eps, strength, schedule), [strength * (1 - i / steps) for i in range(steps + 1)]


def begin_with_linspace(x, eps, strength, steps, schedule):
    return noisy(x, eps, strength, schedule), torch.linspace(strength, 0, steps + 1)


def begin_backwards(x, eps, strength, steps, schedule):
    level = schedule.at(strength)
    return [level.alpha * x + level.sigma * eps, tuple(strength * i / steps for i in range(steps, -1, -1))]


def with_picture(make):
    return lambda x, eps, strength, steps, schedule: (
        make(x, eps, strength, schedule),
        begin(x, eps, strength, steps, schedule)[1],
    )


def with_times(make):
    return lambda x, eps, strength, steps, schedule: (noisy(x, eps, strength, schedule), make(strength, steps))


def begin_in_place(x, eps, strength, steps, schedule):
    x *= schedule.alpha(strength)
    return x + schedule.sigma(strength) * eps, begin(x, eps, strength, steps, schedule)[1]


BEGIN_RIGHT = [begin, begin_with_linspace, begin_backwards]
BEGIN_WRONG = [
    (lambda x, eps, strength, steps, schedule: None, "returns None"),
    (begin_in_place, "changes its input x in place"),
    (lambda x, eps, strength, steps, schedule: noisy(x, eps, strength, schedule)[None], "return two things"),
    (with_picture(lambda x, eps, t, schedule: schedule.sigma(t) * x + schedule.alpha(t) * eps), "are swapped"),
    (with_picture(lambda x, eps, t, schedule: x + schedule.sigma(t) * eps), "its factor alpha"),
    (with_picture(lambda x, eps, t, schedule: schedule.alpha(t) * x), "no noise in your picture"),
    (with_picture(lambda x, eps, t, schedule: schedule.alpha(t) ** 2 * x + schedule.sigma(t) ** 2 * eps), "squared"),
    (with_picture(lambda x, eps, t, schedule: (1 - t) * x + t * eps), "come from the schedule"),
    (with_picture(lambda x, eps, t, schedule: eps), "noise alone"),
    (with_picture(lambda x, eps, t, schedule: x), "without noise"),
    (with_picture(lambda x, eps, t, schedule: noisy(x, eps, t / 2, schedule)), "is off by"),
    (with_times(lambda t, n: [t * i / n for i in range(n + 1)]), "your times rise"),
    (with_times(lambda t, n: [1 - i / n for i in range(n + 1)]), "begin at 1"),
    (with_times(lambda t, n: [t * (1 - i / n) for i in range(n)]), "some noise is left"),
    (with_times(lambda t, n: [t * (1 - i / (n - 1)) for i in range(n)]), "steps need"),
    (with_times(lambda t, n: [t * (1 - i / n) ** 2 for i in range(n + 1)]), "the times are"),
    (with_times(lambda t, n: t), "must be a list"),
]

BANK = {
    "16.1": (ALLOWED_RIGHT, ALLOWED_WRONG),
    "16.2": (FILLED_RIGHT, FILLED_WRONG),
    "16.3": (BEGIN_RIGHT, BEGIN_WRONG),
}
