"""Lesson 05: write the training loop, find out whether it was the weight, compute the lowest possible loss."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ... import schedule as schedules
from ...process import diffuse
from .judge import Wrong, call, close, name_mistake, number, same_kind


class _Linear(nn.Module):
    """A network whose output depends on its input and on the time of each item. It notes what it is called with."""

    def __init__(self, note: Callable[[Any, Any], None]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([0.7, -0.4], dtype=torch.float64))
        self.note = note

    def __reduce__(self) -> tuple[Any, ...]:  # the grader makes it anew, in the process of the copy
        return _Linear, (self.note,)

    def forward(self, x: Tensor, t: Any, cond: Any = None) -> Tensor:
        self.note(x, t)
        t = torch.as_tensor(t, dtype=torch.float64)
        return self.weight[0] * x + self.weight[1] * (t[:, None] if t.ndim == 1 else t) + 0.2 * x.flip(1)


def one_of_four(answer: Any) -> None:
    """05.2: one_of_four(net, x0, t, eps, schedule, skip, cap) -> the mean of min(1 / sigma^2, cap) (x0_hat - x0)^2.

    x0_hat is net(x_t, t), or alpha x_t - sigma net(x_t, t) with the skip.
    """
    generator = torch.Generator().manual_seed(0)
    for schedule in (schedules.cosine(), schedules.flow()):
        # as many points as coordinates: a time along the wrong axis raises no error, so only the values can show it
        x0, eps = torch.randn(2, 6, 6, generator=generator, dtype=torch.float64)
        t = torch.rand(6, generator=generator, dtype=torch.float64)
        t[2] = 0.0  # there the weight is infinite before it is capped
        t[4] = 0.15  # there it is far above both caps
        for skip, cap in ((False, 1.0), (False, 5.0), (True, 1.0), (True, 5.0)):
            calls: list[tuple[Any, Any]] = []
            own = _Linear(lambda x, t: None)
            net = _Linear(functools.partial(_note, calls))  # the answer may change the net that it gets
            right = _capped(own(diffuse(x0, t, eps, schedule), t), x0, t, eps, schedule, skip, cap)
            weight = net.weight
            loss = call(answer, net=net, x0=x0, t=t, eps=eps, schedule=schedule, skip=skip, cap=cap)
            if isinstance(loss, Tensor) and loss.ndim > 0:
                raise Wrong(f"the loss must be one number, but yours has the shape {tuple(loss.shape)}. Take the mean.")
            _check_calls(calls, x0, t, eps, schedule)
            number(loss, f"the loss with a time of 0 in the batch and cap = {cap:g}")
            slope = None
            if isinstance(loss, Tensor) and loss.requires_grad:
                (slope,) = torch.autograd.grad(same_kind(loss, right, "the loss"), weight, allow_unused=True)
            if slope is None:
                raise Wrong("the loss has no gradient. Return a tensor, without .item(), .detach() or torch.no_grad().")
            if not close(loss, right):
                name_mistake(loss, _wrong_losses(own, x0, t, eps, schedule, skip, cap))
                raise Wrong(
                    f"on {schedule.name} with skip = {skip} and cap = {cap:g}, your loss is {loss.item():.3g}, "
                    f"but it should be {right.item():.3g}."
                )
            if not close(slope, torch.autograd.grad(right, own.weight)[0]):
                raise Wrong("the loss has the right value but a wrong gradient. Is a part of it detached?")


def _capped(
    output: Tensor, x0: Tensor, t: Tensor, eps: Tensor, schedule: schedules.Schedule, skip: bool, cap: float
) -> Tensor:
    alpha, sigma = schedule.alpha(t)[:, None], schedule.sigma(t)[:, None]
    guess = alpha * (alpha * x0 + sigma * eps) - sigma * output if skip else output
    return ((1 / sigma**2).clamp(max=cap) * (guess - x0).square()).mean()


def _note(calls: list[tuple[Any, Any]], x: Any, t: Any) -> None:
    calls.append((x, t))


def _check_calls(calls: list[Any], x0: Tensor, t: Tensor, eps: Tensor, schedule: schedules.Schedule) -> None:
    """The network must be called once, with x_t and t."""
    if len(calls) != 1:
        raise Wrong(f"call the network once, with the whole batch. You called it {len(calls)} times.")
    x, time = calls[0]
    if type(time) is not Tensor or time.shape != t.shape or not close(time.double(), t):
        raise Wrong("the network gets the wrong times. Call net(x_t, t), with the t that comes in.")
    if type(x) is not Tensor or x.shape != x0.shape:
        raise Wrong(f"the network should get x_t, in the shape of x0, which is {tuple(x0.shape)}.")
    a, s = schedule.alpha(t)[:, None], schedule.sigma(t)[:, None]
    if not close(x, a * x0 + s * eps):
        mistakes = [
            (x0, "the network gets the clean data. Give it x_t."),
            (eps, "the network gets the noise itself. Give it x_t."),
            (s * x0 + a * eps, "alpha and sigma are swapped: alpha multiplies x0, sigma multiplies eps."),
            (a * x0 - s * eps, "the noise in x_t has the wrong sign."),
            (x0 + s * eps, "x0 should fade in x_t: multiply it by alpha(t)."),
            (a * x0 + eps, "there is too much noise in x_t: multiply eps by sigma(t)."),
            (a**2 * x0 + s**2 * eps, "you squared alpha and sigma in x_t. Use them as they are."),
            (a.T * x0 + s.T * eps, "each coordinate got its own time. Give each point its own: t[:, None]."),
        ]
        name_mistake(x, mistakes)
        raise Wrong("the network should get x_t = alpha(t) x0 + sigma(t) eps, with the eps that comes in.")


def _wrong_losses(
    net: _Linear, x0: Tensor, t: Tensor, eps: Tensor, schedule: schedules.Schedule, skip: bool, cap: float
) -> list[tuple[Tensor, str]]:
    alpha, sigma = schedule.alpha(t)[:, None], schedule.sigma(t)[:, None]
    x_t = diffuse(x0, t, eps, schedule)
    output, full, snr = net(x_t, t), 1 / sigma**2, (alpha / sigma) ** 2
    guess = alpha * x_t - sigma * output if skip else output
    error, weight = guess - x0, full.clamp(max=cap)

    def of(guess: Tensor) -> Tensor:
        return (weight * (guess - x0).square()).mean()

    return [
        (of(output), "with skip = True the network is not the guess. The guess is alpha x_t - sigma net(x_t, t)."),
        (of(alpha * x_t - sigma * output), "with skip = False, what the network answers is the guess itself."),
        (of(alpha * x_t + sigma * output), "in the guess with the skip, subtract sigma times the network's answer."),
        (of(alpha * x0 - sigma * output), "x0 itself is in your guess. The skip carries x_t, the noisy point."),
        (of(x_t - sigma * output), "the skip fades x_t: multiply it by alpha."),
        (of(sigma * x_t - alpha * output), "alpha and sigma are swapped in the guess with the skip."),
        (error.square().mean(), "the weight is missing. Each point counts min(1 / sigma^2, cap) times."),
        ((full.clamp(min=cap) * error.square()).mean(), "the cap is an upper limit: clamp(max=cap)."),
        ((sigma**2 * error.square()).mean(), "you multiplied by sigma^2. The weight is 1 / sigma^2."),
        (((1 / sigma).clamp(max=cap) * error.square()).mean(), "the weight is 1 / sigma^2, not 1 / sigma."),
        ((weight * error).square().mean(), "you squared the weight together with the error. Square the error alone."),
        ((full * error.square()).clamp(max=cap).mean(), "cap the weight, not the weighted error."),
        (
            ((1 + snr).clamp(max=cap) * error.square()).mean(),
            "1 + SNR is 1 / sigma^2 only where alpha^2 + sigma^2 = 1, and not on `flow`.",
        ),
        (
            (snr.clamp(max=cap) * error.square()).mean(),
            "the SNR is the weight of predicting the noise. Here it is 1 / sigma^2.",
        ),
        ((weight * (output - eps).square()).mean(), "compare the guess with x0, not the network with the noise."),
        ((weight * (guess - x_t).square()).mean(), "you compare with x_t, the input of the network. Compare with x0."),
        ((weight * error.square()).sum(), "you summed. Take the mean, which does not grow with the batch."),
        ((weight * error.square()).sum(1).mean(), "you summed over the coordinates. Take the mean over them too."),
        (
            (weight * error.square()).sum() / weight.expand_as(error).sum(),
            "do not divide by the sum of the weights: then the cap changes the scale of the loss too.",
        ),
        ((weight * error.abs()).mean(), "that is the mean absolute error. Square the errors instead."),
        (
            (weight.T * error.square()).mean(),
            "each coordinate got its own weight. Give each point its own: sigma[:, None].",
        ),
    ]


def floor_of_gaussian(answer: Any) -> None:
    """05.3: floor_of_gaussian(s, t, schedule) -> E (x0_hat - x0)^2 = s^2 sigma^2 / (alpha^2 s^2 + sigma^2)."""
    for schedule in (schedules.cosine(), schedules.linear(), schedules.flow()):
        for s, t in ((0.5, 0.3), (1.0, 0.5), (2.0, 0.8), (3.0, 0.45)):
            a, b = schedule.alpha(t), schedule.sigma(t)
            total = a**2 * s**2 + b**2
            right = s**2 * b**2 / total
            floor = number(call(answer, s=s, t=t, schedule=schedule), "the lowest loss")
            if abs(floor / right - 1) < 1e-4:
                continue
            mistakes = [
                (a**2 * s**2 / total, "that is the lowest loss for predicting the noise. Here you predict x0."),
                (a**2 * s**4 / total, "that is the variance of the prediction. You want what it leaves unexplained."),
                (right**0.5, "take no square root: the loss is a mean of squares."),
                (right**2, "that is the square of the loss. Do not square it once more."),
                (b**2 / total, "the factor s^2 is missing: in pure noise, the loss is the variance of the data."),
                (s * b**2 / (a**2 * s + b**2), "s is the standard deviation, so the variance is s^2."),
                (s**2 * b / (a * s**2 + b), "square alpha and sigma: the variances of independent parts add."),
                (s**2 * b**2, "the denominator is missing: divide by the variance of x_t."),
                (s**2, "that is the loss of always predicting 0. Use what x_t tells you."),
                (b**2 / a**2, "that is the loss of the prediction x_t / alpha, which is not the best one."),
                (b**2, "that is the variance of the noise in x_t. How far is the prediction from x0?"),
                (s**2 * a**2 / (a**2 + b**2 * s**2), "alpha and sigma are swapped."),
            ]
            name_mistake(floor, mistakes, lambda floor, wrong: abs(floor - wrong) < 1e-6 * max(1.0, abs(wrong)))
            raise Wrong(
                f"for s = {s} at t = {t} on {schedule.name}, yours is {floor:.3g}. Check the two ends: in pure noise "
                "the loss is s^2, and without noise it is 0."
            )
    for t, right, reason in ((1.0, 4.0, "where alpha = 0, x_t says nothing"), (0.0, 0.0, "where sigma = 0, x_t is x0")):
        floor = number(call(answer, s=2.0, t=t, schedule=schedules.flow()), "the lowest loss")
        if abs(floor - right) > 1e-6:
            raise Wrong(f"{reason}. For s = 2 the loss is {right:g} there, but yours is {floor:.3g}.")


class _Guesser(nn.Module):
    """A network that guesses x0 = weight + slope x_t. It records its inputs, and its weights at each call."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([0.3, 0.1, 0.2]))
        self.record: list[Any] = []

    def forward(self, x: Any, t: Any, cond: Any = None) -> Tensor:
        self.record.append((x, t, self.weight.detach().clone()))
        return _guess(self.weight, x)

    def __reduce__(self) -> tuple[Any, ...]:  # the grader makes it again in the copy's process
        return _Guesser, ()


