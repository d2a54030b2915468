"""Answers that students give to the exercises of lesson 16."""

import torch
import torch.nn.functional as F

# ---- 16.1: two pictures in one ----


def turn(x):
    return x.flip((2, 3))


def two(guess_a, guess_b, x):
    return (guess_a(x) + turn(guess_b(turn(x)))) / 2


def two_by_rot90(guess_a, guess_b, x):
    return torch.stack([guess_a(x), guess_b(x.rot90(2, (2, 3))).rot90(2, (2, 3))]).mean(0)


def two_by_steps(guess_a, guess_b, x):
    seen = torch.flip(torch.flip(x, [2]), [3])
    said = guess_b(seen)
    return 0.5 * guess_a(x) + 0.5 * torch.flip(said, [2, 3])


def two_in_place(guess_a, guess_b, x):
    x += 1
    return two(guess_a, guess_b, x)


TWO_RIGHT = [two, two_by_rot90, two_by_steps]
TWO_WRONG = [
    (lambda a, b, x: None, "returns None"),
    (two_in_place, "changes its input x in place"),
    (lambda a, b, x: a(x) + turn(b(turn(x))), "that is the sum"),
    (lambda a, b, x: (a(x) + b(turn(x))) / 2, "Turn it back"),
    (lambda a, b, x: (a(x) + turn(b(x))) / 2, "must see the turned picture"),
    (lambda a, b, x: (a(x) + b(x)) / 2, "Nothing was turned"),
    (lambda a, b, x: (a(x) + b(x.flip(2)).flip(2)) / 2, "the rows only"),
    (lambda a, b, x: (a(x) + b(x.flip(3)).flip(3)) / 2, "the columns only"),
    (lambda a, b, x: (turn(a(turn(x))) + b(x)) / 2, "It is b that is upside down"),
    (lambda a, b, x: turn(b(turn(x))), "guess of b alone"),
    (lambda a, b, x: a(x), "guess of a alone"),
    (lambda a, b, x: two(a, b, x)[0], "have the shape"),
    (lambda a, b, x: two(a, b, x).float(), "keep the type"),
    (lambda a, b, x: two(a, b, x + 1), "off by"),
    (lambda a, b, x: two(a, b, x[:, :, 1:]), "that you give to a denoiser"),
]

# ---- 16.2: which latents are known ----


def squares(known, side):
    return known.view(known.shape[0] // side, side, known.shape[1] // side, side)


def all_known(known, side):
    return squares(known, side).all(3).all(1)


def all_known_by_pooling(known, side):
    return F.max_pool2d((~known)[None].float(), side)[0] == 0


def all_known_by_loop(known, side):
    rows, columns = known.shape[0] // side, known.shape[1] // side
    cut = [[known[i * side : (i + 1) * side, j * side : (j + 1) * side] for j in range(columns)] for i in range(rows)]
    return torch.tensor([[bool(part.all()) for part in row] for row in cut])


def in_place(known, side):
    known &= known.roll(1)
    return all_known(known, side)


def torn(known, side):
    rows, columns = known.shape[0] // side, known.shape[1] // side
    return known.reshape(rows, columns, side, side).all(3).all(2)


KNOWN_RIGHT = [all_known, all_known_by_pooling, all_known_by_loop]
KNOWN_WRONG = [
    (lambda known, side: None, "returns None"),
    (in_place, "changes its input known in place"),
    (lambda known, side: squares(known, side).any(3).any(1), "one known pixel is not enough"),
    (lambda known, side: ~all_known(known, side), "that is the opposite"),
    (lambda known, side: ~squares(known, side).any(3).any(1), "nothing is known"),
    (lambda known, side: squares(known, side).double().mean((1, 3)) > 0.5, "are not all of them"),
    (lambda known, side: known[::side, ::side], "the first pixel"),
    (lambda known, side: known[side // 2 :: side, side // 2 :: side], "one pixel of each square"),
    (torn, "these are not squares"),
    (lambda known, side: all_known(known, side).float(), "keep the type"),
    (lambda known, side: known, "have the shape"),
    (lambda known, side: all_known(known, side).tolist(), "must be a tensor"),
    (lambda known, side: all_known(known, side).flip(0), "squares are wrong"),
]

# ---- 16.3: begin in the middle ----


def noisy(x, eps, t, schedule):
    return schedule.alpha(t) * x + schedule.sigma(t) * eps


def begin(x, eps, strength, steps, schedule):
    return noisy(x, eps, strength, schedule), [strength * (1 - i / steps) for i in range(steps + 1)]


def begin_with_linspace(x, eps, strength, steps, schedule):
    return noisy(x, eps, strength, schedule), torch.linspace(strength, 0, steps + 1)


def begin_backwards(x, eps, strength, steps, schedule):
    level = schedule.at(strength)
    return [level.alpha * x + level.sigma * eps, tuple(strength * i / steps for i in range(steps, -1, -1))]


def with_picture(make):
    return lambda x, eps, strength, steps, schedule: (
        make(x, eps, strength, schedule),
        begin(x, eps, strength, steps, schedule)[1],
    )


def with_times(make):
    return lambda x, eps, strength, steps, schedule: (noisy(x, eps, strength, schedule), make(strength, steps))


def begin_in_place(x, eps, strength, steps, schedule):
    x *= schedule.alpha(strength)
    return x + schedule.sigma(strength) * eps, begin(x, eps, strength, steps, schedule)[1]


BEGIN_RIGHT = [begin, begin_with_linspace, begin_backwards]
BEGIN_WRONG = [
    (lambda x, eps, strength, steps, schedule: None, "returns None"),
    (begin_in_place, "changes its input x in place"),
    (lambda x, eps, strength, steps, schedule: noisy(x, eps, strength, schedule)[None], "return two things"),
    (with_picture(lambda x, eps, t, schedule: schedule.sigma(t) * x + schedule.alpha(t) * eps), "are swapped"),
    (with_picture(lambda x, eps, t, schedule: x + schedule.sigma(t) * eps), "its factor alpha"),
    (with_picture(lambda x, eps, t, schedule: schedule.alpha(t) * x), "no noise in your picture"),
    (with_picture(lambda x, eps, t, schedule: schedule.alpha(t) ** 2 * x + schedule.sigma(t) ** 2 * eps), "squared"),
    (with_picture(lambda x, eps, t, schedule: (1 - t) * x + t * eps), "come from the schedule"),
    (with_picture(lambda x, eps, t, schedule: eps), "noise alone"),
    (with_picture(lambda x, eps, t, schedule: x), "without noise"),
    (with_picture(lambda x, eps, t, schedule: noisy(x, eps, t / 2, schedule)), "is off by"),
    (with_times(lambda t, n: [t * i / n for i in range(n + 1)]), "your times rise"),
    (with_times(lambda t, n: [1 - i / n for i in range(n + 1)]), "begin at 1"),
    (with_times(lambda t, n: [t * (1 - i / n) for i in range(n)]), "some noise is left"),
    (with_times(lambda t, n: [t * (1 - i / (n - 1)) for i in range(n)]), "steps need"),
    (with_times(lambda t, n: [t * (1 - i / n) ** 2 for i in range(n + 1)]), "the times are"),
    (with_times(lambda t, n: t), "must be a list"),
]

BANK = {"16.1": (TWO_RIGHT, TWO_WRONG), "16.2": (KNOWN_RIGHT, KNOWN_WRONG), "16.3": (BEGIN_RIGHT, BEGIN_WRONG)}
