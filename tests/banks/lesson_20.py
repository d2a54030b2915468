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

# ---- 20.2: the best single answer ----


def best(z):
    mean = z.mean(0)
    length = mean.norm()
    return mean / length, length, length**2


def best_by_pairs(z):
    answer = F.normalize(z.sum(0), dim=0)
    return answer, (z @ answer).mean(), (z @ z.T).mean()


def best_by_loop(z):
    total, n = sum(z), len(z)
    answer = total / total.square().sum().sqrt()
    own = sum(float(answer @ row) for row in z) / n
    return [answer, own, sum(float(a @ b) for a in z for b in z) / n**2]


def best_in_place(z):
    z -= z.mean(0)
    return best(z)


def with_answer(change):
    return lambda z: (change(z), *best(z)[1:])


def with_own(change):
    return lambda z: (best(z)[0], change(z, best(z)[1]), best(z)[2])


def with_sampled(change):
    return lambda z: (*best(z)[:2], change(z, best(z)[1]))


BEST_RIGHT = [best, best_by_pairs, best_by_loop]
BEST_WRONG = [
    (lambda z: None, "returns None"),
    (lambda z: best(z)[0], "return three things"),
    (lambda z: best(z)[:2], "return three things"),
    (best_in_place, "changes its input z in place"),
    (with_answer(lambda z: z.mean(0)), "the average, but it does not have length one"),
    (with_answer(lambda z: z.sum(0)), "that is the sum"),
    (with_answer(lambda z: -best(z)[0]), "the opposite of the average"),
    (with_answer(lambda z: z[(z @ z.mean(0)).argmax()]), "need not be one of them"),
    (with_answer(lambda z: F.normalize(z.median(0).values, dim=0)), "that is the median"),
    (with_answer(lambda z: z.mean() * torch.ones_like(z[0])), "over the rows"),
    (with_answer(lambda z: z[0]), "is possible"),
    (with_answer(lambda z: best(z)[0].float()), "keep the type"),
    (with_answer(lambda z: z), "have the shape"),
    (with_own(lambda z, length: length**2), "not its square"),
    (with_own(lambda z, length: 1.0), "and not with itself"),
    (with_own(lambda z, length: (z @ best(z)[0]).max()), "the nearest row"),
    (with_own(lambda z, length: len(z) * length), "the sum over the rows"),
    (with_own(lambda z, length: z @ best(z)[0]), "must be one number"),
    (with_own(lambda z, length: 0.5), "not 0.5000"),
    (with_sampled(lambda z, length: length), "what the best answer gets"),
    (with_sampled(lambda z, length: 1.0), "drawn independently"),
    (with_sampled(lambda z, length: (z @ z.T)[~torch.eye(len(z), dtype=torch.bool)].mean()), "may be the same"),
    (with_sampled(lambda z, length: (z @ z.T).sum()), "the sum over all pairs"),
    (with_sampled(lambda z, length: (z @ z.T).min()), "the worst pair"),
    (with_sampled(lambda z, length: 0.1), "not 0.1000"),
    (lambda z: best(z[9]), "stops"),
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

BANK = {"20.1": (LOSS_RIGHT, LOSS_WRONG), "20.2": (BEST_RIGHT, BEST_WRONG), "20.3": (TURNED_RIGHT, TURNED_WRONG)}
