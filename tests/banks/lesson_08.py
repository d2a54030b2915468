"""Answers that students give to the exercises of lesson 08."""

import math

import torch

import minidiffusion as md

# ---- 08.1: a schedule that ends in noise ----


def end_in_noise(alphas):
    first, last = alphas[0], alphas[-1]
    return (alphas - last) * first / (first - last)


def end_by_line(alphas):
    return alphas[0] * (1 - (alphas[0] - alphas) / (alphas[0] - alphas[-1]))


def end_by_clone(alphas):
    new = alphas.clone()
    new -= alphas[-1]
    new *= alphas[0] / new[0]
    return new


def end_in_place(alphas):
    alphas -= alphas[-1].item()
    return alphas


END_RIGHT = [end_in_noise, end_by_line, end_by_clone]
END_WRONG = [
    (lambda alphas: None, "returns None"),
    (end_in_place, "changes its input alphas in place"),
    (lambda alphas: 1.0 * alphas, "unchanged"),
    (lambda alphas: alphas - alphas[-1], "did not stretch them"),
    (lambda alphas: (alphas - alphas[-1]) / (alphas[0] - alphas[-1]), "yours became 1"),
    (lambda alphas: (alphas - alphas[-1]) / (1 - alphas[-1]), "as if the first were 1"),
    (lambda alphas: alphas * alphas[0] / (alphas[0] - alphas[-1]), "did not shift them"),
    (lambda alphas: torch.cat([alphas[:-1], torch.zeros(1, dtype=alphas.dtype)]), "you changed only the last"),
    (lambda alphas: (alphas - alphas[-1]) * (alphas[0] - alphas[-1]) / alphas[0], "upside down"),
    (lambda alphas: (end_in_noise(alphas**2)).clamp(min=0).sqrt(), "alpha squared"),
    (lambda alphas: alphas[0] * torch.linspace(1, 0, len(alphas), dtype=alphas.dtype), "in between"),
    (lambda alphas: end_in_noise(alphas)[:-1], "have the shape"),
    (lambda alphas: end_in_noise(alphas).float(), "keep the type"),
    (lambda alphas: end_in_noise(alphas).tolist(), "must be a tensor"),
    (lambda alphas: end_in_noise(alphas).flip(0), "the last must be 0"),
]

# ---- 08.2: a diagnosis ----


def diagnose(found, mean, spread, pixels, rest):
    kappa = 1 - found / mean
    ratio = kappa / (1 - kappa**2) ** 0.5 / (pixels**0.5 * spread)
    alpha = ratio / (1 + ratio**2) ** 0.5
    v = alpha**2 * pixels * spread**2 + 1 - alpha**2
    eta = max(math.log(rest) / math.log(kappa) - 1, 0) ** 0.5
    return alpha, spread / v**0.5, eta


def diagnose_in_one_line(found, mean, spread, pixels, rest):
    kappa = (mean - found) / mean
    alpha = kappa / math.sqrt(kappa**2 + pixels * spread**2 * (1 - kappa**2))
    eta = math.sqrt(math.log(rest, kappa) - 1) if kappa > rest else 0
    return [alpha, kappa / (alpha * math.sqrt(pixels)), torch.tensor(eta, dtype=torch.float64)]


def diagnose_by_bisection(found, mean, spread, pixels, rest):
    def lost(alpha):
        return alpha * pixels**0.5 * spread / (alpha**2 * pixels * spread**2 + 1 - alpha**2) ** 0.5

    kappa, low, high = 1 - found / mean, 0.0, 1.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if lost(middle) < kappa else (low, middle)
    v, eta, far = low**2 * pixels * spread**2 + 1 - low**2, 0.0, 100.0
    if kappa > rest:
        for _ in range(80):
            middle = (eta + far) / 2
            eta, far = (middle, far) if kappa ** (1 + middle**2) > rest else (eta, middle)
    return low, spread * v**-0.5, eta


def with_alpha(wrong):
    """A diagnosis with alpha from wrong(kappa, size, found, mean, spread, pixels), where size is sqrt(n) S."""

    def answer(found, mean, spread, pixels, rest):
        alpha = wrong(1 - found / mean, pixels**0.5 * spread, found, mean, spread, pixels)
        return alpha, *diagnose(found, mean, spread, pixels, rest)[1:]

    return answer


