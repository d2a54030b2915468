"""Answers that students give to the exercises of lesson 04."""

import torch
import torch.nn.functional as F

import minidiffusion as md

# ---- 04.1: ask for the noise ----


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


def shown(mix):
    """The right loss of a network that is shown mix(alpha, sigma, x0, eps)."""

    def loss(net, x0, t, eps, schedule):
        t_ = t[:, None]
        return (net(mix(schedule.alpha(t_), schedule.sigma(t_), x0, eps), t) - eps).square().mean()

    return loss


def scored(score):
    """score(output, x0, x_t, eps, sigma) of the network's answer to the right question."""

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


def noise_loss_many_questions(net, x0, t, eps, schedule):
    x_t = md.diffuse(x0, t, eps, schedule)
    return sum((net(x_t[i : i + 1], t[i : i + 1]) - eps[i : i + 1]).square().mean() for i in range(len(x0))) / len(x0)


NOISE_LOSS_RIGHT = [noise_loss, noise_loss_package, noise_loss_per_item, noise_loss_broadcast]
NOISE_LOSS_WRONG = [
    (lambda net, x0, t, eps, schedule: None, "returns None"),
    (noise_loss_in_place, "changes its input x0 in place"),
    (noise_loss_no_grad, "no gradient"),
    (lambda *inputs: noise_loss(*inputs).item(), "no gradient"),
    (noise_loss_wrong_axis, "each coordinate got its own time"),
    (noise_loss_one_time, "not told the right times"),
    (noise_loss_no_time, "not told the right times"),
    (noise_loss_many_questions, "asked 6 times"),
    (shown(lambda a, s, x0, eps: x0), "shown the clean data"),
    (shown(lambda a, s, x0, eps: eps), "shown the noise itself"),
    (shown(lambda a, s, x0, eps: s * x0 + a * eps), "changed places"),
    (shown(lambda a, s, x0, eps: a * x0 - s * eps), "wrong sign"),
    (shown(lambda a, s, x0, eps: x0 + s * eps), "must fade"),
    (shown(lambda a, s, x0, eps: a * x0 + eps), "factor sigma(t)"),
    (shown(lambda a, s, x0, eps: a**2 * x0 + s**2 * eps), "squared"),
    (shown(lambda a, s, x0, eps: a * x0 + s * torch.randn_like(eps)), "with the eps that comes in"),
    (shown(lambda a, s, x0, eps: (a * x0 + s * eps)[0]), "stops in its line 3"),
    (shown(lambda a, s, x0, eps: (a * x0 + s * eps)[None, :, 0]), "in the shape of x0"),
    (scored(lambda out, x0, x_t, eps, s: (out - eps).square()), "take the mean"),
    (scored(lambda out, x0, x_t, eps, s: (out - eps).square().mean(1)), "take the mean"),
    (scored(lambda out, x0, x_t, eps, s: (out - x0).square().mean()), "still x0"),
    (scored(lambda out, x0, x_t, eps, s: (out - x_t).square().mean()), "your target is x_t"),
    (scored(lambda out, x0, x_t, eps, s: (out - s * eps).square().mean()), "sigma eps"),
    (scored(lambda out, x0, x_t, eps, s: (out + eps).square().mean()), "the sign"),
    (scored(lambda out, x0, x_t, eps, s: (out - eps).square().sum()), "the sum of the squares"),
    (scored(lambda out, x0, x_t, eps, s: (out - eps).square().sum(1).mean()), "summed over the coordinates"),
    (scored(lambda out, x0, x_t, eps, s: (out - eps).abs().mean()), "Square the error"),
    (scored(lambda out, x0, x_t, eps, s: (out - eps).mean()), "square them first"),
    (scored(lambda out, x0, x_t, eps, s: (out - eps).mean() ** 2), "first square"),
    (scored(lambda out, x0, x_t, eps, s: (out - eps).square().mean().sqrt()), "no root"),
    (scored(lambda out, x0, x_t, eps, s: 2 * (out - eps).square().mean()), "where it should be"),
]

# ---- 04.2: the floor ----


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
    (of(lambda s, a, b: a**2 * s**2 / (a**2 * s**2 + b**2)), "the loss of the noise"),
    (of(lambda s, a, b: s**2 * a**2 * s**2 / (a**2 * s**2 + b**2)), "variance of the guess itself"),
    (of(lambda s, a, b: (s**2 * b**2 / (a**2 * s**2 + b**2)) ** 0.5), "one root too many"),
    (of(lambda s, a, b: (s**2 * b**2 / (a**2 * s**2 + b**2)) ** 2), "one square too many"),
    (of(lambda s, a, b: b**2 / (a**2 * s**2 + b**2)), "s^2 is missing"),
    (of(lambda s, a, b: s * b**2 / (a**2 * s + b**2)), "the variance is s^2"),
    (of(lambda s, a, b: s**2 * b / (a * s**2 + b)), "to be squared"),
    (of(lambda s, a, b: s**2), "guessing 0"),
    (of(lambda s, a, b: s**2 * b**2), "without the denominator"),
    (of(lambda s, a, b: b**2), "variance of the noise"),
    (of(lambda s, a, b: b**2 / a**2), "the guess x_t / alpha"),
    (of(lambda s, a, b: 0.1 * s), "Check the ends"),
    (of(lambda s, a, b: s**2 * a**2 / (a**2 + b**2 * s**2)), "changed places"),
    (of(lambda s, a, b: s**2 * b**2 / (a**2 * s**2 + b**2) if a * b else 1.0), "floor must be s^2"),
]

# ---- 04.3: pixels into range ----


def to_range_in_place(images):
    images //= 2
    return images.float() / 63.75 - 1


RANGE_RIGHT = [
    lambda images: images.float() / 127.5 - 1,
    lambda images: 2 * (images / 255) - 1,
    lambda images: (images.double() - 127.5) / 127.5,
    lambda images: torch.lerp(torch.tensor(-1.0), torch.tensor(1.0), images.float() / 255),
    md.datasets.to_float,
]
RANGE_WRONG = [
    (lambda images: None, "returns None"),
    (lambda images: images, "must be floats"),
    (lambda images: images // 127 - 1, "must be floats"),
    (lambda images: images.float().numpy(), "must be floats"),
    (to_range_in_place, "changes its input images in place"),
    (lambda images: images / 255, "from 0 to 1"),
    (lambda images: 2 * images / 255 - 1, "starts again at 0"),
    (lambda images: 2 * images.float() / 255, "from 0 to 2"),
    (lambda images: 1 - images / 127.5, "black and white"),
    (lambda images: images / 255 - 0.5, "from -0.5 to 0.5"),
    (lambda images: images.float() / 128 - 1, "Divide by 127.5"),
    (lambda images: images.float() / 127 - 1, "Divide by 127.5"),
    (lambda images: images.float() - 127.5, "from -127.5"),
    (lambda images: (images - 128) / 127.5, "100 - 128 is 228"),
    (lambda images: images.float(), "still 0 to 255"),
    (lambda images: (images.float() - images.float().mean()) / images.float().std(), "in a straight line"),
    (lambda images: 2 * (images - images.min()) / (images.max() - images.min()).clamp(min=1) - 1, "2 * images"),
    (lambda images: (images.float() / 127.5 - 1).flatten(1), "have the shape"),
    (lambda images: images.float() / images.max() * 2 - 1, "own extremes"),
]

BANK = {
    "04.1": (NOISE_LOSS_RIGHT, NOISE_LOSS_WRONG),
    "04.2": (FLOOR_RIGHT, FLOOR_WRONG),
    "04.3": (RANGE_RIGHT, RANGE_WRONG),
}
