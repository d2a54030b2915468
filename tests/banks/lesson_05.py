"""Answers that students give to the exercises of lesson 05."""

import math

import torch
import torch.nn.functional as F

import minidiffusion as md

# ---- 05.2: was it the weight? ----


def one_of_four(net, x0, t, eps, schedule, skip, cap):
    alpha, sigma = schedule.alpha(t)[:, None], schedule.sigma(t)[:, None]
    x_t = alpha * x0 + sigma * eps
    guess = alpha * x_t - sigma * net(x_t, t) if skip else net(x_t, t)
    weight = (1 / sigma**2).clamp(max=cap)
    return (weight * (guess - x0).square()).mean()


def one_of_four_package(net, x0, t, eps, schedule, skip, cap):
    x_t, sigma = md.diffuse(x0, t, eps, schedule), schedule.sigma(t)
    output = net(x_t, t)
    if skip:
        output = schedule.alpha(t)[:, None] * x_t - sigma[:, None] * output
    error = (output - x0).pow(2).mean(1)
    return (error / sigma.square().clamp(min=1 / cap)).mean()


def one_of_four_per_item(net, x0, t, eps, schedule, skip, cap):
    x_t = md.diffuse(x0, t, eps, schedule)
    total = 0.0
    for x, clean, out, time in zip(x_t, x0, net(x_t, t), t.tolist(), strict=True):
        a, s = schedule.alpha(time), schedule.sigma(time)
        guess = a * x - s * out if skip else out
        total = total + min(cap, 1 / s**2 if s > 0 else cap) * F.mse_loss(guess, clean)
    return total / len(x0)


def one_of_four_factors(net, x0, t, eps, schedule, skip, cap):
    alpha, sigma = (curve(t)[:, None] for curve in (schedule.alpha, schedule.sigma))
    x_t = md.diffuse(x0, t, eps, schedule)
    keep, scale = (alpha, -sigma) if skip else (0.0, 1.0)
    error = x0 - keep * x_t - scale * net(x_t, t)
    return (torch.where(sigma**2 * cap < 1, cap, sigma**-2) * error * error).sum() / error.numel()


def given(mix):
    """The right loss of a network whose input is mix(alpha, sigma, x0, eps)."""

    def loss(net, x0, t, eps, schedule, skip, cap):
        a, s = schedule.alpha(t)[:, None], schedule.sigma(t)[:, None]
        output = net(mix(a, s, x0, eps), t)
        guess = a * (a * x0 + s * eps) - s * output if skip else output
        return ((1 / s**2).clamp(max=cap) * (guess - x0).square()).mean()

    return loss


def guessed(guess_of, without_skip=lambda out, x0, x_t, a, s: out):
    """The loss of guess_of(output, x0, x_t, alpha, sigma) where there is a skip."""

    def loss(net, x0, t, eps, schedule, skip, cap):
        a, s = schedule.alpha(t)[:, None], schedule.sigma(t)[:, None]
        x_t = a * x0 + s * eps
        guess = (guess_of if skip else without_skip)(net(x_t, t), x0, x_t, a, s)
        return ((1 / s**2).clamp(max=cap) * (guess - x0).square()).mean()

    return loss


def scored(score):
    """score(error, a, s, cap) of the right guess."""

    def loss(net, x0, t, eps, schedule, skip, cap):
        a, s = schedule.alpha(t)[:, None], schedule.sigma(t)[:, None]
        x_t = a * x0 + s * eps
        guess = a * x_t - s * net(x_t, t) if skip else net(x_t, t)
        return score(guess - x0, a, s, cap)

    return loss


def capped(s, cap):
    return (1 / s**2).clamp(max=cap)


def one_of_four_no_grad(*inputs):
    with torch.no_grad():
        return one_of_four(*inputs)


