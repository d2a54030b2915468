"""The curves against the formulas as printed, in plain numpy, and the promises of every schedule."""

import copy
import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minidiffusion import check
from minidiffusion import schedule as schedules
from minidiffusion.training import schedule_from

FROM_BETAS = {
    "linear": schedules.linear,
    "scaled_linear": schedules.scaled_linear,
    "sigmoid": schedules.sigmoid,
}
FLOW = schedules.flow()
MAKERS = {**FROM_BETAS, "cosine": schedules.cosine, "flow": schedules.flow, "ve": schedules.ve}


def published_betas(name, T=1000):
    i = np.arange(T) / (T - 1)
    if name == "linear":  # Ho et al. 2020, section 4
        return 1e-4 + i * (0.02 - 1e-4)
    if name == "scaled_linear":  # Stable Diffusion's v1-inference.yaml: linear_start 0.00085, linear_end 0.012
        return (math.sqrt(0.00085) + i * (math.sqrt(0.012) - math.sqrt(0.00085))) ** 2
    return 1e-4 + (0.02 - 1e-4) / (1 + np.exp(6 - 12 * i))  # Xu et al. 2022, GeoDiff: a sigmoid from -6 to 6


# The published grid


@pytest.mark.parametrize("name", FROM_BETAS)
def test_thousand_betas_give_the_published_alpha_bar(name):
    alpha_bar = np.cumprod(1 - published_betas(name))  # Ho et al. 2020, below eq. 3
    schedule, t = FROM_BETAS[name](), np.arange(1, 1001) / 1000
    assert schedule.T == 1000
    np.testing.assert_allclose(schedule.alpha(t) ** 2, alpha_bar, rtol=1e-9)
    np.testing.assert_allclose(schedule.sigma(t) ** 2, 1 - alpha_bar, rtol=1e-9)


@pytest.mark.parametrize("T", [1, 2, 50, 100, 1000, 4000])
def test_any_betas_give_their_product(T):
    betas = np.linspace(1e-4, 0.02, T) * min(1000 / T, 40)  # scaled as Nichol and Dhariwal 2021 do for T != 1000
    schedule, t = schedules.from_betas(betas), np.arange(T + 1) / T
    alpha_bar = np.concatenate([[1.0], np.cumprod(1 - betas)])
    np.testing.assert_allclose(schedule.alpha(t) ** 2, alpha_bar, rtol=1e-9)
    assert T == schedule.T == schedules.from_betas(torch.from_numpy(betas)).T


def test_log_alpha_is_straight_between_grid_points():
    schedule = schedules.linear()
    i, part = np.arange(0, 1000, 37), 0.3
    between = np.log(schedule.alpha((i + part) / 1000))
    straight = (1 - part) * np.log(schedule.alpha(i / 1000)) + part * np.log(schedule.alpha((i + 1) / 1000))
    np.testing.assert_allclose(between, straight, rtol=1e-9)


@pytest.mark.parametrize("T", [50, 100, 1000, 4000])
def test_cosine_is_the_published_curve(T):
    def f(t):  # Nichol and Dhariwal 2021, eq. 17, with s = 0.008
        return np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2

    t = np.arange(T + 1) / T
    np.testing.assert_allclose(schedules.cosine().alpha(t) ** 2, f(t) / f(0), rtol=0, atol=1e-8)
    if T == 1000:  # and below eq. 17: beta_t is clipped to be no larger than 0.999
        betas = np.minimum(1 - f(t[1:]) / f(t[:-1]), 0.999)
        np.testing.assert_allclose(schedules.cosine().alpha(t[1:]) ** 2, np.cumprod(1 - betas), atol=1e-8)
        assert schedules.cosine().alpha(1.0) ** 2 == pytest.approx(np.prod(1 - betas), rel=1e-6)


def test_flow_and_ve_are_their_formulas():
    t = np.linspace(0, 1, 101)
    flow, ve = schedules.flow(), schedules.ve()
    np.testing.assert_allclose(flow.alpha(t), 1 - t, rtol=0, atol=1e-15)  # Liu et al. 2022, eq. 1
    np.testing.assert_allclose(flow.sigma(t), t, rtol=0, atol=1e-15)
    np.testing.assert_allclose(ve.alpha(t), 1.0, rtol=0, atol=0)
    # Song et al. 2021, appendix C: sigma_min (sigma_max / sigma_min)^t; ends: Karras et al. 2022, table 1
    np.testing.assert_allclose(ve.sigma(t), 0.002 * (80 / 0.002) ** t, rtol=1e-12)