def _guess(weight: Tensor, x: Tensor) -> Tensor:
    return weight[:2] + weight[2] * x


def train(answer: Any) -> None:
    """05.1: train(net, points, steps, schedule, generator) -> the losses; trains net to predict x0 from x_t and t."""
    point = torch.tensor([1.5, -1.0])
    for schedule in (schedules.cosine(), schedules.flow()):
        net, steps, generator = _Guesser(), 4, torch.Generator().manual_seed(0)
        losses = call(
            answer,
            net=net,
            points=point.expand(100, 2).clone(),
            steps=steps,
            schedule=schedule,
            generator=generator,
        )
        _check_losses(losses, steps)
        weight, calls, before = net.weight, [(x, t) for x, t, _ in net.record], [w for *_, w in net.record]
        if len(calls) != steps:
            raise Wrong(
                f"in {steps} steps, call the network {steps} times, once a step. You called it {len(calls)} times."
            )
        batches = [_check_batch(x, t, point, schedule) for x, t in calls]
        if close(batches[0], batches[1]):
            raise Wrong("every step gets the same times. Everything random must be new in each step.")
        if close(before[0], weight.detach()):
            raise Wrong("the weights of the network do not change. Does the optimiser make its step?")
        if any(close(a, b) for a, b in zip(before, before[1:], strict=False)):
            raise Wrong("the weights change in some steps only. The optimiser must make a step each time.")
        _check_gradient(weight, before[-1], calls[-1][0], point, losses)
        _check_steps([*before, weight.detach()], [x for x, _ in calls], point)
    _check_variety(answer)
    first, again, other = (_run(answer, seed) for seed in (0, 0, 1))
    if first != again:
        raise Wrong("the same seed gives two different trainings. Pass `generator` to everything that is random.")
    if first == other:
        raise Wrong("another seed gives the same training. Use the generator that comes in, not one of your own.")
    if not sum(first[-20:]) < 0.2 * sum(first[:20]):
        raise Wrong(
            f"in 300 steps the loss of a single point should fall to almost 0, but yours ends at {first[-1]:.2g}."
        )