def solved(kappa, size):
    return kappa / (kappa**2 + size**2 * (1 - kappa**2)) ** 0.5


def with_width(wrong):
    """A diagnosis with the spread from wrong(S, sqrt(v), kappa, pixels, alpha)."""

    def answer(found, mean, spread, pixels, rest):
        alpha, width, eta = diagnose(found, mean, spread, pixels, rest)
        return alpha, wrong(spread, spread / width, 1 - found / mean, pixels, alpha), eta

    return answer


def with_eta(wrong):
    """A diagnosis with eta from wrong(log rest / log kappa, kappa, rest)."""

    def answer(found, mean, spread, pixels, rest):
        kappa = 1 - found / mean
        eta = wrong(math.log(rest) / math.log(kappa), kappa, rest)
        return *diagnose(found, mean, spread, pixels, rest)[:2], eta

    return answer


def enough(rest, kappa):
    return max(math.log(rest) / math.log(kappa) - 1, 0) ** 0.5


def diagnose_as_tensor(*inputs):
    return torch.tensor(diagnose(*inputs), dtype=torch.float64)


DIAGNOSE_RIGHT = [diagnose, diagnose_in_one_line, diagnose_by_bisection, diagnose_as_tensor]
DIAGNOSE_WRONG = [
    (lambda *inputs: None, "returns None"),
    (0.068, "without brackets"),
    (lambda *inputs: diagnose(*inputs)[0], "return three numbers"),
    (lambda *inputs: diagnose(*inputs)[:2], "return three numbers"),
    (lambda *inputs: (torch.ones(2), *diagnose(*inputs)[1:]), "must be one number"),
    (lambda found, *inputs: found.mean(), "stops"),
    (with_alpha(lambda k, size, found, mean, s, n: -solved(k, size)), "never negative"),
    (with_alpha(lambda k, size, found, mean, s, n: k), "that is kappa"),
    (with_alpha(lambda k, size, found, mean, s, n: 1 - k), "that is the share of the mean that is left"),
    (with_alpha(lambda k, size, found, mean, s, n: solved(1 - k, size)), "kappa is the share that is lost"),
    (with_alpha(lambda k, size, found, mean, s, n: solved(abs(found - mean), size)), "divide the gap by the mean"),
    (with_alpha(lambda k, size, found, mean, s, n: solved(k**0.5, size)), "root of kappa"),
    (with_alpha(lambda k, size, found, mean, s, n: solved(k**2, size)), "here eta is 0"),
    (with_alpha(lambda k, size, found, mean, s, n: solved(k, s)), "that is for one pixel"),
    (with_alpha(lambda k, size, found, mean, s, n: solved(k, n * s)), "sqrt(pixels), not by pixels"),
    (with_alpha(lambda k, size, found, mean, s, n: solved(k, n**0.5)), "kappa contains the spread"),
    (with_alpha(lambda k, size, found, mean, s, n: solved(k, size**2)), "you used the square of that"),
    (with_alpha(lambda k, size, found, mean, s, n: k / (1 - k**2) ** 0.5 / size), "that is alpha / sigma"),
    (with_alpha(lambda k, size, found, mean, s, n: k**2 / (1 - k**2) / size**2), "that is the SNR"),
    (with_alpha(lambda k, size, found, mean, s, n: solved(k, size) ** 2), "that is alpha squared"),
    (with_alpha(lambda k, size, found, mean, s, n: k / size), "takes v for 1"),
    (with_alpha(lambda k, size, found, mean, s, n: 0.5 * solved(k, size)), "but yours is"),
    (with_width(lambda s, root, k, n, a: s), "do not have the spread of the data"),
    (with_width(lambda s, root, k, n, a: s * root), "upside down"),
    (with_width(lambda s, root, k, n, a: s / root**2), "You divided by v"),
    (with_width(lambda s, root, k, n, a: root), "the spread of x_1 in training"),
    (with_width(lambda s, root, k, n, a: 1 / root), "Multiply it by the spread of the data"),
    (with_width(lambda s, root, k, n, a: k * s), "kappa is the share of the mean"),
    (with_width(lambda s, root, k, n, a: (1 - k) * s), "the mean keeps a share 1 - kappa"),
    (with_width(lambda s, root, k, n, a: n**0.5 * s / root), "that of the colour"),
    (with_width(lambda s, root, k, n, a: s / (a**2 * s**2 + 1 - a**2) ** 0.5), "that of one pixel"),
    (with_width(lambda s, root, k, n, a: (s / root) ** 2), "that is the variance"),
    (with_width(lambda s, root, k, n, a: 1.1 * s / root), "the spread of the samples is"),
    (with_eta(lambda ratio, k, rest: (ratio - 1) ** 0.5), "must be 0"),
    (with_eta(lambda ratio, k, rest: abs(ratio - 1) ** 0.5), "Return the eta 0"),
    (with_eta(lambda ratio, k, rest: max(ratio - 1, 0)), "that is eta squared"),
    (with_eta(lambda ratio, k, rest: ratio), "that is 1 + eta squared"),
    (with_eta(lambda ratio, k, rest: ratio**0.5), "subtract 1 before"),
    (with_eta(lambda ratio, k, rest: ratio**-0.5), "upside down"),
    (with_eta(lambda ratio, k, rest: enough(rest, k**2)), "you squared kappa"),
    (with_eta(lambda ratio, k, rest: enough(rest, 1 - k)), "takes found / mean for kappa"),
    (with_eta(lambda ratio, k, rest: enough(1 - rest, k)), "not the share that must be kept"),
    (with_eta(lambda ratio, k, rest: 1 + enough(rest, k) if ratio > 1 else 0), "a smaller eta is enough"),
    (with_eta(lambda ratio, k, rest: 0.5 * enough(rest, k)), "still loses"),
]