def test_known_values():
    linear, sd = schedules.linear(), schedules.scaled_linear()
    assert linear.alpha(1.0) == pytest.approx(0.0064, abs=5e-5)  # Ho et al. 2020: almost no signal is left
    # Lin et al. 2023, table 1 and section 3.1: Stable Diffusion stops at 0.068265, so SNR 0.004682
    assert sd.alpha(1.0) == pytest.approx(0.068265, abs=5e-7)
    assert math.exp(sd.log_snr(1.0)) == pytest.approx(0.004682, abs=5e-7)
    # An error of eps, seen in x0, grows by sigma / alpha at the end; one of x0, seen in eps, by its inverse
    assert math.exp(-linear.log_snr(1.0) / 2) == pytest.approx(157, abs=0.5)
    assert math.exp(linear.log_snr(1 / 1000) / 2) == pytest.approx(100, abs=0.01)
    assert math.exp(-sd.log_snr(1.0) / 2) == pytest.approx(14.6, abs=0.05)
    assert schedules.cosine().log_snr(1.0) == pytest.approx(-19.8, abs=0.05)


@pytest.mark.parametrize("name", [*MAKERS, "zero terminal", "shifted"])
def test_the_slope_is_the_derivative_of_log_snr(name):
    made = {"zero terminal": schedules.zero_terminal_snr(schedules.cosine()), "shifted": schedules.shifted(FLOW, 3.0)}
    schedule = made.get(name) or MAKERS[name]()
    t, h = torch.linspace(0.05, 0.95, 10, dtype=torch.float64) + 3e-4, 1e-6  # between the corners of the betas
    difference = (schedule.log_snr(t + h) - schedule.log_snr(t - h)) / (2 * h)
    torch.testing.assert_close(schedule.log_snr_slope(t), difference, rtol=1e-7, atol=0)
    assert (schedule.log_snr_slope(t) < 0).all()


def test_levels_are_the_curves():
    times = [1.0, 0.7, 0.25, 0.0]
    for level, t in zip(map(schedules.cosine().at, times), times, strict=True):
        one = schedules.cosine()
        assert level == (t, one.alpha(t), one.sigma(t), one.log_snr(t))


# Shifted


@pytest.mark.parametrize("name", MAKERS)
def test_a_shift_multiplies_the_noise_beside_the_signal(name):
    schedule, t = MAKERS[name](), np.linspace(0.01, 0.99, 15)
    shifted = schedules.shifted(schedule, 4.0)
    ratio, ratio_shifted = (s.sigma(t) / s.alpha(t) for s in (schedule, shifted))
    np.testing.assert_allclose(ratio_shifted, 4 * ratio, rtol=1e-9)
    # Hoogeboom et al. 2023, eq. 4: log SNR at side d is that at 64, plus 2 log(64 / d)
    np.testing.assert_allclose(shifted.log_snr(t), schedule.log_snr(t) + 2 * math.log(64 / 256), rtol=1e-9, atol=1e-9)
    # and the family is kept: what alpha and sigma were to each other, they are still
    if name == "ve":
        np.testing.assert_array_equal(shifted.alpha(t), np.ones_like(t))
    elif name == "flow":
        np.testing.assert_allclose(shifted.alpha(t) + shifted.sigma(t), 1, rtol=1e-12)
        # Esser et al. 2024, eq. 23, with alpha for sqrt(m / n)
        np.testing.assert_allclose(shifted.sigma(t), 4 * t / (1 + 3 * t), rtol=1e-12)
    else:
        np.testing.assert_allclose(shifted.alpha(t) ** 2 + shifted.sigma(t) ** 2, 1, rtol=1e-12)


