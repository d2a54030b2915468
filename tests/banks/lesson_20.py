"""Answers that students give to the exercises of lesson 20."""

import torch
import torch.nn.functional as F

import minidiffusion as md

# ---- 20.1: CLIP's loss ----


def ways(logits):
    right = torch.arange(len(logits))
    return F.cross_entropy(logits, right), F.cross_entropy(logits.T, right)


def loss(image, text, scale):
    return sum(ways(scale * image @ text.T)) / 2


def loss_by_hand(image, text, scale):
    chances = (scale * image @ text.T).exp()
    own = chances.diagonal()
    return -((own / chances.sum(1)).log() + (own / chances.sum(0)).log()).mean() / 2


def loss_by_log_softmax(image, text, scale):
    logits = scale * torch.einsum("nd,md->nm", image, text)
    return -(logits.log_softmax(1).diagonal() + logits.log_softmax(0).diagonal()).sum() / (2 * len(image))


def loss_in_place(image, text, scale):
    image *= scale
    return loss(image, text, 1.0)


LOSS_RIGHT = [loss, loss_by_hand, loss_by_log_softmax]
LOSS_WRONG = [
    (lambda image, text, scale: None, "returns None"),
    (loss_in_place, "changes its input image in place"),
    (lambda image, text, scale: 2 * loss(image, text, scale), "the sum of both ways"),
    (lambda image, text, scale: ways(scale * image @ text.T)[0], "the captions must look"),
    (lambda image, text, scale: ways(scale * image @ text.T)[1], "the pictures must look"),
    (lambda image, text, scale: loss(image, text, 1.0), "multiply the dot products by scale"),
    (lambda image, text, scale: loss(image, text, 1 / scale), "one over a temperature"),
    (lambda image, text, scale: -loss(image, text, scale), "the sign is wrong"),
    (lambda image, text, scale: loss(image, text, scale) * len(image), "the sum over the pairs"),
    (lambda image, text, scale: -scale * (image * text).sum(1).mean(), "nothing pushes the wrong ones away"),
    (
        lambda image, text, scale: -(scale * image @ text.T).flatten().log_softmax(0)[:: len(image) + 1].mean(),
        "all pairs at once",
    ),
    (lambda image, text, scale: loss(image, text, scale).item(), "must be a tensor"),
    (lambda image, text, scale: loss(image, text, scale)[None], "must have the shape"),
    (lambda image, text, scale: loss(image, text, scale).float(), "keep the type"),
    (lambda image, text, scale: loss(image, text, scale) + 1, "for 5 pairs"),
]

# ---- 20.2: across the gap ----


def across(z, texts, images):
    moved = z + images.mean(0) - texts.mean(0)
    return moved / moved.norm(dim=1, keepdim=True)


def across_by_loop(z, texts, images):
    gap = sum(images) / len(images) - sum(texts) / len(texts)
    return torch.stack([(row + gap) / (row + gap).square().sum().sqrt() for row in z])


def across_in_place(z, texts, images):
    z += images.mean(0) - texts.mean(0)
    return F.normalize(z, dim=1)


ACROSS_RIGHT = [
    across,
    across_by_loop,
    lambda z, texts, images: F.normalize(z - (texts.mean(0) - images.mean(0)), dim=1),
]
ACROSS_WRONG = [
    (lambda z, texts, images: None, "returns None"),
    (across_in_place, "changes its input z in place"),
    (lambda z, texts, images: z + images.mean(0) - texts.mean(0), "no longer have length one"),
    (lambda z, texts, images: across(z, images, texts), "the wrong way"),
    (lambda z, texts, images: z + texts.mean(0) - images.mean(0), "the wrong way, and your vectors"),
    (lambda z, texts, images: F.normalize(z + images.mean(0), dim=1), "subtract the mean of the texts"),
    (lambda z, texts, images: F.normalize(z - texts.mean(0), dim=1), "add the mean of the pictures"),
    (lambda z, texts, images: F.normalize(z + images.mean() - texts.mean(), dim=1), "over the rows"),
    (
        lambda z, texts, images: F.normalize(z + F.normalize(images.mean(0) - texts.mean(0), dim=0), dim=1),
        "a length of its own",
    ),
    (lambda z, texts, images: F.normalize(z + images.mean(0) - texts.mean(0), dim=0), "It must be the rows"),
    (lambda z, texts, images: z, "have not moved"),
    (
        lambda z, texts, images: (z + images.mean(0) - texts.mean(0)) / (z + images.mean(0) - texts.mean(0)).norm(),
        "by its own length",
    ),
    (lambda z, texts, images: across(z, texts, images)[:2], "have the shape"),
    (lambda z, texts, images: across(z, texts, images).float(), "keep the type"),
    (lambda z, texts, images: -across(z, texts, images), "off by"),
    (lambda z, texts, images: z + (images - texts).mean(0), "stops"),
]

# ---- 20.3: moved by words ----


def turned(z, before, after, share):
    direction = (after - before) / (after - before).norm()
    angle = torch.acos(z @ direction)
    return (torch.sin((1 - share) * angle) * z + torch.sin(share * angle) * direction) / torch.sin(angle)


def turned_by_the_package(z, before, after, share):
    direction = F.normalize(after - before, dim=0)
    return md.guidance.interpolate(z[None], direction[None], [share])[0, 0]


def turned_in_the_plane(z, before, after, share):
    direction = F.normalize(after - before, dim=0)
    across = F.normalize(direction - (direction @ z) * z, dim=0)
    angle = share * torch.acos(direction @ z)
    return torch.cos(angle) * z + torch.sin(angle) * across


def direction_of(before, after):
    return F.normalize(after - before, dim=0)


def turned_in_place(z, before, after, share):
    after -= before
    return turned(z, 0 * before, after, share)


TURNED_RIGHT = [turned, turned_by_the_package, turned_in_the_plane]
TURNED_WRONG = [
    (lambda z, before, after, share: None, "returns None"),
    (turned_in_place, "changes its input after in place"),
    (lambda z, before, after, share: turned(z, after, before, share), "from `after` to `before`"),
    (lambda z, before, after, share: turned(z, 0 * before, after, share), "not towards `after` itself"),
    (lambda z, before, after, share: turned(z, before, after, 1 - share), "the ends are swapped"),
    (lambda z, before, after, share: (1 - share) * z + share * direction_of(before, after), "too short"),
    (
        lambda z, before, after, share: F.normalize((1 - share) * z + share * direction_of(before, after), dim=0),
        "but not at this share",
    ),
    (lambda z, before, after, share: z + share * direction_of(before, after), "leaves the sphere"),
    (lambda z, before, after, share: z + share * (after - before), "has not length one"),
    (lambda z, before, after, share: F.normalize(z + share * (after - before), dim=0), "one of the angle"),
    (
        lambda z, before, after, share: (
            turned(z, before, after, share) * torch.sin(torch.acos(z @ direction_of(before, after)))
        ),
        "divide by the sine",
    ),
    (lambda z, before, after, share: turned(z, before, after, share)[None], "have the shape"),
    (lambda z, before, after, share: turned(z, before, after, share).float(), "keep the type"),
    (lambda z, before, after, share: turned(z, before, after, share / 2), "has length 1.00"),
    (lambda z, before, after, share: turned(z, before, after[9], share), "stops"),
]

BANK = {"20.1": (LOSS_RIGHT, LOSS_WRONG), "20.2": (ACROSS_RIGHT, ACROSS_WRONG), "20.3": (TURNED_RIGHT, TURNED_WRONG)}
