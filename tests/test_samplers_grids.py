"""Where the steps stop: ends, order, the papers' formulas, and what is refused."""

import math

import numpy as np
import pytest

import minidiffusion as md
from minidiffusion.samplers import karras, uniform, uniform_log_snr

NAMED = {name: make() for name, make in md.schedule.NAMED.items()}


def ratios(schedule, times):
    """sigma / alpha."""
    return [math.exp(-schedule.log_snr(t) / 2) for t in times]


@pytest.mark.parametrize("steps", [1, 2, 5, 40])
@pytest.mark.parametrize("grid", [karras, uniform_log_snr, lambda schedule, steps: uniform(steps)])
def test_a_grid_falls_from_1_to_0_in_so_many_steps(grid, steps, schedule):
    times = grid(schedule, steps)
    assert len(times) == steps + 1 and times[0] == 1 and times[-1] == 0
    assert all(t > s for t, s in zip(times, times[1:], strict=False))
    assert all(type(t) is float for t in times)
    assert md.sample(lambda x_t, t: 0 * x_t, md.prior((2, 3), schedule), schedule, times=times).isfinite().all()


@pytest.mark.parametrize("N", [2, 5, 18])
def test_karras_is_equation_5(N):
    # sigma_i = (sigma_max^(1/rho) + i / (N - 1) (sigma_min^(1/rho) - sigma_max^(1/rho)))^rho, i < N, and sigma_N = 0
    for low, high, rho in [(0.002, 80.0, 7.0), (0.01, 10.0, 3.0)]:
        i = np.arange(N)
        printed = (high ** (1 / rho) + i / (N - 1) * (low ** (1 / rho) - high ** (1 / rho))) ** rho
        times = karras(NAMED["flow"], N, low, high, rho)
        np.testing.assert_allclose(ratios(NAMED["flow"], times[1:-1]), printed[1:], rtol=1e-9)
    # ve is their own: it begins at 80 and ends at 0.002, where there is no more step to 0
    i = np.arange(N + 1)
    printed = (80 ** (1 / 7) + i / N * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    np.testing.assert_allclose(ratios(NAMED["ve"], karras(NAMED["ve"], N)), printed, rtol=1e-9)


@pytest.mark.parametrize("name", ["linear", "flow", "ve"])
def test_log_snr_is_even(name):
    schedule = NAMED[name]
    times = uniform_log_snr(schedule, 12, 0.05, 6.0)
    points = 13 if name == "ve" else 12  # ve does not reach sigma = 0, and its last stop is t = 0 itself
    even = np.linspace(-2 * math.log(6.0), -2 * math.log(0.05), points)
    got = [schedule.log_snr(t) for t in times[1:-1]]
    np.testing.assert_allclose(got, even[1:] if points == 12 else even[1:-1], atol=1e-9)


def test_rho_1_is_even_in_sigma_and_a_large_rho_in_log_snr():
    flow = NAMED["flow"]
    np.testing.assert_allclose(np.diff(ratios(flow, karras(flow, 9, 0.1, 5.0, rho=1.0)[1:-1]), 2), 0, atol=1e-12)
    np.testing.assert_allclose(karras(flow, 9, rho=1e5), uniform_log_snr(flow, 9), atol=1e-4)


def test_a_schedule_that_ends_inside_the_bounds_keeps_its_own_ends():
    # scaled_linear ends at sigma / alpha = 14.6, below 80: its first stop is one stride from there, not from 80
    schedule = NAMED["scaled_linear"]
    top = math.exp(-schedule.log_snr(1.0) / 2)
    assert top < 80 and karras(schedule, 10) == karras(schedule, 10, sigma_max=1000.0) != karras(
        schedule, 10, 0.002, 9.0
    )
    assert karras(NAMED["ve"], 10) == karras(NAMED["ve"], 10, 1e-9, 1e9)


@pytest.mark.parametrize("grid", [karras, uniform_log_snr])
@pytest.mark.parametrize(
    "name, arguments",
    [
        ("steps", dict(steps=0)),
        ("steps", dict(steps=2.5)),
        ("steps", dict(steps=True)),
        ("sigma_min", dict(steps=5, sigma_min=0.0)),
        ("sigma_min", dict(steps=5, sigma_min=-1.0)),
        ("sigma_min", dict(steps=5, sigma_min=math.nan)),
        ("sigma_min", dict(steps=5, sigma_min=3.0, sigma_max=2.0)),
        ("sigma_min", dict(steps=5, sigma_min=2.0, sigma_max=2.0)),
        ("sigma_min", dict(steps=5, sigma_max=math.inf)),
        ("sigma_min", dict(steps=5, sigma_min=1e3, sigma_max=1e4)),  # above all that the schedule has
        ("sigma_min", dict(steps=5, sigma_min=1e-9, sigma_max=1e-6)),  # below all that it has
    ],
)
def test_bad_bounds_are_named(unchecked, grid, name, arguments):
    with pytest.raises(ValueError, match=f"{name} must"):
        grid(NAMED["ve"], **arguments)


def test_bad_numbers_of_steps_and_rho_are_named(unchecked):
    for steps in (0, -1, 2.5, True, "ten"):
        with pytest.raises(ValueError, match="steps must"):
            uniform(steps)
    for rho in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="rho must"):
            karras(NAMED["cosine"], 5, rho=rho)
    with pytest.raises(TypeError, match="schedule must"):
        karras("cosine", 5)