def test_a_shift_of_pure_noise_is_pure_noise_and_a_shift_back_is_none():
    for inner in (FLOW, schedules.zero_terminal_snr(schedules.linear())):
        shifted, t = schedules.shifted(inner, 3.0), np.linspace(0, 1, 11)
        assert shifted.alpha(1.0) == 0 and shifted.sigma(1.0) == 1 and shifted.sigma(0.0) == 0
        np.testing.assert_allclose(schedules.shifted(shifted, 1 / 3).alpha(t), inner.alpha(t), rtol=1e-9, atol=1e-12)
        assert schedule_from(json.loads(json.dumps(shifted.config()))) == shifted


@pytest.mark.parametrize("bad", [0, -1.0, math.inf, math.nan, "2", None, True])
def test_a_bad_shift_is_named(unchecked, bad):
    with pytest.raises(ValueError, match=r"factor must be a finite number above 0, got "):
        schedules.shifted(FLOW, bad)


# Zero terminal SNR


@pytest.mark.parametrize("T", [50, 1000])
@pytest.mark.parametrize("name", FROM_BETAS)
def test_zero_terminal_snr_is_algorithm_1(name, T):
    betas = published_betas(name, T)
    # Lin et al. 2023, algorithm 1, line by line
    alphas_bar_sqrt = np.sqrt(np.cumprod(1 - betas))
    first, last = alphas_bar_sqrt[0], alphas_bar_sqrt[-1]
    alphas_bar_sqrt = (alphas_bar_sqrt - last) * first / (first - last)
    schedule, t = schedules.zero_terminal_snr(schedules.from_betas(betas)), np.arange(1, T + 1) / T
    np.testing.assert_allclose(schedule.alpha(t), alphas_bar_sqrt, rtol=1e-9, atol=1e-12)


def test_zero_terminal_snr_leaves_what_is_before_the_first_grid_point():
    linear, t = schedules.linear(), np.linspace(0, 1e-3, 11)
    np.testing.assert_array_equal(schedules.zero_terminal_snr(linear).alpha(t), linear.alpha(t))


@pytest.mark.parametrize("name", [*FROM_BETAS, "cosine"])
def test_zero_terminal_snr_ends_at_exactly_zero_in_every_form(name):
    schedule = schedules.zero_terminal_snr(MAKERS[name]())
    assert schedule.alpha(1.0) == 0 and schedule.sigma(1.0) == 1 and schedule.log_snr(1.0) == -math.inf
    for length in (
        1,
        2,
        3,
        4,
        5,
        8,
        9,
        16,
        17,
        33,
        1001,
    ):  # a vector of another length takes another path to exp
        t = np.concatenate([np.linspace(0, 1, length + 1)[1:], 1 - np.arange(20) * 2.0**-53])
        alpha = schedule.alpha(t)
        assert (alpha >= 0).all() and alpha[length - 1] == 0, length
        assert torch.equal(schedule.alpha(torch.from_numpy(t)), torch.from_numpy(alpha))


def test_zero_terminal_snr_twice_is_once_and_ve_has_none():
    once = schedules.zero_terminal_snr(schedules.linear())
    assert schedules.zero_terminal_snr(once) == once
    assert schedules.zero_terminal_snr(schedules.flow()) == schedules.flow()
    with pytest.raises(ValueError, match="schedule must"):
        schedules.zero_terminal_snr(schedules.ve())


# Promises of every schedule


def test_log_snr_is_what_its_name_says(schedule):
    t = np.linspace(0.01, 0.99, 99)
    by_hand = 2 * np.log(schedule.alpha(t)) - 2 * np.log(schedule.sigma(t))
    np.testing.assert_allclose(schedule.log_snr(t), by_hand, rtol=1e-9, atol=1e-9)


def test_time_is_the_inverse_of_log_snr(schedule):
    t = np.concatenate([np.linspace(0, 1, 1001), [1e-9, 1e-5, 1 - 1e-5]])
    np.testing.assert_allclose(schedule.time(schedule.log_snr(t)), t, rtol=0, atol=1e-8)
    assert schedule.time(math.inf) == 0 and schedule.time(-math.inf) == pytest.approx(1, abs=1e-11)


def test_log_snr_is_the_inverse_of_time(schedule):
    low, high = max(schedule.log_snr(1.0), -20.0), min(schedule.log_snr(0.0), 20.0)
    log_snr = np.linspace(low, high, 101)[1:-1]
    np.testing.assert_allclose(schedule.log_snr(schedule.time(log_snr)), log_snr, rtol=0, atol=1e-6)


