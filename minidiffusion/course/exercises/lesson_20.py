"""Lesson 20: the loss of CLIP, the gap between texts and pictures, and a picture that is moved by words."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .judge import Wrong, call, close, name_mistake, same_kind


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


def across(answer: Any) -> None:
    """20.2: across(z, texts, images) -> z moved by the difference of the means, with length one."""
    generator = torch.Generator().manual_seed(0)
    for n, m in ((30, 50), (40, 40), (25, 10)):
        offset = torch.randn(7, generator=generator, dtype=torch.float64)
        z, texts, images = (
            F.normalize(torch.randn(size, 7, generator=generator, dtype=torch.float64) + shift * offset, dim=1)
            for size, shift in ((6, 0.0), (n, 0.0), (m, 0.8))
        )
        gap = images.mean(0) - texts.mean(0)
        moved = z + gap
        right = moved / moved.norm(dim=1, keepdim=True)
        found = same_kind(call(answer, z=z, texts=texts, images=images), right, "the embeddings")
        if close(found, right):
            continue
        mistakes = [
            (moved, "the means are right, but your vectors no longer have length one."),
            (F.normalize(z - gap, dim=1), "you went the wrong way: from the texts to the pictures it is plus the gap."),
            (z - gap, "you went the wrong way, and your vectors no longer have length one."),
            (F.normalize(z + images.mean(0), dim=1), "subtract the mean of the texts, too."),
            (F.normalize(z - texts.mean(0), dim=1), "add the mean of the pictures, too."),
            (F.normalize(z + images.mean() - texts.mean(), dim=1), "take the mean over the rows, with .mean(0)."),
            (F.normalize(z + F.normalize(gap, dim=0), dim=1), "the gap has a length of its own. Do not change it."),
            (moved / moved.norm(), "divide each row by its own length, not by the length of all of them together."),
            (F.normalize(moved, dim=0), "you gave the columns length one. It must be the rows."),
            (z, "your vectors have not moved."),
        ]
        if n == m:
            mistakes.append((F.normalize(z + (images - texts).sum(0), dim=1), "take the mean and not the sum."))
        name_mistake(found, mistakes)
        raise Wrong(f"your vectors are off by {(found - right).norm(dim=1).mean():.2g} on average.")


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


CHECKS = {"20.1": clip_loss, "20.2": across, "20.3": moved_by_words}
