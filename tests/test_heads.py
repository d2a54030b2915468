"""What an output means: every head against its definition, and every head through every other."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minidiffusion as md
from minidiffusion.heads import EPS, FLOW, HEADS, SCORE, X0, F, V

NAMED = {name: make() for name, make in md.schedule.NAMED.items()}
PURE_NOISE = [NAMED["flow"], md.schedule.zero_terminal_snr(NAMED["linear"])]  # alpha(1) = 0


def pair(shape=(5, 2), dtype=torch.float64):
    x0, eps = torch.randn(2, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return x0.to(dtype), eps.to(dtype)


@pytest.fixture(params=HEADS)
def head(request):
    return HEADS[request.param]


# Round trips


def test_target_to_x0_gives_x0(head, schedule):
    x0, eps = pair()
    t = torch.tensor([0.02, 0.2, 0.5, 0.8, 0.98], dtype=torch.float64)
    x_t = md.diffuse(x0, t, eps, schedule)
    torch.testing.assert_close(
        head.to_x0(head.target(x0, eps, t, schedule), x_t, t, schedule), x0, rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("other", HEADS)
def test_one_head_through_another_gives_x0(head, other, schedule):
    (x0, eps), other, t = pair(), HEADS[other], 0.6
    x_t = md.diffuse(x0, t, eps, schedule)
    # a guess that is not the truth, said by one head, understood, said again by the other
    output = head.target(x0 + 0.1, (x_t - schedule.alpha(t) * (x0 + 0.1)) / schedule.sigma(t), t, schedule)
    guess = head.to_x0(output, x_t, t, schedule)
    again = other.target(guess, md.to_eps(guess, x_t, t, schedule), t, schedule)
    torch.testing.assert_close(other.to_x0(again, x_t, t, schedule), x0 + 0.1, rtol=1e-9, atol=1e-9)


def test_to_eps_finds_the_noise(schedule):
    x0, eps = pair()
    t = torch.tensor([0.01, 0.2, 0.5, 0.8, 1.0], dtype=torch.float64)
    torch.testing.assert_close(md.to_eps(x0, md.diffuse(x0, t, eps, schedule), t, schedule), eps, rtol=1e-9, atol=1e-9)


def test_each_item_has_its_own_time(head, schedule):
    x0, eps = pair((4, 2, 3, 3))
    t = torch.tensor([0.1, 0.4, 0.7, 0.9], dtype=torch.float64)
    x_t = md.diffuse(x0, t, eps, schedule)
    target = head.target(x0, eps, t, schedule)
    for i, one_time in enumerate(t.tolist()):
        one = slice(i, i + 1)
        torch.testing.assert_close(head.target(x0[one], eps[one], one_time, schedule), target[one])
        torch.testing.assert_close(
            head.to_x0(target[one], x_t[one], one_time, schedule), head.to_x0(target, x_t, t, schedule)[one]
        )


# Definitions


def test_eps_and_x0_name_themselves(schedule):
    x0, eps = pair()
    assert torch.equal(EPS.target(x0, eps, 0.3, schedule), eps)
    assert torch.equal(X0.target(x0, eps, 0.3, schedule), x0)


def test_score_is_the_gradient_of_the_log_density(schedule):
    x0, eps = pair()
    t = 0.4
    x_t = md.diffuse(x0, t, eps, schedule).requires_grad_()
    # log q(x_t | x0) of the normal with mean alpha x0 and standard deviation sigma (Song et al. 2021, eq. 29)
    log_density = -((x_t - schedule.alpha(t) * x0) ** 2).sum() / (2 * schedule.sigma(t) ** 2)
    (score,) = torch.autograd.grad(log_density, x_t)
    torch.testing.assert_close(SCORE.target(x0, eps, t, schedule), score)


def test_flow_is_the_velocity_of_the_straight_path():
    x0, eps = pair()
    t = torch.tensor(0.4, dtype=torch.float64)
    # Liu et al. 2022, eq. 1: d x_t / dt of the process itself
    _, velocity = torch.autograd.functional.jvp(lambda t: md.diffuse(x0, t, eps, NAMED["flow"]), t, torch.ones_like(t))
    torch.testing.assert_close(FLOW.target(x0, eps, t, NAMED["flow"]), velocity)


@pytest.mark.parametrize("name", ["linear", "cosine", "scaled_linear"])
def test_v_is_the_velocity_on_the_circle(name):
    schedule, (x0, eps), t = NAMED[name], pair(), 0.4
    # Salimans and Ho 2022, appendix D: alpha = cos phi, sigma = sin phi, v = d x_phi / d phi
    phi = torch.tensor(math.atan2(schedule.sigma(t), schedule.alpha(t)), dtype=torch.float64)
    _, velocity = torch.autograd.functional.jvp(lambda p: p.cos() * x0 + p.sin() * eps, phi, torch.ones_like(phi))
    torch.testing.assert_close(V.target(x0, eps, t, schedule), velocity)


def test_gain_is_the_change_of_the_output_with_x0(head, schedule):
    x0, eps = pair()
    t = torch.tensor([0.02, 0.2, 0.5, 0.8, 0.98], dtype=torch.float64)
    x_t = md.diffuse(x0, t, eps, schedule)

    def output(guess):
        return head.target(guess, md.to_eps(guess, x_t, t, schedule), t, schedule)

    # the output is affine in x0 at fixed x_t, so a step of 1 gives the exact slope
    slope = (output(x0 + 1) - output(x0)).abs()
    gain = head.gain(t, x0, schedule).expand_as(slope)
    torch.testing.assert_close(slope, gain, rtol=1e-8, atol=1e-8)
    by_hand = {  # the table in heads.py
        "eps": lambda alpha, sigma: alpha / sigma,
        "x0": lambda alpha, sigma: torch.ones_like(sigma),
        "v": lambda alpha, sigma: (alpha**2 + sigma**2) / sigma,
        "score": lambda alpha, sigma: alpha / sigma**2,
        "flow": lambda alpha, sigma: (alpha + sigma) / sigma,
        "F": lambda alpha, sigma: (0.25 * alpha**2 + sigma**2).sqrt() / (0.5 * sigma),
    }[head.name]
    torch.testing.assert_close(gain[:, 0], by_hand(schedule.alpha(t), schedule.sigma(t)))


def test_F_is_the_preconditioning_of_edm(schedule):
    # Karras et al. 2022, eq. 7 and table 1, in their words: x is the picture with noise of std sigma added to it
    _, x_t = pair()
    F_x, t, sd = torch.sin(x_t), 0.6, 0.5
    sigma = schedule.sigma(t) / schedule.alpha(t)
    c_skip, c_out = sd**2 / (sigma**2 + sd**2), sigma * sd / math.sqrt(sigma**2 + sd**2)
    D = c_skip * (x_t / schedule.alpha(t)) + c_out * F_x
    torch.testing.assert_close(F.to_x0(F_x, x_t, t, schedule), D, rtol=1e-9, atol=1e-9)
    assert F.gain(t, x_t, schedule).item() == pytest.approx(1 / c_out)
    c_in = 1 / math.sqrt(sigma**2 + sd**2)
    heard = []
    md.Denoiser(lambda x, t, cond: heard.append(x) or x, schedule, F)(x_t, t)
    torch.testing.assert_close(heard[0], c_in * (x_t / schedule.alpha(t)), rtol=1e-9, atol=1e-9)


def test_the_target_of_F_has_unit_variance_at_every_level(schedule):
    # the reason for F (Karras et al. 2022, appendix B.6); v has that variance only if the data has variance 1
    for t in (0.05, 0.3, 0.7, 1.0):
        by_x0 = F.target(torch.tensor([[0.5]]).double(), torch.zeros(1, 1).double(), t, schedule)
        by_eps = F.target(torch.zeros(1, 1).double(), torch.tensor([[1.0]]).double(), t, schedule)
        assert (by_x0**2 + by_eps**2).item() == pytest.approx(1.0)  # the target is linear in x0 and eps


@pytest.mark.parametrize("t", [0.0, torch.tensor([0.0, 0.0])])
def test_without_noise_the_gain_is_infinite_but_for_x0(head, t):
    gain = head.gain(t, torch.zeros(2, 3), NAMED["cosine"])
    assert (gain == (1.0 if head is X0 else math.inf)).all()


# Singular places


@pytest.mark.parametrize("schedule", PURE_NOISE)
def test_eps_and_score_do_not_know_x0_in_pure_noise(schedule):
    _, x_t = pair()
    for head in (EPS, SCORE):
        for t in (1.0, torch.tensor(1.0), torch.tensor([0.5, 0.5, 1.0, 0.5, 0.5])):
            with pytest.raises(ValueError, match=r"t must not be where alpha = 0"):
                head.to_x0(x_t, x_t, t, schedule)


@pytest.mark.parametrize("schedule", PURE_NOISE)
def test_v_x0_flow_and_F_know_x0_even_in_pure_noise(schedule):
    x0, eps = pair()
    for head in (V, X0, FLOW, F):
        for t in (1.0, torch.ones(5, dtype=torch.float64)):
            x_t = md.diffuse(x0, t, eps, schedule)
            torch.testing.assert_close(x_t, eps)
            torch.testing.assert_close(head.to_x0(head.target(x0, eps, t, schedule), x_t, t, schedule), x0)


@pytest.mark.parametrize("name", ["linear", "scaled_linear", "cosine", "sigmoid", "flow"])
def test_without_noise_there_is_no_score_and_any_eps(name):
    schedule, (x0, eps) = NAMED[name], pair()
    for t in (0.0, torch.tensor([0.5, 0.0, 0.5, 0.5, 0.5])):
        with pytest.raises(ValueError, match=r"t must not be where sigma = 0"):
            SCORE.target(x0, eps, t, schedule)
        with pytest.raises(ValueError, match=r"t must not be where sigma = 0"):
            md.to_eps(x0, x0, t, schedule)
    for head in (EPS, X0, V, FLOW, F):
        torch.testing.assert_close(head.to_x0(head.target(x0, eps, 0.0, schedule), x0, 0.0, schedule), x0)


# Wrong shapes, and whatever else comes


def test_wrong_shapes_are_named(unchecked, head):
    x, wide = torch.zeros(2, 3), torch.zeros(2, 4)
    with pytest.raises(ValueError, match="eps must have the shape of x0"):
        head.target(x, wide, 0.5, NAMED["cosine"])
    with pytest.raises(ValueError, match="x_t must have the shape of output"):
        head.to_x0(x, wide, 0.5, NAMED["cosine"])
    with pytest.raises(ValueError, match="x_t must have the shape of x0"):
        md.to_eps(x, wide, 0.5, NAMED["cosine"])


@given(
    head=st.sampled_from(list(HEADS.values())),
    schedule=st.sampled_from(list(NAMED.values())),
    shape=st.lists(st.integers(0, 3), min_size=1, max_size=4),
    t=st.floats(0, 1) | st.floats(),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.int64]),
)
def test_a_round_trip_is_finite_or_names_an_argument(head, schedule, shape, t, dtype):
    x0, eps = torch.ones(shape).to(dtype), torch.full(shape, -1.0).to(dtype)
    try:
        x_t = md.diffuse(x0, t, eps, schedule)
        again = head.to_x0(head.target(x0, eps, t, schedule), x_t, t, schedule)
    except (ValueError, TypeError) as error:
        assert any(f"{name} must" in str(error) or f"'{name}'" in str(error) for name in ("t", "x0", "eps"))
        assert not dtype.is_floating_point or not 0.01 <= t <= 0.99
    else:
        assert again.shape == x0.shape and again.dtype == dtype
        if 0.1 <= t <= 0.9:
            assert again.isfinite().all()
            # a rounding of x_t is alpha / sigma times a rounding of x0, and the other way round
            worst = torch.finfo(dtype).eps * max(1, math.exp(-schedule.log_snr(t) / 2)) * schedule.sigma(t)
            assert x0.numel() == 0 or (again - x0).abs().max() <= 20 * max(worst, torch.finfo(dtype).eps)