def test_alpha_does_not_rise_sigma_does_not_fall_and_log_snr_falls(schedule):
    t = np.linspace(0, 1, 10_001)
    assert (np.diff(schedule.alpha(t)) <= 0).all()
    assert (np.diff(schedule.sigma(t)) >= 0).all()
    assert (np.diff(schedule.log_snr(t)) < 0).all()


def test_end_points_are_exact(schedule):
    assert schedule.alpha(0.0) == 1
    if schedule == schedules.ve():
        assert schedule.sigma(0.0) == pytest.approx(0.002, rel=1e-14)
        assert schedule.sigma(1.0) == pytest.approx(80, rel=1e-14)
    else:
        assert schedule.sigma(0.0) == 0 and schedule.log_snr(0.0) == math.inf
    if schedule == schedules.flow():
        assert schedule.alpha(1.0) == 0 and schedule.sigma(1.0) == 1 and schedule.log_snr(1.0) == -math.inf


@pytest.mark.parametrize("name", [*FROM_BETAS, "cosine"])
def test_variance_is_preserved_with_all_its_digits(name):
    schedule, t = MAKERS[name](), np.linspace(0, 1, 1001)
    np.testing.assert_allclose(schedule.alpha(t) ** 2 + schedule.sigma(t) ** 2, 1, rtol=1e-14)
    if name != "cosine":
        # near t = 0, sigma^2 = -log(1 - beta_1) T t up to its square: 1 - alpha^2 has no digit of it
        rate = -math.log1p(-published_betas(name)[0]) * 1000
        assert schedule.sigma(1e-13) == pytest.approx(math.sqrt(rate * 1e-13), rel=1e-9)


# Kinds of argument


@pytest.mark.parametrize("curve", ["alpha", "sigma", "log_snr", "time"])
def test_floats_arrays_and_tensors_give_the_same_values(schedule, curve):
    apply = getattr(schedule, curve)
    numbers = np.array([[0.0, 0.125, 0.25], [0.5, 0.75, 1.0]])  # exact in every dtype
    one_by_one = np.array([[apply(float(n)) for n in row] for row in numbers])
    assert isinstance(apply(0.5), float)
    array, tensor = apply(numbers), apply(torch.from_numpy(numbers))
    assert isinstance(array, np.ndarray) and isinstance(tensor, torch.Tensor)
    np.testing.assert_allclose(array, one_by_one, rtol=1e-12)
    np.testing.assert_allclose(tensor.numpy(), one_by_one, rtol=1e-12)
    for dtype in (torch.float32, torch.bfloat16):
        low = apply(torch.from_numpy(numbers).to(dtype))
        assert low.dtype == dtype and low.shape == (2, 3)
        assert torch.equal(low, tensor.to(dtype))  # computed in float64, rounded once
    assert apply(torch.tensor(0.5)).shape == () and apply(np.zeros((0, 2)) + 0.5).shape == (0, 2)


def test_numpy_views_are_times_too(schedule):
    t = np.linspace(0, 1, 6)
    np.testing.assert_array_equal(schedule.alpha(t[::-1]), schedule.alpha(t)[::-1])
    np.testing.assert_array_equal(schedule.alpha(t[::2]), schedule.alpha(t)[::2])


def test_results_do_not_share_memory_with_the_times(schedule):
    for t in (np.full(3, 0.5), torch.full((3,), 0.5, dtype=torch.float64)):
        for curve in (schedule.alpha, schedule.sigma, schedule.log_snr):
            result = curve(t)
            result += 100
            assert (t == 0.5).all()


@pytest.mark.parametrize("bad", [1.1, -0.1, math.nan, math.inf, np.array([0.5, 2.0]), torch.tensor([0.5, -1e-3])])
def test_times_outside_0_to_1_are_named(schedule, bad):
    for curve in (schedule.alpha, schedule.sigma, schedule.log_snr):
        with pytest.raises(ValueError, match=r"^t must"):
            curve(bad)


@pytest.mark.parametrize("bad", [torch.tensor(1), torch.tensor([True]), "half", 0.5j, [[0.1], [0.1, 0.2]], {}])
def test_times_of_another_kind_are_named(unchecked, bad):
    schedule = schedules.cosine()
    with pytest.raises(TypeError, match=r"^t must"):
        schedule.alpha(bad)
    with pytest.raises(TypeError, match=r"^log_snr must"):
        schedule.time(bad)