def _run(answer: Any, seed: int) -> list[float]:
    points, generator = torch.tensor([[1.5, -1.0]]).expand(100, 2).clone(), torch.Generator().manual_seed(seed)
    losses = call(answer, net=_Guesser(), points=points, steps=300, schedule=schedules.cosine(), generator=generator)
    return _check_losses(losses, 300)


def _check_losses(losses: Any, steps: int) -> list[float]:
    if not isinstance(losses, list):
        raise Wrong(f"return the list of the losses. Yours is a {type(losses).__name__}.")
    if len(losses) != steps:
        raise Wrong(f"the list must have one loss for each of {steps} steps, but yours has {len(losses)}.")
    if not all(type(loss) is float for loss in losses):
        raise Wrong("the losses in the list must be floats. Use loss.item().")
    return losses


def _check_batch(x: Any, t: Any, point: Tensor, schedule: schedules.Schedule) -> Tensor:
    """The network must see x_t of a batch, with a time for each point. Returns the times."""
    if type(x) is not Tensor or x.shape != (64, 2):
        got = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        raise Wrong(f"the network should get x_t for 64 points, of shape (64, 2), but it got {got}.")
    if type(t) is not Tensor or t.shape != (64,):
        raise Wrong("the network should get a time for each point: a tensor of shape (64,).")
    if t.min() < 0 or t.max() > 1:
        raise Wrong("the times must lie between 0 and 1. Use torch.rand.")
    if t.std() < 0.1:
        raise Wrong("all points of a batch get the same time. Give each its own: torch.rand(64, ...).")
    a, s = schedule.alpha(t)[:, None], schedule.sigma(t)[:, None]
    x, clean = x.detach(), point.expand(64, 2)
    if close(x, clean):
        raise Wrong("the network gets the clean points. Give it x_t, which has noise in it.")
    eps = (x - a * clean) / s.clamp(min=1e-3)
    if eps.std(0).max() < 0.1 and eps.abs().max() > 0.1:
        raise Wrong("all points of a batch get the same noise. Its shape must be that of x0.")
    if abs(eps.mean().item()) > 0.5 or abs(eps.std().item() - 1) > 0.3:
        swapped = (x - s * clean) / a.clamp(min=1e-3)
        if abs(swapped.mean().item()) < 0.5 and abs(swapped.std().item() - 1) < 0.3:
            raise Wrong("alpha and sigma are swapped: alpha multiplies x0, sigma multiplies eps.")
        raise Wrong("the network should get x_t = alpha(t) x0 + sigma(t) eps, with noise of variance 1.")
    if torch.corrcoef(eps.T)[0, 1].abs() > 0.8:
        raise Wrong("both coordinates of a point get the same noise. Its shape must be that of x0.")
    return t


