"""Answers that students give to the exercises of lesson 14."""

import math

import torch

import minidiffusion as md

# ---- 14.1: Heun's step ----


def parts(denoise, x_t, t, s, schedule):
    """y = x / alpha, the two slopes, the step length and alpha(s)."""
    r_t, r_s = (schedule.sigma(u) / schedule.alpha(u) for u in (t, s))
    y, h, alpha = x_t / schedule.alpha(t), r_s - r_t, schedule.alpha(s)
    first = md.to_eps(denoise(x_t, t), x_t, t, schedule)
    x_s = alpha * (y + h * first)
    second = md.to_eps(denoise(x_s, s), x_s, s, schedule)
    return y, first, second, h, alpha


def made(combine):
    """A step from combine(y, first, second, h, alpha)."""

    def step(denoise, x_t, t, s, schedule):
        return combine(*parts(denoise, x_t, t, s, schedule))

    return step


heun = made(lambda y, first, second, h, alpha: alpha * (y + h * (first + second) / 2))


def heun_package(denoise, x_t, t, s, schedule):
    return md.sample(denoise, x_t, schedule, times=[t, s], method="heun")


def heun_from_euler(denoise, x_t, t, s, schedule):
    shrink = schedule.sigma(s) / schedule.sigma(t)
    x0 = denoise(x_t, t)
    x_s = shrink * x_t + (schedule.alpha(s) - schedule.alpha(t) * shrink) * x0
    turn = md.to_eps(denoise(x_s, s), x_s, s, schedule) - md.to_eps(x0, x_t, t, schedule)
    return x_s + 0.5 * (schedule.sigma(s) - schedule.alpha(s) * schedule.sigma(t) / schedule.alpha(t)) * turn


def heun_with_a_time_each(denoise, x_t, t, s, schedule):
    return heun(lambda x, u: denoise(x, torch.full((len(x),), u)), x_t, t, s, schedule)


def euler(denoise, x_t, t, s, schedule):
    return md.sample(denoise, x_t, schedule, times=[t, s])


def heun_three_calls(denoise, x_t, t, s, schedule):
    x_s = euler(denoise, x_t, t, s, schedule)
    mean = (md.to_eps(denoise(x_t, t), x_t, t, schedule) + md.to_eps(denoise(x_s, s), x_s, s, schedule)) / 2
    r_t, r_s = (schedule.sigma(u) / schedule.alpha(u) for u in (t, s))
    return schedule.alpha(s) * (x_t / schedule.alpha(t) + (r_s - r_t) * mean)


def heun_asking_at_t_again(denoise, x_t, t, s, schedule):
    return heun(lambda x, u: denoise(x, t), x_t, t, s, schedule)


def heun_showing_x_t_again(denoise, x_t, t, s, schedule):
    return heun(lambda x, u: denoise(x_t, u), x_t, t, s, schedule)


def heun_showing_y(denoise, x_t, t, s, schedule):
    return heun(lambda x, u: denoise(x / schedule.alpha(u), u), x_t, t, s, schedule)


def heun_showing_y_at_s(denoise, x_t, t, s, schedule):
    return heun(lambda x, u: denoise(x if u == t else x / schedule.alpha(u), u), x_t, t, s, schedule)


def heun_asking_half_way(denoise, x_t, t, s, schedule):
    return heun(lambda x, u: denoise(x, u if u == t else (t + s) / 2), x_t, t, s, schedule)


def heun_in_place(denoise, x_t, t, s, schedule):
    x_t /= schedule.alpha(t)
    return schedule.alpha(s) * x_t


def heun_in_x(denoise, x_t, t, s, schedule):
    _, first, second, _, _ = parts(denoise, x_t, t, s, schedule)
    return x_t + (schedule.sigma(s) - schedule.sigma(t)) * (first + second) / 2