def test_other_numbers_are_times_too(unchecked, schedule):
    for half in (np.float32(0.5), np.array(0.5), np.float64(0.5)):
        assert schedule.alpha(half) == schedule.alpha(0.5) and isinstance(schedule.alpha(half), float)
    assert schedule.alpha(0) == 1 and schedule.sigma(1) == schedule.sigma(1.0)
    with pytest.raises(ValueError, match=r"^log_snr must"):
        schedule.time(math.nan)


@given(
    maker=st.sampled_from(list(MAKERS.values())),
    t=st.lists(st.floats(), min_size=1, max_size=5),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.int64]),
)
def test_a_curve_is_finite_or_names_its_argument(maker, t, dtype):
    schedule = maker()
    try:
        times = torch.tensor(t, dtype=torch.float64).to(dtype)
        alpha, sigma, log_snr = schedule.alpha(times), schedule.sigma(times), schedule.log_snr(times)
    except (ValueError, TypeError) as error:
        assert str(error).startswith("t must") and not (dtype.is_floating_point and all(0 <= x <= 1 for x in t))
        return
    assert alpha.isfinite().all() and sigma.isfinite().all() and not log_snr.isnan().any()
    assert alpha.dtype == sigma.dtype == log_snr.dtype == dtype
    assert (schedule.time(log_snr.double()) - times.double()).abs().max() < {
        torch.float64: 1e-5,  # where log_snr is as good as flat: near t = 1 of cosine
        torch.float32: 1e-2,
        torch.bfloat16: 0.3,
    }.get(dtype, 0)


# What a schedule is as an object


def test_config_goes_through_json_and_back(schedule):
    again = schedule_from(json.loads(json.dumps(schedule.config())))
    assert again == schedule and hash(again) == hash(schedule)
    t = np.linspace(0, 1, 33)
    np.testing.assert_array_equal(again.alpha(t), schedule.alpha(t))
    np.testing.assert_array_equal(again.sigma(t), schedule.sigma(t))


@pytest.mark.parametrize("bad", [{"name": "quadratic"}, {}, {"name": None}, {"name": "zero_terminal_snr"}, []])
def test_configs_of_no_schedule_are_a_value_error(unchecked, bad):
    with pytest.raises(ValueError, match="must"):
        schedule_from(bad)


def test_schedules_are_equal_if_alike_and_frozen(schedule):
    others = [make() for make in MAKERS.values()]
    assert sum(schedule == other for other in others) <= 1
    assert schedules.linear() == schedules.linear() != schedules.scaled_linear()
    assert schedules.from_betas([0.1, 0.2]) == schedules.from_betas(np.array([0.1, 0.2]))
    assert schedules.from_betas([0.1, 0.2]) != schedules.from_betas([0.1, 0.3])
    with pytest.raises(dataclasses.FrozenInstanceError):
        schedule.betas = (0.5,)


@pytest.mark.parametrize("bad", [[], [0.0], [1.0], [0.1, -0.1], [math.nan], [[0.1, 0.2]], 0.1, "ab", [None]])
def test_bad_betas_are_named(unchecked, bad):
    with pytest.raises((ValueError, TypeError), match="betas must"):
        schedules.from_betas(bad)


@pytest.mark.parametrize("name", MAKERS)
def test_it_can_be_made_again_and_copied(name):
    for schedule in (MAKERS[name](), schedules.shifted(MAKERS[name](), 2.0), schedules.from_betas([0.1, 0.5])):
        make, arguments = schedule.__reduce__()  # which is what pickle asks for
        for again in (make(*arguments), copy.deepcopy(schedule)):
            assert again == schedule and again.alpha(0.3) == schedule.alpha(0.3)


def test_a_bad_time_that_cannot_be_read_gives_nan():
    # what a GPU does, where reading the time would make it wait; "meta" stands for another device than the CPU
    class Elsewhere(torch.Tensor):
        device = torch.device("meta")

    value = torch.tensor([0.5, 1.5, math.nan, -1.0]).as_subclass(Elsewhere)
    assert check.within("t", value).as_subclass(torch.Tensor).isnan().tolist() == [False, True, True, True]