def _check_gradient(weight: Tensor, before: Tensor, x: Tensor, point: Tensor, losses: list[float]) -> None:
    """The last gradient must be that of the last batch alone, and of the error in x0."""
    leaf = before.clone().requires_grad_()
    loss = (_guess(leaf, x.detach()) - point).square().mean()
    (right,) = torch.autograd.grad(loss, leaf)
    if abs(losses[-1] / loss.item() - 1) > 1e-3:
        raise Wrong(
            f"the last loss should be {loss.item():.4g}, the mean of (guess - x0)^2, but yours is {losses[-1]:.4g}."
        )
    found = weight.grad
    if found is not None and found.abs().max() > 0 and not torch.allclose(found, right, rtol=1e-3, atol=1e-5):
        raise Wrong("the gradients of earlier steps are still there. Call optimiser.zero_grad() in each step.")


def _check_steps(walk: list[Tensor], seen: list[Tensor], point: Tensor) -> None:
    """The weights must move as one torch.optim.Adam with a learning rate of 0.01 moves them."""
    leaf = walk[0].clone().requires_grad_()
    adam = torch.optim.Adam([leaf], lr=0.01)
    for step, (x, before, after) in enumerate(zip(seen, walk, walk[1:], strict=False)):
        there = before.clone().requires_grad_()
        (leaf.grad,) = torch.autograd.grad((_guess(there, x.detach()) - point).square().mean(), there)
        adam.step()
        if torch.allclose(leaf.detach(), after, rtol=0, atol=1e-5):
            continue
        moved = (after - before).abs()
        if step == 0 and abs(moved.max().item() - 0.01) > 1e-3:
            raise Wrong(
                "in its first step, Adam with a learning rate of 0.01 moves each weight by 0.01. Yours moves one by "
                f"{moved.max():.2g}. Check the optimiser and its learning rate."
            )
        if (moved - 0.01).abs().max() < 1e-5:
            raise Wrong("your optimiser forgets what Adam should remember. Make it once, before the loop.")
        raise Wrong("the weights do not move as torch.optim.Adam(net.parameters(), lr=0.01) would move them.")


