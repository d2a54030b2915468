"""Answers that students give to the exercises of lesson 05."""

import math

import torch
import torch.nn.functional as F

import minidiffusion as md

# ---- 05.2: predict the noise ----


def noise_loss(net, x0, t, eps, schedule):
    x_t = schedule.alpha(t)[:, None] * x0 + schedule.sigma(t)[:, None] * eps
    return (net(x_t, t) - eps).square().mean()


def noise_loss_package(net, x0, t, eps, schedule):
    return F.mse_loss(net(md.diffuse(x0, t, eps, schedule), t), eps)


def noise_loss_per_item(net, x0, t, eps, schedule):
    x_t = md.diffuse(x0, t, eps, schedule)
    return torch.stack([error.pow(2).mean() for error in net(x_t, t) - eps]).mean()


def noise_loss_broadcast(net, x0, t, eps, schedule):
    t_ = t.reshape(-1, *[1] * (x0.ndim - 1))
    error = eps - net(schedule.alpha(t_) * x0 + schedule.sigma(t_) * eps, t)
    return (error * error).sum() / error.numel()


def given(mix):
    """The right loss of a network whose input is mix(alpha, sigma, x0, eps)."""

    def loss(net, x0, t, eps, schedule):
        t_ = t[:, None]
        return (net(mix(schedule.alpha(t_), schedule.sigma(t_), x0, eps), t) - eps).square().mean()

    return loss


def scored(score):
    """score(output, x0, x_t, eps, sigma) of the network's output for the right input."""

    def loss(net, x0, t, eps, schedule):
        x_t = md.diffuse(x0, t, eps, schedule)
        return score(net(x_t, t), x0, x_t, eps, schedule.sigma(t)[:, None])

    return loss


def noise_loss_no_grad(net, x0, t, eps, schedule):
    with torch.no_grad():
        return noise_loss(net, x0, t, eps, schedule)


def noise_loss_wrong_axis(net, x0, t, eps, schedule):
    return (net(schedule.alpha(t) * x0 + schedule.sigma(t) * eps, t) - eps).square().mean()


def noise_loss_in_place(net, x0, t, eps, schedule):
    x0 *= schedule.alpha(t)[:, None]
    return (net(x0 + schedule.sigma(t)[:, None] * eps, t) - eps).square().mean()


def noise_loss_one_time(net, x0, t, eps, schedule):
    return (net(md.diffuse(x0, t, eps, schedule), t[0]) - eps).square().mean()


def noise_loss_no_time(net, x0, t, eps, schedule):
    return (net(md.diffuse(x0, t, eps, schedule), torch.zeros_like(t)) - eps).square().mean()


def noise_loss_in_six_calls(net, x0, t, eps, schedule):
    x_t = md.diffuse(x0, t, eps, schedule)
    return sum((net(x_t[i : i + 1], t[i : i + 1]) - eps[i : i + 1]).square().mean() for i in range(len(x0))) / len(x0)


def noise_loss_of_a_network_set_to_zero(net, x0, t, eps, schedule):
    net.weight.data.zero_()
    return noise_loss(net, x0, t, eps, schedule)


def noise_loss_half_detached(net, x0, t, eps, schedule):
    loss = noise_loss(net, x0, t, eps, schedule)
    return 0.5 * loss + 0.5 * loss.detach()


NOISE_LOSS_RIGHT = [noise_loss, noise_loss_package, noise_loss_per_item, noise_loss_broadcast]
NOISE_LOSS_WRONG = [
    (lambda net, x0, t, eps, schedule: None, "returns None"),
    (noise_loss_in_place, "changes its input x0 in place"),
    (noise_loss_of_a_network_set_to_zero, "but it should be"),
    (noise_loss_half_detached, "a wrong gradient"),
    (lambda *inputs: noise_loss(*inputs).detach().requires_grad_(), "no gradient"),
    (noise_loss_no_grad, "no gradient"),
    (lambda *inputs: noise_loss(*inputs).item(), "no gradient"),
    (noise_loss_wrong_axis, "each coordinate got its own time"),
    (noise_loss_one_time, "gets the wrong times"),
    (noise_loss_no_time, "gets the wrong times"),
    (noise_loss_in_six_calls, "called it 6 times"),
    (given(lambda a, s, x0, eps: x0), "gets the clean data"),
    (given(lambda a, s, x0, eps: eps), "gets the noise itself"),
    (given(lambda a, s, x0, eps: s * x0 + a * eps), "swapped"),
    (given(lambda a, s, x0, eps: a * x0 - s * eps), "wrong sign"),
    (given(lambda a, s, x0, eps: x0 + s * eps), "x0 should fade"),
    (given(lambda a, s, x0, eps: a * x0 + eps), "multiply eps by sigma(t)"),
    (given(lambda a, s, x0, eps: a**2 * x0 + s**2 * eps), "squared"),
    (given(lambda a, s, x0, eps: a * x0 + s * torch.randn_like(eps)), "with the eps that comes in"),
    (given(lambda a, s, x0, eps: (a * x0 + s * eps)[0]), "stops in its line 3"),
    (given(lambda a, s, x0, eps: (a * x0 + s * eps)[None, :, 0]), "in the shape of x0"),
    (scored(lambda out, x0, x_t, eps, s: (out - eps).square()), "Take the mean"),
    (scored(lambda out, x0, x_t, eps, s: (out - eps).square().mean(1)), "Take the mean"),
    (scored(lambda out, x0, x_t, eps, s: (out - x0).square().mean()), "target is still x0"),
    (scored(lambda out, x0, x_t, eps, s: (out - x_t).square().mean()), "your target is x_t"),
    (scored(lambda out, x0, x_t, eps, s: (out - s * eps).square().mean()), "your target is sigma eps"),
    (scored(lambda out, x0, x_t, eps, s: (out + eps).square().mean()), "the sign is wrong"),
    (scored(lambda out, x0, x_t, eps, s: (out - eps).square().sum()), "you summed the squares"),
    (scored(lambda out, x0, x_t, eps, s: (out - eps).square().sum(1).mean()), "summed over the coordinates"),
    (scored(lambda out, x0, x_t, eps, s: (out - eps).abs().mean()), "mean absolute error"),
    (scored(lambda out, x0, x_t, eps, s: (out - eps).mean()), "Square them before you take the mean"),
    (scored(lambda out, x0, x_t, eps, s: (out - eps).mean() ** 2), "first square the errors"),
    (scored(lambda out, x0, x_t, eps, s: (out - eps).square().mean().sqrt()), "no square root"),
    (scored(lambda out, x0, x_t, eps, s: 2 * (out - eps).square().mean()), "but it should be"),
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
):
    def train(net, points, steps, schedule, generator):
        optimiser, losses, generator = optimise(net.parameters()), [], own(generator)
        for number in range(steps):
            x0 = points[torch.randint(len(points), (batch,), generator=generator)]
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


LOOP_RIGHT = [train_with_forget_last, loop(), train_without_replacement]
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
    (loop(optimise=lambda weights: torch.optim.Adam(weights, lr=1e-4)), "should fall to almost 0"),
    (loop(loss_of=lambda guess, x0, x_t, eps: (guess - x0).square().mean().detach()), "stops in"),
]

BANK = {
    "05.1": (LOOP_RIGHT, LOOP_WRONG),
    "05.2": (NOISE_LOSS_RIGHT, NOISE_LOSS_WRONG),
    "05.3": (FLOOR_RIGHT, FLOOR_WRONG),
}
