"""Lesson 20: the loss of CLIP, the best single answer, and a picture that is moved by words."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .judge import NotAttempted, Wrong, call, close, name_mistake, number, same_kind


def clip_loss(answer: Any) -> None:
    """20.1: clip_loss(image, text, scale) -> the contrastive loss of a batch of pairs, both ways, averaged."""
    generator = torch.Generator().manual_seed(0)
    for n, scale in ((5, 14.0), (8, 3.0), (3, 1.0)):
        image, text = (F.normalize(torch.randn(n, 6, generator=generator, dtype=torch.float64), dim=1) for _ in "it")
        logits = scale * image @ text.T
        right = torch.arange(n)
        by_picture, by_text = F.cross_entropy(logits, right), F.cross_entropy(logits.T, right)
        bare = image @ text.T
        loss = same_kind(call(answer, image=image, text=text, scale=scale), by_picture, "the loss")
        if close(loss, (by_picture + by_text) / 2):
            continue
        everything = -logits.flatten().log_softmax(0).view(n, n).diagonal().mean()
        mistakes = [
            (by_picture + by_text, "that is the sum of both ways. Take their average."),
            (by_picture, "the pictures look for their captions, but the captions must look for their pictures, too."),
            (by_text, "the captions look for their pictures, but the pictures must look for their captions, too."),
            (
                (F.cross_entropy(bare, right) + F.cross_entropy(bare.T, right)) / 2,
                "multiply the dot products by scale.",
            ),
            (
                (F.cross_entropy(bare / scale, right) + F.cross_entropy(bare.T / scale, right)) / 2,
                "scale multiplies the dot products; it is one over a temperature.",
            ),
            (-(by_picture + by_text) / 2, "the sign is wrong: a loss is minus the logarithm of a share."),
            (n * (by_picture + by_text) / 2, "that is the sum over the pairs. Take their average."),
            (-logits.diagonal().mean(), "you reward the right pairs, but nothing pushes the wrong ones away."),
            (everything, "your softmax runs over all pairs at once. It must run over one row, and over one column."),
        ]
        name_mistake(loss, mistakes)
        raise Wrong(
            f"for {n} pairs and scale {scale:g} the loss is {float((by_picture + by_text) / 2):.3f}, not "
            f"{float(loss):.3f}."
        )


def best_answer(answer: Any) -> None:
    """20.2: best_answer(z) -> the unit vector with the highest expected cosine, that cosine, and that of a sample."""
    generator = torch.Generator().manual_seed(0)
    for n, width in ((5, 4), (9, 6), (3, 7)):
        z = F.normalize(torch.randn(n, width, generator=generator, dtype=torch.float64) + 0.6, dim=1)
        mean = z.mean(0)
        length, right = float(mean.norm()), F.normalize(mean, dim=0)
        parts = call(answer, z=z)
        if not isinstance(parts, (tuple, list)) or len(parts) != 3:
            raise Wrong("return three things: the best answer, its expected cosine, and that of somebody who samples.")
        if any(part is ... for part in parts):
            raise NotAttempted
        best = same_kind(parts[0], right, "the best answer")
        own, sampled = number(parts[1], "the expected cosine"), number(parts[2], "the expected cosine of a sample")
        if not close(best, right):
            mistakes: list[tuple[Any, str]] = [
                (mean, "that is the average, but it does not have length one."),
                (z.sum(0), "that is the sum, and it does not have length one."),
                (-right, "you answer with the opposite of the average."),
                (z[(z @ mean).argmax()], "that is the best of the rows. The answer need not be one of them."),
                (F.normalize(z.median(0).values, dim=0), "that is the median. The expected value belongs to the mean."),
                (F.normalize(z, dim=1).mean() * torch.ones_like(mean), "take the mean over the rows, with .mean(0)."),
            ]
            name_mistake(best, mistakes)
            raise Wrong(
                f"your answer has an expected cosine of {float(z.mean(0) @ F.normalize(best, dim=0)):.4f}, and "
                f"{length:.4f} is possible. Write the expected cosine of u as one dot product."
            )
        if not _alike(own, length):
            mistakes = [
                (
                    length**2,
                    "your answer is right, but its expected cosine is the length of the average, not its square.",
                ),
                (1.0, "compare the best answer with the rows, and not with itself."),
                (float((z @ right).max()), "that is its cosine with the nearest row. Take the mean over all rows."),
                (n * length, "that is the sum over the rows. Take the mean."),
            ]
            name_mistake(own, mistakes, _alike)
            raise Wrong(f"your answer is right, but its expected cosine is {length:.4f}, not {own:.4f}.")
        if not _alike(sampled, length**2):
            mistakes = [
                (length, "that is what the best answer gets. Somebody who samples answers with a row."),
                (1.0, "somebody who samples does not know the true row: the two are drawn independently."),
                (
                    (n * length**2 - 1) / (n - 1),
                    "the true row and the sampled one may be the same: all n times n pairs are equally likely.",
                ),
                (n**2 * length**2, "that is the sum over all pairs. Take the mean."),
                (float((z @ z.T).min()), "that is the worst pair. Take the mean over all pairs."),
            ]
            name_mistake(sampled, mistakes, _alike)
            raise Wrong(f"somebody who samples has an expected cosine of {length**2:.4f}, not {sampled:.4f}.")


def _alike(a: float, b: float) -> bool:
    return abs(a - b) < 1e-6


def moved_by_words(answer: Any) -> None:
    """20.3: moved_by_words(z, before, after, share) -> z turned towards the normalised difference, along the arc."""
    generator = torch.Generator().manual_seed(0)
    for width in (5, 128):
        for share in (0.3, 0.5, 0.0, 1.0):
            z, before, after = (
                F.normalize(torch.randn(width, generator=generator, dtype=torch.float64), dim=0) for _ in range(3)
            )
            direction = F.normalize(after - before, dim=0)
            right, line = _arc(z, direction, share), (1 - share) * z + share * direction
            found = same_kind(call(answer, z=z, before=before, after=after, share=share), right, "the embedding")
            if close(found, right):
                continue
            mistakes = [
                (_arc(z, -direction, share), "you move from `after` to `before`."),
                (_arc(z, after, share), "turn towards the difference of the texts, not towards `after` itself."),
                (_arc(direction, z, share), "the ends are swapped: share 0 must give z."),
                (line, "that is on the straight line, so it is too short. Go along the arc."),
                (F.normalize(line, dim=0), "a point of the line, stretched, is on the arc but not at this share."),
                (z + share * direction, "that leaves the sphere. Go along the arc."),
                (z + share * (after - before), "that leaves the sphere, and the direction has not length one."),
                (F.normalize(z + share * direction, dim=0), "the share is one of the angle. Go along the arc."),
                (F.normalize(z + share * (after - before), dim=0), "the share is one of the angle. Go along the arc."),
                (right * torch.sin(torch.acos(z @ direction)), "divide by the sine of the angle."),
            ]
            name_mistake(found, mistakes)
            if share == 0.0:
                raise Wrong("at share 0 the picture must stay as it is.")
            raise Wrong(
                f"at share {share:g} your embedding has length {found.norm():.2f} and a cosine of "
                f"{F.cosine_similarity(found, right, dim=0):.2f} with the right one. Did you divide the difference of "
                "the texts by its length before you took the angle?"
            )


def _arc(x: Tensor, y: Tensor, share: float) -> Tensor:
    angle = torch.acos((x @ y).clamp(-1, 1))
    return (torch.sin((1 - share) * angle) * x + torch.sin(share * angle) * y) / torch.sin(angle)


CHECKS = {"20.1": clip_loss, "20.2": best_answer, "20.3": moved_by_words}