def one_of_four_in_two_calls(net, x0, t, eps, schedule, skip, cap):
    x_t = md.diffuse(x0, t, eps, schedule)
    direct = net(x_t, t)
    with_skip = schedule.alpha(t)[:, None] * x_t - schedule.sigma(t)[:, None] * net(x_t, t)
    return (capped(schedule.sigma(t)[:, None], cap) * ((with_skip if skip else direct) - x0).square()).mean()


def one_of_four_without_times(net, x0, t, eps, schedule, skip, cap):
    return one_of_four(lambda x, time: net(x, torch.zeros_like(time)), x0, t, eps, schedule, skip, cap)


def one_of_four_in_place(net, x0, t, eps, schedule, skip, cap):
    loss = one_of_four(net, x0, t, eps, schedule, skip, cap)
    x0 *= 2
    return loss


def one_of_four_half_detached(*inputs):
    loss = one_of_four(*inputs)
    return 0.5 * loss + 0.5 * loss.detach()


def one_of_four_wrong_axis(net, x0, t, eps, schedule, skip, cap):
    x_t = schedule.alpha(t) * x0 + schedule.sigma(t) * eps
    return (net(x_t, t) - x0).square().mean()


ONE_OF_FOUR_RIGHT = [one_of_four, one_of_four_package, one_of_four_per_item, one_of_four_factors]
ONE_OF_FOUR_WRONG = [
    (lambda net, x0, t, eps, schedule, skip, cap: None, "returns None"),
    (one_of_four_in_place, "changes its input x0 in place"),
    (one_of_four_half_detached, "a wrong gradient"),
    (one_of_four_no_grad, "no gradient"),
    (lambda *inputs: one_of_four(*inputs).item(), "no gradient"),
    (one_of_four_wrong_axis, "each coordinate got its own time"),
    (one_of_four_without_times, "gets the wrong times"),
    (one_of_four_in_two_calls, "called it 2 times"),
    (given(lambda a, s, x0, eps: x0), "gets the clean data"),
    (given(lambda a, s, x0, eps: s * x0 + a * eps), "swapped"),
    (guessed(lambda out, x0, x_t, a, s: out), "with skip = True the network is not the guess"),
    (guessed(*[lambda out, x0, x_t, a, s: a * x_t - s * out] * 2), "with skip = False"),
    (guessed(lambda out, x0, x_t, a, s: a * x_t + s * out), "subtract sigma times"),
    (guessed(lambda out, x0, x_t, a, s: a * x0 - s * out), "x0 itself is in your guess"),
    (guessed(lambda out, x0, x_t, a, s: x_t - s * out), "multiply it by alpha"),
    (guessed(lambda out, x0, x_t, a, s: s * x_t - a * out), "swapped in the guess"),
    (guessed(lambda out, x0, x_t, a, s: x_t - out), "but it should be"),
    (scored(lambda error, a, s, cap: error.square().mean()), "the weight is missing"),
    (scored(lambda error, a, s, cap: (error.square() / s**2).mean()), "division by 0"),
    (scored(lambda error, a, s, cap: (s**2 * error.square()).mean()), "you multiplied by sigma^2"),
    (scored(lambda error, a, s, cap: ((1 / s).clamp(max=cap) * error.square()).mean()), "not 1 / sigma"),
    (scored(lambda error, a, s, cap: (capped(s, cap) * error).square().mean()), "Square the error alone"),
    (scored(lambda error, a, s, cap: (1 + a**2 / s**2).clamp(max=cap).mul(error**2).mean()), "not on `flow`"),
    (scored(lambda error, a, s, cap: ((a / s) ** 2).clamp(max=cap).mul(error**2).mean()), "predicting the noise"),
    (scored(lambda error, a, s, cap: (capped(s, cap) * error.square()).sum()), "you summed"),
    (scored(lambda error, a, s, cap: (capped(s, cap) * error.square()).sum(1).mean()), "over the coordinates"),
    (scored(lambda error, a, s, cap: (capped(s, cap) * error.square()).mean(1)), "Take the mean"),
    (scored(lambda error, a, s, cap: (capped(s, cap) * error.abs()).mean()), "mean absolute error"),
    (scored(lambda error, a, s, cap: (capped(s, cap).T * error.square()).mean()), "each coordinate got its own weight"),
    (
        scored(lambda error, a, s, cap: (capped(s, cap) * error**2).mean() / capped(s, cap).mean()),
        "do not divide by the sum",
    ),
]