# ---- 08.3: the right start ----


def right_start(pictures, count, schedule, generator):
    chosen = pictures[torch.randint(len(pictures), (count,), generator=generator)]
    noise = torch.randn(chosen.shape, generator=generator)
    return schedule.alpha(1.0) * chosen + schedule.sigma(1.0) * noise


def right_start_by_diffuse(pictures, count, schedule, generator):
    which = torch.multinomial(torch.ones(len(pictures)), count, replacement=True, generator=generator)
    return md.diffuse(pictures[which], 1.0, torch.randn(count, *pictures.shape[1:], generator=generator), schedule)


def right_start_one_by_one(pictures, count, schedule, generator):
    starts = []
    for i in torch.randint(len(pictures), (count,), generator=generator).tolist():
        eps = torch.randn(pictures[i].shape, generator=generator)
        starts.append(schedule.alpha(1.0) * pictures[i] + schedule.sigma(1.0) * eps)
    return torch.stack(starts)


def started(mix):
    """A right_start from mix(a, sigma, x0, eps, pictures, generator)."""

    def start(pictures, count, schedule, generator):
        x0 = pictures[torch.randint(len(pictures), (count,), generator=generator)]
        eps = torch.randn(x0.shape, generator=generator)
        return mix(schedule.alpha(1.0), schedule.sigma(1.0), x0, eps, pictures, generator)

    return start


def start_from_each_once(pictures, count, schedule, generator):
    which = torch.randperm(len(pictures), generator=generator)[:count]
    return md.diffuse(pictures[which], 1.0, torch.randn(pictures.shape, generator=generator), schedule)


