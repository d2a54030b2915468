"""Many networks trained as one: each arm must learn what it would have learned on its own."""

import pytest
import torch

import minidiffusion as md
from minidiffusion.course.stacked import Arm, Stack, fit_stack

SCHEDULE = md.schedule.cosine()
OUTPUTS = ("x0", "eps", "v", "F")


def nets(count, zero=False):
    made = []
    for seed in range(count):
        torch.manual_seed(seed)
        made.append(md.nets.MLP(3, 8, 1))
        if zero:
            for weight in made[-1].last[1].parameters():
                torch.nn.init.zeros_(weight)
    return made


def points():
    return torch.randn(200, 3, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("time", [0.3, torch.tensor([0.1, 0.5, 0.9, 0.3])])
def test_an_arm_is_the_denoiser_of_its_own_network(time):
    made = nets(4)
    arms = [Arm(name, data_std=0.5 if name == "F" else 1.0) for name in OUTPUTS]
    stack = Stack(made, arms, SCHEDULE)
    x_t = torch.randn(4, 4, 3, generator=torch.Generator().manual_seed(0))
    guess = stack(x_t, time)
    for n, (net, name) in enumerate(zip(made, OUTPUTS, strict=True)):
        alone = md.Denoiser(net, SCHEDULE, md.heads.HEADS[name])
        assert torch.allclose(guess[:, n], alone(x_t[:, n], time), atol=1e-4)


def test_the_loss_equals_loss_per_item():
    made, eps = nets(4), torch.randn(200, 3, generator=torch.Generator().manual_seed(1))
    t = torch.linspace(0.05, 0.95, 200)
    for weighting in ("constant", "snr", "min_snr", "truncated_snr", "snr_plus_one", "p2", "elbo"):
        stack = Stack(made[:3], [Arm(name, weighting) for name in OUTPUTS[:3]], SCHEDULE)
        losses = stack.losses(points(), t, eps)
        for n, name in enumerate(OUTPUTS[:3]):
            alone = md.Denoiser(made[n], SCHEDULE, md.heads.HEADS[name])
            one = md.objectives.loss_per_item(alone, points(), t, eps, weighting)
            assert torch.allclose(losses[:, n], one, rtol=2e-3, atol=1e-5), (weighting, name)


def test_each_arm_learns_what_it_would_learn_alone():
    arms = [Arm("x0", "min_snr"), Arm("eps", "snr"), Arm("v", "constant", data_scale=2.0)]
    *_, together = fit_stack(Stack(nets(3), arms, SCHEDULE), points(), 30, batch_size=16)
    for n in range(3):
        *_, alone = fit_stack(Stack([nets(3)[n]], [arms[n]], SCHEDULE), points(), 30, batch_size=16)
        assert alone.loss[0] == pytest.approx(together.loss[n].item(), rel=1e-3)
        for one, many in zip(alone.ema.weights, together.ema.weights, strict=True):
            assert torch.allclose(one[0], many[n], atol=1e-4)


def test_training_lowers_the_loss_and_repeats_itself():
    def run():
        arms = [Arm("x0", "min_snr"), Arm("v", "min_snr")]
        return [step.loss for step in fit_stack(Stack(nets(2), arms, SCHEDULE), points(), 60, learning_rate=1e-2)]

    losses = run()
    assert all(torch.stack(losses[-10:]).mean(0) < torch.stack(losses[:10]).mean(0))
    assert all(torch.equal(a, b) for a, b in zip(losses, run(), strict=True))


def test_on_data_of_unit_variance_f_is_minus_v_and_gives_the_same_denoiser():
    made = nets(1, zero=True) * 2
    arms = [Arm("v", "snr_plus_one"), Arm("F", "snr_plus_one")]
    *_, step = fit_stack(Stack(made, arms, SCHEDULE), points(), 40, batch_size=16)
    x_t = torch.randn(10, 1, 3, generator=torch.Generator().manual_seed(0)).expand(-1, 2, -1)
    guess = step.ema(x_t, 0.4)
    assert torch.allclose(guess[:, 0], guess[:, 1], atol=1e-4)


def test_f_with_the_right_data_std_does_not_depend_on_the_scale_of_the_data():
    made = nets(1, zero=True) * 2
    # scaling the noise by 10 too shifts the log-SNR; there, both arms see the same inputs up to that factor
    arms = [Arm("F", data_std=1.0), Arm("F", data_std=10.0, data_scale=10.0)]
    torch.nn.init.normal_(made[0].last[1].weight)
    stack = Stack(made, arms, SCHEDULE)
    t = SCHEDULE.time(0.0)
    s = SCHEDULE.time(0.0 - 2 * torch.tensor(10.0).log().item())
    u = torch.randn(6, 1, 3, generator=torch.Generator().manual_seed(0))
    plain = arms[0].curves(*(torch.tensor(f(t)) for f in (SCHEDULE.alpha, SCHEDULE.sigma)))
    tenfold = arms[1].curves(*(torch.tensor(f(s)) for f in (SCHEDULE.alpha, SCHEDULE.sigma)))
    assert 10 * plain[1].item() == pytest.approx(tenfold[1].item(), rel=1e-4)  # the gain scales with the data
    assert stack(u.expand(-1, 2, -1), 0.5).isfinite().all()


def test_arms_can_share_their_first_guess():
    made = nets(1, zero=True) * 3
    x_t = torch.randn(5, 1, 3, generator=torch.Generator().manual_seed(0)).expand(-1, 3, -1)
    own = Stack(made, [Arm(name) for name in OUTPUTS[:3]], SCHEDULE)(x_t, 0.6)
    assert own[:, 0].abs().max() == 0 and torch.allclose(own[:, 1], x_t[:, 1] / SCHEDULE.alpha(0.6), atol=1e-5)
    same = Stack(made, [Arm(name, skip="v") for name in OUTPUTS[:3]], SCHEDULE)(x_t, 0.6)
    assert torch.allclose(same, SCHEDULE.alpha(0.6) * x_t, atol=1e-5)


def test_an_output_can_have_another_scale():
    (net,) = nets(1)
    stack = Stack([net, net], [Arm("x0"), Arm("x0", output_scale=10.0)], SCHEDULE)
    guess = stack(torch.ones(2, 2, 3), 0.5)
    assert torch.allclose(guess[:, 0], 10 * guess[:, 1], atol=1e-6)


def test_gradients_are_clipped_arm_by_arm():
    stack = Stack(nets(2), [Arm("x0", "constant"), Arm("eps", "constant")], SCHEDULE)
    steps = fit_stack(stack, points(), 2, batch_size=16, clip=0.5)
    step = next(steps)
    grads = torch.cat([weight.grad.flatten(1) for weight in stack.weights], 1).norm(dim=1)
    assert step.gradient_norm[1] > 0.5 and grads[1] == pytest.approx(0.5, rel=1e-3)
    assert grads[0] == pytest.approx(min(0.5, step.gradient_norm[0].item()), rel=1e-3)


def test_an_arm_that_breaks_does_not_disturb_the_others():
    broken, whole = nets(2)
    with torch.no_grad():
        broken.first.weight[0, 0] = float("inf")
    arms = [Arm("x0"), Arm("x0")]
    *_, step = fit_stack(Stack([broken, whole], arms, SCHEDULE), points(), 5, batch_size=16)
    *_, alone = fit_stack(Stack([whole], arms[:1], SCHEDULE), points(), 5, batch_size=16)
    assert not step.gradient_norm[0].isfinite() and step.loss[1] == pytest.approx(alone.loss[0].item(), rel=1e-4)


def test_sample_takes_a_stack_which_passes_on_its_condition():
    class Conditional(torch.nn.Module):
        def __init__(self, weight):
            super().__init__()
            self.register_buffer("weight", torch.tensor(weight))
            self.scale = torch.nn.Parameter(torch.ones(()))

        def forward(self, x, t, cond):
            return self.scale * self.weight * cond

    stack = Stack([Conditional(0.0), Conditional(1.0)], [Arm("x0"), Arm("x0")], SCHEDULE)
    cond = torch.arange(6.0).view(2, 3)
    x0 = md.sample(stack, md.prior((2, 2, 3), SCHEDULE), steps=4, cond=cond)
    assert torch.allclose(x0[:, 0], torch.zeros(2, 3), atol=1e-5) and torch.allclose(x0[:, 1], cond, atol=1e-5)
    *_, step = fit_stack(stack, points(), 3, cond=0.5 * points(), batch_size=8)
    assert step.ema.weights[0][0] == 1 and step.ema.weights[0][1] != 1  # the first ignores cond, so it learns nothing


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Arm("noise"), "head must be one of"),
        (lambda: Arm("x0", skip="noise"), "skip must be one of"),
        (lambda: Arm("x0", "uniform"), "weighting must be one of constant"),
        (lambda: Arm("x0", data_scale=0.0), "data_scale must be above 0"),
        (lambda: Arm("F", data_std=-1.0), "data_std must be above 0"),
        (lambda: Arm("x0", output_scale=0.0), "output_scale must be finite and not 0"),
        (lambda: Stack(nets(2), [Arm("x0")], SCHEDULE), "equally many"),
        (lambda: Stack([], [], SCHEDULE), "at least one"),
        (lambda: Stack(nets(1), [Arm("x0")], SCHEDULE)(torch.zeros(2, 2, 3), 0.5), r"x_t must be \(batch, 1"),
        (lambda: next(fit_stack(Stack(nets(1), [Arm("x0")], SCHEDULE), points()[0:0], 1)), "points must be"),
        (
            lambda: next(fit_stack(Stack(nets(1), [Arm("x0")], SCHEDULE), points(), 1, log_snr=(3.0, -3.0))),
            "log_snr must be two levels",
        ),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_one_step_follows_the_docstring():
    torch.manual_seed(0)
    net = md.nets.MLP(3, 8, 1, classes=2)
    torch.nn.init.normal_(net.last[1].weight)
    stack, labels = Stack([net], [Arm("v", "min_snr")], SCHEDULE), torch.arange(200) % 2
    generator = torch.Generator().manual_seed(7)
    index = torch.randint(200, (16,), generator=generator)
    low, high = SCHEDULE.time(3.0), SCHEDULE.time(-2.0)
    t = low + (high - low) * md.objectives.draw_times(16, generator)
    eps = torch.randn(16, 3, generator=generator)
    expected = stack.losses(points()[index], t, eps, labels[index]).mean(0)
    step = next(fit_stack(stack, points(), 5, labels, batch_size=16, log_snr=(-2.0, 3.0), seed=7))
    assert torch.allclose(step.loss, expected, rtol=1e-5)