# ---- 05.3: the lowest possible loss ----


def floor(s, t, schedule):
    signal, noise = schedule.alpha(t) ** 2 * s**2, schedule.sigma(t) ** 2
    return s**2 * noise / (signal + noise)


def floor_by_parts(s, t, schedule):
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    gain = alpha * s**2 / (alpha**2 * s**2 + sigma**2)
    return (gain * alpha - 1) ** 2 * s**2 + gain**2 * sigma**2


def floor_by_precision(s, t, schedule):
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    return 0.0 if sigma == 0 else 1 / (1 / s**2 + alpha**2 / sigma**2)


def floor_as_tensor(s, t, schedule):
    return torch.tensor(floor(s, t, schedule), dtype=torch.float64)


def of(formula):
    return lambda s, t, schedule: formula(s, schedule.alpha(t), schedule.sigma(t))


FLOOR_RIGHT = [floor, floor_by_parts, floor_by_precision, floor_as_tensor]
FLOOR_WRONG = [
    (lambda s, t, schedule: None, "returns None"),
    (lambda s, t, schedule: schedule.alpha(torch.tensor([t, t])), "must be one number"),
    (lambda s, t, schedule: schedule.snr(t), "stops"),
    (of(lambda s, a, b: a**2 * s**2 / (a**2 * s**2 + b**2)), "for predicting the noise"),
    (of(lambda s, a, b: s**2 * a**2 * s**2 / (a**2 * s**2 + b**2)), "variance of the prediction"),
    (of(lambda s, a, b: (s**2 * b**2 / (a**2 * s**2 + b**2)) ** 0.5), "no square root"),
    (of(lambda s, a, b: (s**2 * b**2 / (a**2 * s**2 + b**2)) ** 2), "the square of the loss"),
    (of(lambda s, a, b: b**2 / (a**2 * s**2 + b**2)), "s^2 is missing"),
    (of(lambda s, a, b: s * b**2 / (a**2 * s + b**2)), "the variance is s^2"),
    (of(lambda s, a, b: s**2 * b / (a * s**2 + b)), "square alpha and sigma"),
    (of(lambda s, a, b: s**2), "always predicting 0"),
    (of(lambda s, a, b: s**2 * b**2), "the denominator is missing"),
    (of(lambda s, a, b: b**2), "variance of the noise"),
    (of(lambda s, a, b: b**2 / a**2), "the prediction x_t / alpha"),
    (of(lambda s, a, b: 0.1 * s), "Check the two ends"),
    (of(lambda s, a, b: s**2 * a**2 / (a**2 + b**2 * s**2)), "swapped"),
    (of(lambda s, a, b: s**2 * b**2 / (a**2 * s**2 + b**2) if a * b else 1.0), "x_t says nothing"),
    (of(lambda s, a, b: s**2 * b**2 / (a**2 * s**2 + b**2) if a * b else math.nan), "division by 0"),
    (of(lambda s, a, b: 1 / (1 / s**2 + a**2 / b**2)), "stops in its line 1 with ZeroDivisionError"),
]

# ---- 05.1: the training loop ----