def _check_variety(answer: Any) -> None:
    """Points, times and noise must be new in each step. The points lie so far apart that x_t betrays its x0."""
    schedule, steps, side, gap = schedules.cosine(), 6, 20, 100.0
    axis = gap * (torch.arange(side) - (side - 1) / 2)
    points, net, generator = torch.cartesian_prod(axis, axis), _Guesser(), torch.Generator().manual_seed(0)
    losses = call(answer, net=net, points=points, steps=steps, schedule=schedule, generator=generator)
    _check_losses(losses, steps)
    chosen, noises = [], []
    for x, t, _ in net.record[:steps]:
        a, s = schedule.alpha(t)[:, None], schedule.sigma(t)[:, None]
        place = (x.detach() / a / gap + (side - 1) / 2).round().clamp(0, side - 1)
        eps = (x.detach() - a * gap * (place - (side - 1) / 2)) / s
        clear = ((a > 0.2) & (s > 0.1))[:, 0]
        chosen.append(place[clear].long() @ torch.tensor([side, 1]))
        noises.append(eps[clear])
    for batch in chosen:
        if len(batch.unique()) <= len(batch) / 2:
            raise Wrong("the same few points come again and again in a batch. Choose all 64 of them at random.")
    if len(torch.cat(chosen).unique()) <= 2 * 64:
        raise Wrong("every step gets the same points. Choose a new batch, at random, in each step.")
    for first, second in zip(noises, noises[1:], strict=False):
        if (torch.cdist(first, second).amin(1) < 0.01).double().mean() > 0.5:
            raise Wrong("the noise is the same in every step. Everything random must be new.")
    times = torch.cat([t for _, t, _ in net.record[:steps]])
    if times.min() > 0.1 or times.max() < 0.9 or abs(times.mean().item() - 0.5) > 0.1:
        raise Wrong("the times should be spread evenly between 0 and 1. Use torch.rand as it is.")


CHECKS = {"05.1": train, "05.2": one_of_four, "05.3": floor_of_gaussian}