def start_from_each_equally_often(pictures, count, schedule, generator):
    x0 = pictures.repeat(count // len(pictures), 1, 1, 1)
    return md.diffuse(x0, 1.0, torch.randn(x0.shape, generator=generator), schedule)


def start_noised_first(pictures, count, schedule, generator):
    noisy = md.diffuse(pictures, 1.0, torch.randn(pictures.shape, generator=generator), schedule)
    return noisy[torch.randint(len(pictures), (count,), generator=generator)]


def start_noised_in_batches(pictures, count, schedule, generator):
    x0 = pictures[torch.randint(len(pictures), (count,), generator=generator)]
    eps = torch.randn(50, *x0.shape[1:], generator=generator)
    return md.diffuse(x0, 1.0, eps[torch.arange(count) % 50], schedule)


def start_from_each_in_turn(pictures, count, schedule, generator):
    x0 = pictures[torch.arange(count) % len(pictures)]
    return md.diffuse(x0, 1.0, torch.randn(x0.shape, generator=generator), schedule)


def start_from_each_in_blocks(pictures, count, schedule, generator):
    x0 = pictures[torch.arange(count) * len(pictures) // count]
    return md.diffuse(x0, 1.0, torch.randn(x0.shape, generator=generator), schedule)


def start_without_generator(pictures, count, schedule, generator):
    which = torch.randint(len(pictures), (count,))
    return right_start(pictures[which], count, schedule, generator)


START_RIGHT = [right_start, right_start_by_diffuse, right_start_one_by_one]
START_WRONG = [
    (lambda *inputs: None, "returns None"),
    (started(lambda a, sd, x0, eps, all, g: eps), "no trace of a picture"),
    (started(lambda a, sd, x0, eps, all, g: x0 + sd * eps), "the whole picture"),
    (started(lambda a, sd, x0, eps, all, g: a**2 * x0 + sd * eps), "alpha squared"),
    (started(lambda a, sd, x0, eps, all, g: a**0.5 * x0 + sd * eps), "the root of alpha(1)"),
    (started(lambda a, sd, x0, eps, all, g: sd * x0 + a * eps), "swapped"),
    (started(lambda a, sd, x0, eps, all, g: sd * eps - a * x0), "wrong sign"),
    (started(lambda a, sd, x0, eps, all, g: a * all.mean(0) + sd * eps), "the mean of all pictures"),
    (started(lambda a, sd, x0, eps, all, g: 2 * a * x0 + sd * eps), "training x_1 holds alpha(1), which is"),
    (started(lambda a, sd, x0, eps, all, g: a * x0[:1] + sd * eps), "all your starts hold the same picture"),
    (
        started(
            lambda a, sd, x0, eps, all, g: a * x0.where(eps.sum((1, 2, 3))[:, None, None, None] > 0, all[0]) + sd * eps
        ),
        "Choose all equally often",
    ),
    (started(lambda a, sd, x0, eps, all, g: a * x0), "there is no noise"),
    (started(lambda a, sd, x0, eps, all, g: a * x0 + eps), "and yours has 1"),
    (started(lambda a, sd, x0, eps, all, g: a * x0 + sd**2 * eps), "yours has its square"),
    (started(lambda a, sd, x0, eps, all, g: a * x0 + (1 - a) * eps), "but sigma(1) is"),
    (started(lambda a, sd, x0, eps, all, g: a * x0 + sd * eps[:1]), "your starts have the same noise"),
    (start_noised_first, "your starts have the same noise"),
    (start_noised_in_batches, "your starts have the same noise"),
    (started(lambda a, sd, x0, eps, all, g: a * x0 + sd * torch.randn(len(x0), 1, 1, 1, generator=g)), "many pixels"),
    (started(lambda a, sd, x0, eps, all, g: a * x0 + sd * eps[:, :1]), "in each channel"),
    (started(lambda a, sd, x0, eps, all, g: a * x0 + sd * eps.sign()), "it is not Gaussian"),
    (
        started(lambda a, sd, x0, eps, all, g: a * x0 + sd * 12**0.5 * (torch.rand(x0.shape, generator=g) - 0.5)),
        "not Gaussian",
    ),
    (start_from_each_equally_often, "have the shape (1002, 3, 8, 8)"),
    (start_from_each_once, "Choose with replacement"),
    (start_from_each_in_turn, "whatever the generator says"),
    (start_from_each_in_blocks, "whatever the generator says"),
    (start_without_generator, "the same seed gives two different answers"),
    (lambda x, n, schedule, g: right_start(x, n, schedule, g.manual_seed(0)), "another seed"),
    (lambda x, n, schedule, g: right_start(x, n, schedule, g).flatten(1), "have the shape"),
    (lambda x, n, schedule, g: right_start(x, n, schedule, g).numpy(), "must be a tensor"),
]

BANK = {
    "08.1": (END_RIGHT, END_WRONG),
    "08.2": (DIAGNOSE_RIGHT, DIAGNOSE_WRONG),
    "08.3": (START_RIGHT, START_WRONG),
}