def loop(
    noised=lambda x0, t, eps, schedule: md.diffuse(x0, t, eps, schedule),
    times=lambda generator: torch.rand(64, generator=generator),
    loss_of=lambda guess, x0, x_t, eps: (guess - x0).square().mean(),
    batch=64,
    keep=lambda loss: loss.item(),
    end=lambda losses: losses,
    forget=True,
    descend=lambda number: True,
    noise=lambda x0, generator: torch.randn(x0.shape, generator=generator),
    own=lambda generator: generator,
    optimise=lambda weights: torch.optim.Adam(weights, lr=0.01),
    choose=lambda points, number, generator: points[torch.randint(len(points), (64,), generator=generator)],
    remake=False,
):
    def train(net, points, steps, schedule, generator):
        optimiser, losses, generator = optimise(net.parameters()), [], own(generator)
        for number in range(steps):
            if remake:
                optimiser = optimise(net.parameters())
            x0 = choose(points, number, generator)[:batch]
            t = times(generator)
            eps = noise(x0, generator)
            x_t = noised(x0, t, eps, schedule)
            loss = loss_of(net(x_t, t), x0, x_t, eps)
            if forget:
                optimiser.zero_grad()
            loss.backward()
            if descend(number):
                optimiser.step()
            losses.append(keep(loss))
        return end(losses)

    return train


def train_without_replacement(net, points, steps, schedule, generator):
    optimiser, losses = torch.optim.AdamW(net.parameters(), lr=0.01, weight_decay=0.0), []
    while len(losses) < steps:
        x0 = points[torch.randperm(len(points), generator=generator)[:64]]
        t = md.objectives.draw_times(64, generator)
        x_t = md.diffuse(x0, t, torch.empty_like(x0).normal_(generator=generator), schedule)
        optimiser.zero_grad()
        loss = (net(x_t, t) - x0).pow(2).sum() / x0.numel()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    return losses


def train_with_forget_last(net, points, steps, schedule, generator):
    optimiser, losses = torch.optim.Adam(net.parameters(), lr=0.01), []
    for _ in range(steps):
        x0 = points[torch.randint(0, len(points), (64,), generator=generator)]
        t, eps = torch.rand(64, generator=generator), torch.randn(64, 2, generator=generator)
        x_t = schedule.alpha(t)[:, None] * x0 + schedule.sigma(t)[:, None] * eps
        loss = torch.nn.functional.mse_loss(net(x_t, t), x0)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        losses += [loss.item()]
    return losses


def fixed(maker):
    """The same numbers in each step."""
    return lambda *inputs: maker(torch.Generator().manual_seed(0))


def prepared(once):
    """What `once` makes before the loop serves in every step."""

    def train(net, points, steps, schedule, generator):
        x0 = points[torch.randint(len(points), (64,), generator=generator)]
        eps = torch.randn(64, 2, generator=generator)
        again = {"x0": {"choose": lambda *_: x0}, "eps": {"noise": lambda *_: eps}}[once]
        return loop(**again)(net, points, steps, schedule, generator)

    return train


def rolled_noise(net, points, steps, schedule, generator):
    eps = list(torch.randn(64, 2, generator=generator))

    def noise(x0, generator):
        eps.append(eps.pop(0))
        return torch.stack(eps)

    return loop(noise=noise)(net, points, steps, schedule, generator)


def adam(rate):
    return lambda weights: torch.optim.Adam(weights, lr=rate)


def shuffled(points, number, generator):
    return points[:64][torch.randperm(64, generator=generator)]


def in_epochs(net, points, steps, schedule, generator):
    queue = []

    def choose(points, number, generator):
        if len(queue) < 64:
            queue.extend(torch.randperm(len(points), generator=generator).tolist())
        batch = [queue.pop() for _ in range(64)]
        return points[batch]

    return loop(choose=choose)(net, points, steps, schedule, generator)