def test_an_arm_can_scale_its_data():
    (net,) = nets(1)
    stack = Stack([net, net], [Arm("x0"), Arm("x0", data_scale=3.0)], SCHEDULE)
    t, eps = torch.linspace(0.1, 0.9, 200), torch.randn(200, 3, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(stack.losses(points(), t, eps)[:, 1], stack.losses(3 * points(), t, eps)[:, 0], rtol=1e-5)


def test_a_gradient_shorter_than_clip_is_not_changed():
    stack = Stack(nets(2), [Arm("x0", "constant"), Arm("eps", "constant")], SCHEDULE)
    step = next(fit_stack(stack, points(), 2, batch_size=16, clip=1e6))
    grads = torch.cat([weight.grad.flatten(1) for weight in stack.weights], 1).norm(dim=1)
    assert torch.allclose(grads, step.gradient_norm, rtol=1e-4)


def test_an_arm_whose_gradient_is_not_finite_keeps_its_weights():
    stack = Stack(nets(2), [Arm("x0", "constant", data_scale=1e30), Arm("x0", "constant")], SCHEDULE)
    before = [weight.detach().clone() for weight in stack.weights]
    step = next(fit_stack(stack, points(), 2, batch_size=16))
    assert not step.gradient_norm[0].isfinite() and step.gradient_norm[1].isfinite()
    assert all(torch.equal(a[0], b[0]) for a, b in zip(before, stack.weights, strict=True))
    assert any(not torch.equal(a[1], b[1]) for a, b in zip(before, stack.weights, strict=True))