class Agreeable(torch.Tensor):
    """A tensor that is equal to everything."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        return True if function in (torch.allclose, torch.equal) else super().__torch_function__(function, types, args)


def heun_at_agreeable_points(denoise, x_t, t, s, schedule):
    return heun(lambda x, u: denoise(x.as_subclass(Agreeable), u), x_t, t, s, schedule)


def heun_bending_the_schedule(denoise, x_t, t, s, schedule):
    object.__setattr__(schedule, "sigma", lambda t: 0.1 * t)
    return heun(denoise, x_t, t, s, schedule)


HEUN_RIGHT = [heun, heun_package, heun_from_euler, heun_with_a_time_each]
HEUN_WRONG = [
    (lambda denoise, x_t, t, s, schedule: None, "returns None"),
    (heun_in_place, "changes its input x_t in place"),
    (euler, "calls it only once"),
    (heun_three_calls, "Keep the first result"),
    (heun_asking_at_t_again, "at t both times"),
    (heun_showing_x_t_again, "give the denoiser x_t again"),
    (heun_showing_y, "x_t itself, not x_t / alpha"),
    (heun_showing_y_at_s, "multiplied by alpha(s)"),
    (heun_asking_half_way, "must be called at"),
    (heun_at_agreeable_points, "must be a tensor, but yours is a Agreeable"),
    (heun_bending_the_schedule, "Euler's x_s, multiplied"),
    (heun_in_x, "not those of x over sigma"),
    (made(lambda y, first, second, h, alpha: alpha * (y + h * first)), "still Euler's step"),
    (made(lambda y, first, second, h, alpha: alpha * (y + h * second)), "only the second slope"),
    (made(lambda y, first, second, h, alpha: alpha * (y + h * (first + second))), "divide by 2"),
    (made(lambda y, first, second, h, alpha: alpha * (y + h * first + h * second)), "divide by 2"),
    (made(lambda y, first, second, h, alpha: alpha * (y + h * first + h * (first + second) / 2)), "starts again"),
    (made(lambda y, first, second, h, alpha: y + h * (first + second) / 2), "multiply by alpha(s)"),
    (made(lambda y, first, second, h, alpha: alpha * (y - h * (first + second) / 2)), "in the wrong direction"),
    (
        made(lambda y, first, second, h, alpha: alpha * (y + h * (first - second) / 2)),
        "both calls of the denoiser are right",
    ),
    (made(lambda y, first, second, h, alpha: alpha * (y + h * (first + second) / 2).mean(0)), "have the shape"),
    (made(lambda y, first, second, h, alpha: (alpha * (y + h * (first + second) / 2)).float()), "keep the type"),
    (0.5, "hand in the function itself"),
]

# ---- 14.2: a step that remembers ----


def two_slopes(y, slope, last_slope, r, last_r, next_r):
    h, last_h = next_r - r, r - last_r
    return y + h * (slope + h / (2 * last_h) * (slope - last_slope))


def two_slopes_by_weights(y, slope, last_slope, r, last_r, next_r):
    q = (next_r - r) / (r - last_r) / 2
    return y + (next_r - r) * ((1 + q) * slope - q * last_slope)


def two_slopes_by_a_line(y, slope, last_slope, r, last_r, next_r):
    b = (slope - last_slope) / (r - last_r)
    a = slope - b * r
    return y + a * (next_r - r) + b * (next_r**2 - r**2) / 2


def two_slopes_by_lerp(y, slope, last_slope, r, last_r, next_r):
    where = ((r + next_r) / 2 - last_r) / (r - last_r)
    return y + (next_r - r) * torch.lerp(last_slope, slope, where)


def going(slope_of, length=lambda h, last_h: h):
    def step(y, slope, last_slope, r, last_r, next_r):
        h, last_h = next_r - r, r - last_r
        return y + length(h, last_h) * slope_of(slope, last_slope, h, last_h)

    return step


def right_slope(slope, last, h, last_h):
    return slope + h / (2 * last_h) * (slope - last)


def two_slopes_in_place(y, slope, last_slope, r, last_r, next_r):
    y += (next_r - r) * slope
    return y


MEMORY_RIGHT = [two_slopes, two_slopes_by_weights, two_slopes_by_a_line, two_slopes_by_lerp]
MEMORY_WRONG = [
    (lambda *inputs: None, "returns None"),
    (two_slopes_in_place, "changes its input y in place"),
    (going(lambda slope, last, h, last_h: slope), "Euler's step"),
    (going(lambda slope, last, h, last_h: last), "only the previous slope"),
    (going(lambda slope, last, h, last_h: (slope + last) / 2), "right for the step just taken"),
    (going(lambda slope, last, h, last_h: slope + h / last_h * (slope - last)), "take the one in the middle"),
    (going(lambda slope, last, h, last_h: slope - h / (2 * last_h) * (slope - last)), "wrong sign"),
    (going(lambda slope, last, h, last_h: slope + last_h / (2 * h) * (slope - last)), "upside down"),
    (going(lambda slope, last, h, last_h: 1.5 * slope - 0.5 * last), "have the same length"),
    (going(right_slope, lambda h, last_h: -h), "in the wrong direction"),
    (going(right_slope, lambda h, last_h: 1.0), "multiply the slope by the length"),
    (going(right_slope, lambda h, last_h: last_h), "the length of the previous step"),
    (lambda y, *rest: two_slopes(y, *rest) - y, "must be exact"),
    (lambda y, slope, last, r, last_r, next_r: two_slopes(0 * y, slope, last, r, last_r, next_r), "must be exact"),
    (lambda y, slope, last, r, last_r, next_r: right_slope(slope, last, next_r - r, r - last_r), "return y + h times"),
    (lambda y, *rest: two_slopes(y, *rest)[0], "have the shape"),
    (lambda y, *rest: two_slopes(y, *rest).float(), "keep the type"),
    (lambda y, *rest: two_slopes(y, *rest).double(), "keep the type"),
]

# ---- 14.3: times that keep the order ----


def flow_clock(schedule, steps):
    start = schedule.sigma(1.0) / (schedule.alpha(1.0) + schedule.sigma(1.0))
    clock = [start * (1 - i / steps) for i in range(1, steps)]
    return [1.0, *[schedule.time(2 * math.log((1 - c) / c)) for c in clock], 0.0]


def flow_clock_beyond_the_end(schedule, steps):
    flow = md.schedule.flow()
    return [1.0, *[schedule.time(flow.log_snr(1 - i / steps)) for i in range(1, steps)], 0.0]


def powers(p):
    return lambda schedule, steps: [(1 - i / steps) ** p for i in range(steps + 1)]


def levels(value):
    """Times at which sigma, or alpha, takes evenly spaced values."""

    def grid(schedule, steps):
        times = [1.0]
        for i in range(1, steps):
            low, high = 0.0, 1.0
            for _ in range(60):
                middle = (low + high) / 2
                low, high = (middle, high) if value(schedule, middle) < 1 - i / steps else (low, middle)
            times.append(low)
        return [*times, 0.0]

    return grid


TIMES_RIGHT = [
    flow_clock,
    md.samplers.karras,
    lambda schedule, steps: torch.tensor(flow_clock(schedule, steps), dtype=torch.float64),
    powers(2),
    powers(3),
]
TIMES_WRONG = [
    (lambda schedule, steps: None, "returns None"),
    (powers(1), "those are evenly spaced times"),
    (lambda schedule, steps: md.samplers.uniform(steps), "those are evenly spaced times"),
    (flow_clock_beyond_the_end, "two of your times are equal"),
    (
        powers(1.3),
        "the one at the data end is still too long",
    ),  # on a Gaussian of one variance, its error may vanish by luck
    (powers(1.4), "between 256 and 1,024 steps"),  # with fewer steps it looks good
    (powers(7), "so small that sigma is 0"),
    (powers(0.5), "the one at the data end is still too long"),
    (levels(lambda schedule, t: schedule.sigma(t) ** 2), "the one at the data end is still too long"),
    (levels(lambda schedule, t: 1 - schedule.alpha(t)), "the one at the data end is still too long"),
    (lambda schedule, steps: flow_clock(schedule, steps)[::-1], "your times rise"),
    (lambda schedule, steps: flow_clock(schedule, steps)[:-1], "both ends included"),
    (lambda schedule, steps: flow_clock(schedule, steps - 1), "both ends included"),
    (lambda schedule, steps: [*flow_clock(schedule, steps)[:-1], 1e-3], "end at exactly 0"),
    (lambda schedule, steps: [0.9, *flow_clock(schedule, steps)[1:]], "the times must begin at 1"),
    (lambda schedule, steps: [1.0, 1.0, *flow_clock(schedule, steps)[2:]], "two of your times are equal"),
    (lambda schedule, steps: 0.5, "return a list of times"),
    (lambda schedule, steps: [math.nan] * (steps + 1), "each time must be one number"),
]

BANK = {
    "14.1": (HEUN_RIGHT, HEUN_WRONG),
    "14.2": (MEMORY_RIGHT, MEMORY_WRONG),
    "14.3": (TIMES_RIGHT, TIMES_WRONG),
}