LOOP_RIGHT = [train_with_forget_last, loop(), train_without_replacement, in_epochs]
LOOP_WRONG = [
    (lambda net, points, steps, schedule, generator: None, "returns None"),
    (0.5, "without brackets"),
    (loop(forget=False), "zero_grad"),
    (loop(descend=lambda number: False), "do not change"),
    (loop(descend=lambda number: number % 2 == 0), "in some steps only"),
    (loop(noised=lambda x0, t, eps, schedule: x0), "clean points"),
    (loop(noised=lambda x0, t, eps, schedule: md.diffuse(eps, t, x0, schedule)), "swapped"),
    (loop(noised=lambda x0, t, eps, schedule: x0 + eps), "x_t = alpha(t) x0"),
    (loop(noised=lambda x0, t, eps, schedule: md.diffuse(x0, t, 0 * eps, schedule)), "noise of variance 1"),
    (loop(noise=lambda x0, g: torch.randn(64, 1, generator=g).expand(64, 2)), "the same noise"),
    (loop(times=lambda g: torch.rand(1, generator=g).expand(64)), "the same time"),
    (loop(times=lambda g: 0.2 + 1.5 * torch.rand(64, generator=g), noised=lambda x, t, e, s: x), "between 0 and 1"),
    (loop(times=fixed(lambda g: torch.rand(64, generator=g))), "the same times"),
    (loop(loss_of=lambda guess, x0, x_t, eps: (guess - eps).square().mean()), "the mean of (guess - x0)^2"),
    (loop(loss_of=lambda guess, x0, x_t, eps: (guess - x0).square().sum()), "the mean of (guess - x0)^2"),
    (loop(loss_of=lambda guess, x0, x_t, eps: (guess - x0).abs().mean()), "the mean of (guess - x0)^2"),
    (loop(batch=32, times=lambda g: torch.rand(32, generator=g)), "64 points"),
    (loop(keep=lambda loss: loss.detach()), "must be floats"),
    (loop(end=lambda losses: losses[-1]), "return the list"),
    (loop(end=lambda losses: losses[1:]), "one loss for each"),
    (loop(end=torch.tensor), "return the list"),
    (loop(own=lambda g: None), "two different trainings"),
    (loop(own=lambda g: torch.Generator().manual_seed(0)), "another seed"),
    (prepared("x0"), "every step gets the same points"),
    (prepared("eps"), "the noise is the same in every step"),
    (rolled_noise, "the noise is the same in every step"),
    (loop(noise=lambda x0, g: torch.randn(1, 2, generator=g).expand(64, 2)), "the same noise"),
    (loop(choose=lambda points, number, g: points[:64]), "every step gets the same points"),
    (loop(choose=shuffled), "every step gets the same points"),
    (
        loop(choose=lambda points, number, g: points[torch.randint(len(points), (1,), generator=g)].expand(64, 2)),
        "the same few points",
    ),
    (loop(choose=lambda points, number, g: points[number : number + 1].expand(64, 2)), "the same few points"),
    (loop(times=lambda g: 0.4 * torch.rand(64, generator=g)), "spread evenly"),
    (loop(remake=True), "Make it once, before the loop"),
    (loop(optimise=adam(1e-4)), "Check the optimiser"),
    (loop(optimise=adam(0.001)), "Check the optimiser"),
    (loop(optimise=adam(0.005)), "Check the optimiser"),
    (loop(optimise=adam(0.02)), "Check the optimiser"),
    (loop(optimise=adam(0.05)), "Check the optimiser"),
    (loop(optimise=lambda weights: torch.optim.SGD(weights, lr=0.01)), "Check the optimiser"),
    (loop(optimise=lambda weights: torch.optim.SGD(weights, lr=0.1)), "Check the optimiser"),
    (loop(optimise=lambda weights: torch.optim.RMSprop(weights, lr=0.01)), "Check the optimiser"),
    (loop(optimise=lambda weights: torch.optim.AdamW(weights, lr=0.01)), "do not move as torch.optim.Adam"),
    (loop(loss_of=lambda guess, x0, x_t, eps: (guess - x0).square().mean().detach()), "stops in"),
]

BANK = {
    "05.1": (LOOP_RIGHT, LOOP_WRONG),
    "05.2": (ONE_OF_FOUR_RIGHT, ONE_OF_FOUR_WRONG),
    "05.3": (FLOOR_RIGHT, FLOOR_WRONG),
}
