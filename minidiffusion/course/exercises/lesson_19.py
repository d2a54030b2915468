"""Lesson 19: the share of pictures that find their caption, attention with padding, and latents of the wrong size."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ... import schedule as schedules
from .judge import NotAttempted, Wrong, call, close, name_mistake, number, same_kind


def hits(answer: Any) -> None:
    """19.1: hits(image, text) -> the share of pictures whose own caption beats every other one."""
    generator = torch.Generator().manual_seed(0)
    for n, m in ((40, 40), (30, 200), (12, 60)):
        text = F.normalize(torch.randn(m, 16, generator=generator), dim=1)
        image = F.normalize(text[:n] + 0.35 * torch.randn(n, 16, generator=generator), dim=1)
        likeness = image @ text.T
        own = likeness.diagonal()
        right = ((likeness >= own[:, None]).sum(1) == 1).double().mean().item()
        by_caption = (likeness[:, :n].argmax(0) == torch.arange(n)).double().mean().item()
        among = (likeness[:, :n].argmax(1) == torch.arange(n)).double().mean().item()
        share = number(call(answer, image=image, text=text), "the share")
        if abs(share - right) < 1e-6:
            continue
        mistakes = [
            (right * n, f"that is the number of hits: divide by the {n} pictures."),
            (100 * right, "a share lies between 0 and 1; yours is in percent."),
            (1 - right, "that is the share of misses."),
            (own.mean().item(), "that is the mean dot product with the own caption, but no other caption is asked."),
            (right * n / m, f"divide by the {n} pictures, not by the {m} captions."),
            (by_caption, "you look for the best picture of each caption. Look for the best caption of each picture."),
            (among, f"you compare with the first {n} captions only. All {m} of them are in the game."),
        ]
        name_mistake(share, mistakes, lambda a, b: math.isclose(a, b, rel_tol=1e-5))
        raise Wrong(f"with {n} pictures and {m} captions the share is {right:.3f}, but yours is {share:.3f}.")
    same = torch.ones(8, 4) / 2
    share = number(call(answer, image=same, text=same), "the share")
    if abs(share) > 1e-6:
        raise Wrong(
            f"if all captions have the same vector, nothing has been found, and yet your share is {share:g}. "
            "A tie with another caption is not a hit."
        )


def attend(answer: Any) -> None:
    """19.2: attend(q, k, v, real) -> what each place collects, and its weights; padding has weight 0."""
    generator = torch.Generator().manual_seed(0)
    for n, m, d, padding in ((5, 7, 16, 3), (6, 4, 9, 0), (3, 9, 4, 7)):
        q, k, v = (torch.randn(size, d, generator=generator, dtype=torch.float64) for size in (n, m, m))
        v = torch.cat([v, v[:, :2]], dim=1)
        real = torch.arange(m) < m - padding
        scores = q @ k.T / d**0.5
        weights = scores.masked_fill(~real, -torch.inf).softmax(1)
        pair = call(answer, q=q, k=k, v=v, real=real)
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise Wrong("return two things: what the places collect, and their weights.")
        if any(part is ... for part in pair):
            raise NotAttempted
        collected = same_kind(pair[0], weights @ v, "what the places collect")
        own = same_kind(pair[1], weights, "the weights")
        if close(own, weights) and close(collected, weights @ v):
            continue
        bare, sharp = scores.softmax(1), (q @ k.T).masked_fill(~real, -torch.inf).softmax(1)
        mistakes = [
            (bare, "padding gets a part of your weights. Use `real`."),
            (bare * real, "you take away the padding after the softmax, so the rows no longer sum to 1."),
            ((scores * real).softmax(1), "a score of 0 is not a weight of 0, because exp(0) is 1."),
            (sharp, "divide the scores by the square root of the length of a query."),
            (
                (q @ k.T / d).masked_fill(~real, -torch.inf).softmax(1),
                "divide by the square root of the length, not by the length.",
            ),
            (
                (q @ k.T / m**0.5).masked_fill(~real, -torch.inf).softmax(1),
                "you divide by the square root of the number of words. It must be the length of a query.",
            ),
            (scores.softmax(0), "the softmax must run over the words, so that each place's weights sum to 1."),
            (
                scores.masked_fill(~real, -torch.inf).softmax(0),
                "the softmax must run over the words, so that each place's weights sum to 1.",
            ),
            (scores.masked_fill(real, -torch.inf).softmax(1), "you kept the padding and dropped the words."),
            (scores, "those are the scores. The weights are their softmax."),
        ]
        name_mistake(own, mistakes)
        if not close(own, weights):
            raise Wrong(f"the first place should give the weights {_row(weights)}, but yours are {_row(own)}.")
        raise Wrong("your weights are right, but what a place collects is the sum of the values times its weights.")


def _row(weights: Tensor) -> str:
    return "[" + ", ".join(f"{value:.3f}" for value in weights[0].tolist()) + "]"


def same_noise(answer: Any) -> None:
    """19.3: same_noise(t, s, schedule) -> the time at which latents of std s are as noisy as proper ones at t."""
    for schedule in (schedules.cosine(), schedules.scaled_linear(), schedules.flow()):
        for t, s in ((0.3, 2.0), (0.5, 5.5), (0.6, 0.4), (0.2, 1.0)):
            level = schedule.log_snr(t)
            right, half, wrong, squared = (schedule.time(level - part * math.log(s)) for part in (2.0, 1.0, -2.0, 4.0))
            base10 = schedule.time(level - 2 * math.log10(s))
            raw, ratio = schedule.time(level - s**2), level - 2 * math.log(s)
            found = number(call(answer, t=t, s=s, schedule=schedule), "the time")
            if abs(found - right) < 1e-5:
                continue
            mistakes = [
                (wrong, "the wrong way round: for s > 1 the noise destroys less, so t' must be later than t."),
                (half, "s is the standard deviation of the signal, but SNR compares variances."),
                (squared, "you squared s twice: its logarithm counts two times, not four."),
                (base10, "log_snr is a natural logarithm: use math.log."),
                (raw, "logarithms are subtracted, but you subtracted s squared itself."),
                (ratio, "that is the logarithm of the SNR to ask for. schedule.time turns it into a time."),
                (t, "that is t itself. With larger latents the same t has less noise in comparison."),
                (t * s, "times do not scale with s: go through the signal-to-noise ratio."),
                (t / s, "times do not scale with s: go through the signal-to-noise ratio."),
            ]
            name_mistake(found, mistakes, lambda a, b: abs(a - b) < 1e-5)
            raise Wrong(
                f"for t = {t:g}, s = {s:g} and the schedule {schedule.name} t' is {right:.3f}, not {found:.3f}."
            )


CHECKS = {"19.1": hits, "19.2": attend, "19.3": same_noise}
