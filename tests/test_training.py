"""The training loop: what it learns, what it draws, what it averages, and which arguments it refuses."""

import copy
import math
import os
from pathlib import Path

import pytest
import torch

import minidiffusion as md
from minidiffusion.cli.pictures import draw
from minidiffusion.objectives import loss_per_item
from minidiffusion.training import checkpoint, descend, learning_rate_at, update_ema

COSINE = md.schedule.cosine()


def mlp(classes=0, width=32, head=md.heads.V, schedule=COSINE, dimension=2):
    torch.manual_seed(0)
    return md.Denoiser(md.nets.MLP(dimension, width, 2, classes), schedule, head)


def points(count=256, seed=0):
    return torch.randn(count, 2, generator=torch.Generator().manual_seed(seed))


def pictures(count=16):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 1, 8, 8), generator=generator).to(torch.uint8)


def weights(module):
    return torch.cat([p.detach().flatten() for p in module.parameters()])


def train(denoiser, data, steps, **options):
    """All steps, in float32, because bfloat16 rounds differently on different machines."""
    return list(md.fit(denoiser, data, steps, **{"precision": "float32", "batch_size": 32, **options}))


# What it learns


def test_it_memorises_a_single_point():
    point = torch.tensor([[0.3, -0.8]])
    # for the x0 head the exact answer is a constant, so the loss can go to 0
    denoiser = mlp(head=md.heads.X0)
    steps = train(denoiser, point, 400, learning_rate=1e-2)
    assert steps[0].loss > 0.1 and steps[-1].loss < 1e-4
    x_t = md.prior((100, 2), COSINE, torch.Generator().manual_seed(0))
    for t in (0.1, 0.5, 1.0):
        torch.testing.assert_close(denoiser(x_t, t), point.expand(100, 2), rtol=0, atol=0.03)
    picture = md.sample(steps[-1].ema, x_t, steps=5)
    torch.testing.assert_close(picture, point.expand(100, 2), rtol=0, atol=0.03)


def test_a_unet_memorises_one_image():
    torch.manual_seed(0)
    denoiser = md.Denoiser(md.nets.UNet(1, (16, 32), (1, 1)), COSINE, md.heads.X0)
    picture = pictures(1)
    steps = train(denoiser, picture, 60, learning_rate=1e-2, batch_size=8)
    assert steps[0].loss > 0.2 and steps[-1].loss < 0.02


def test_moons_are_learned_in_seconds(unchecked):
    train_set, test_set = (md.datasets.load("moons", split)[0] for split in ("train", "test"))
    denoiser = mlp(width=64)
    *_, last = train(denoiser, train_set, 1000, batch_size=256, learning_rate=6e-3, ema_decay=0.99)
    x_1 = md.prior((2000, 2), COSINE, torch.Generator().manual_seed(1))
    samples = md.sample(last.ema, x_1, steps=20, method="dpmpp_2m")

    def to_nearest(a, b):
        return torch.cdist(a, b).min(1).values.mean().item()

    def sliced(a, b):
        angle = torch.arange(32) * math.pi / 32
        along = torch.stack([angle.cos(), angle.sin()])
        return ((a @ along).sort(0).values - (b @ along).sort(0).values).abs().mean().item()

    # For real test points, the nearest of 10,000 training points is 0.009 away on average and the sliced distance is
    # 0.02 to 0.04; for the prior it is 0.31 and 0.24. Moons blurred by 0.15, which look thick, are 0.031 away.
    assert to_nearest(samples, train_set) < 0.03  # the samples lie on the moons
    assert to_nearest(test_set[:2000], samples) < 0.04  # and no part of the moons is missing
    assert sliced(samples, test_set[:2000]) < 0.1


def test_after_training_the_labels_change_the_image():
    torch.manual_seed(0)
    denoiser = md.Denoiser(md.nets.UNet(1, (16, 32), (1, 1), classes=2), COSINE, md.heads.V)
    x_t, t = torch.randn(2, 1, 8, 8), torch.tensor([0.5, 0.5])
    zeros, ones, null = (torch.full((2,), label) for label in (0, 1, 2))
    assert torch.equal(denoiser(x_t, t, zeros), denoiser(x_t, t, ones))  # its last layer is zero-initialised
    black_or_white = torch.tensor([0, 255]).to(torch.uint8).view(2, 1, 1, 1).expand(2, 1, 8, 8)
    train(denoiser, (black_or_white, torch.tensor([0, 1])), 30, learning_rate=1e-2, batch_size=16)
    assert (denoiser(x_t, t, ones) - denoiser(x_t, t, zeros)).mean() > 0.3
    assert torch.equal(denoiser(x_t, t), denoiser(x_t, t, null))


# The learning rate and the average


def test_the_learning_rate_rises_linearly_and_falls_along_a_cosine():
    rates = [learning_rate_at(step, 200, 0.5) for step in range(1, 201)]
    assert rates[:9] == pytest.approx([0.5 * i / 10 for i in range(1, 10)])  # a twentieth of 200 is 10
    # Loshchilov and Hutter 2017, eq. 5, without restarts
    cosine = [0.25 * (1 + math.cos(math.pi * i / 200)) for i in range(200)]
    assert rates[10:] == pytest.approx(cosine[10:])
    assert max(rates) < 0.5 and rates[-1] < 1e-4 * 0.5 and rates[100] == pytest.approx(0.25)
    assert [learning_rate_at(1, steps, 1.0) for steps in (1, 5, 40)] == pytest.approx([1.0, 1.0, 0.5])


def test_the_first_step_moves_each_weight_by_the_learning_rate():
    denoiser = mlp()
    before = weights(denoiser)
    next(md.fit(denoiser, points(), 40, learning_rate=1e-2, precision="float32"))
    moved = (weights(denoiser) - before).abs()
    # Adam's first step is the sign of the gradient (Kingma and Ba 2015, section 2.1); step 1 of 40 is half the peak
    assert moved.median().item() == pytest.approx(0.5e-2, rel=0.02) and moved.max() < 0.51e-2


def test_update_ema_is_its_closed_form():
    ema, model = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    start, goal, decay = weights(ema), weights(model), 0.9
    for _ in range(25):
        update_ema(ema, model, decay)
    # with constant weights w: ema_n = w + (ema_0 - w) decay^n
    torch.testing.assert_close(weights(ema), goal + (start - goal) * decay**25, rtol=1e-4, atol=1e-6)
    assert torch.equal(weights(model), goal)


def test_the_ema_of_a_fit_is_the_documented_average():
    denoiser = mlp()
    average = weights(denoiser).double()
    for step in md.fit(denoiser, points(), 30, batch_size=32, learning_rate=1e-2, ema_decay=0.6, precision="float32"):
        decay = min(0.6, step.number / (step.number + 10))
        average = decay * average + (1 - decay) * weights(denoiser).double()
        torch.testing.assert_close(weights(step.ema).double(), average, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(average, weights(denoiser).double(), atol=1e-4)
    assert not step.ema.training and not any(p.requires_grad for p in step.ema.parameters())


# The loop


def test_it_stops_when_the_caller_stops():
    denoiser, seen = mlp(), []
    for step in md.fit(denoiser, points(), 10**9, batch_size=8):
        seen.append(step.number)
        if step.number == 3:
            break
    assert seen == [1, 2, 3] and torch.is_grad_enabled()


def test_a_step_says_what_it_did():
    steps = train(mlp(), points(), 4, batch_size=16)
    assert [step.number for step in steps] == [1, 2, 3, 4]
    for step in steps:
        assert step.loss == pytest.approx(step.loss_per_item.mean().item(), rel=1e-5)
        assert step.loss_per_item.shape == step.log_snr.shape == (16,) and not step.loss_per_item.requires_grad
        assert step.gradient_norm > 0 and step.images_per_second > 0
        # sixteen times, one in each bin, from little noise to a lot
        t = COSINE.time(step.log_snr)
        assert torch.equal((t * 16).floor().clamp(max=15).long(), torch.arange(16))


def test_each_loss_stands_at_its_noise_level():
    # the data is 1 everywhere and the network answers 0, so the squared error is 1 and the loss is the weight, snr
    class Nothing(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, x, t, cond):
            return self.weight * x

    denoiser = md.Denoiser(Nothing(), COSINE, md.heads.X0)
    step = next(md.fit(denoiser, torch.ones(64, 5), 9, weighting="snr", batch_size=64, precision="float32"))
    torch.testing.assert_close(step.loss_per_item, step.log_snr.exp().float(), rtol=1e-4, atol=1e-9)


def test_the_gradient_is_clipped_at_1_and_reported_before(monkeypatch):
    used, original = [], torch.optim.AdamW.step

    def step(optimiser, *arguments):
        gradients = [p.grad.flatten() for group in optimiser.param_groups for p in group["params"]]
        used.append(torch.cat(gradients).norm().item())
        return original(optimiser, *arguments)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    steps = train(mlp(head=md.heads.X0), 100 * points(), 3) + train(mlp(), 1e-3 * points(), 40, learning_rate=0.02)
    assert steps[0].gradient_norm > 10 and used[0] == pytest.approx(1, rel=1e-4)
    small = [(step.gradient_norm, norm) for step, norm in zip(steps, used, strict=True) if step.gradient_norm < 1]
    assert small and all(norm == pytest.approx(reported, rel=1e-4) for reported, norm in small)


@pytest.mark.parametrize("classes", [0, 3])
def test_the_seed_decides_the_weights_and_the_global_generator_is_left_alone(classes, global_rng_untouched):
    data = (points(), torch.arange(256) % 3) if classes else points()
    results, state = [], torch.get_rng_state()
    for seed in (1, 1, 2):
        denoiser = mlp(classes)
        torch.set_rng_state(state)
        steps = train(denoiser, data, 5, seed=seed)
        results.append((weights(denoiser), weights(steps[-1].ema), torch.tensor([s.loss for s in steps])))
    assert all(torch.equal(a, b) for a, b in zip(results[0], results[1], strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(results[0], results[2], strict=True))


def test_two_threads_train_the_same_network_as_one():
    # Tolerance: summing in a different order changes a loss by less than 0.01% in three steps
    threads, losses = torch.get_num_threads(), []
    try:
        for count in (1, 2, 2):
            torch.set_num_threads(count)
            torch.manual_seed(0)
            denoiser = md.Denoiser(md.nets.UNet(1, (16, 32), (1, 1)), COSINE, md.heads.V)
            losses.append(torch.tensor([step.loss for step in train(denoiser, pictures(), 3, batch_size=8)]))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(losses[1], losses[2])
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-4, atol=0)


# Data


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_uint8_and_float_images_give_the_same_losses(dtype):
    losses = []
    for data in (pictures(), md.datasets.to_float(pictures()).to(dtype)):
        torch.manual_seed(0)
        denoiser = md.Denoiser(md.nets.UNet(1, (16, 32), (1, 1)), COSINE, md.heads.V)
        losses.append([step.loss for step in train(denoiser, data, 3)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


class Spy(torch.nn.Module):
    """A network that records its inputs."""

    def __init__(self, classes=0, context=0):
        super().__init__()
        self.condition = md.nets.embedding.Condition(4, classes, context)
        self.seen = []

    def forward(self, x, t, cond):
        self.seen.append((x.detach(), t, cond))
        return x + 0 * self.condition(t, cond).sum()


@pytest.mark.parametrize("drop", [0.0, 0.3, 1.0])
def test_labels_are_dropped_at_the_given_rate_and_otherwise_stay_with_their_item(drop):
    spy, classes, batch, count = Spy(5), 5, 512, 20
    labels = torch.arange(100) % classes
    # points so far apart that a noisy point still shows its label, as long as some signal is left
    data = (1000.0 * labels[:, None].float()).repeat(1, 2)
    denoiser = md.Denoiser(spy, md.schedule.flow(), md.heads.V)
    train(denoiser, (data, labels), count, batch_size=batch, drop=drop, learning_rate=0.0)
    dropped = 0
    for x, t, cond in spy.seen:
        x_t = x[:, 0] * ((1 - t) ** 2 + t**2).sqrt()
        true = (x_t / (1 - t) / 1000).round()
        clear, kept = t < 0.9, cond != classes  # classes is the null label
        assert torch.equal(true[clear & kept].long(), cond[clear & kept])
        assert (true[clear] >= 0).all() and cond.max() <= classes
        dropped += (~kept).sum().item()
    n = batch * count
    # 5 standard errors: with a random seed, this would fail by chance once in 1.7 million runs
    assert abs(dropped / n - drop) <= 5 * math.sqrt(drop * (1 - drop) / n)


def test_without_labels_there_is_no_condition():
    spy = Spy(0)
    train(md.Denoiser(spy, COSINE, md.heads.V), points(), 2)
    assert all(cond is None for _, _, cond in spy.seen)


CONDITIONS = {
    "embeddings": torch.rand(40, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.1,
    "words": torch.rand(40, 5, 3, generator=torch.Generator().manual_seed(0)) + 0.1,
}
CONDITIONS["words"][:, 3:] = 0.0  # padding


@pytest.mark.parametrize("name", CONDITIONS)
def test_embeddings_and_words_are_dropped_and_otherwise_stay_with_their_item(name):
    cond, spy = CONDITIONS[name], Spy(context=3)
    data = 1000.0 * torch.arange(40.0)[:, None].repeat(1, 2)  # noise of size 1 cannot hide the number of an item
    denoiser = md.Denoiser(spy, md.schedule.flow(), md.heads.V)
    train(denoiser, (data, cond), 10, batch_size=200, drop=0.3, learning_rate=0.0)
    dropped = 0
    for x, t, got in spy.seen:
        item = (x[:, 0] * ((1 - t) ** 2 + t**2).sqrt() / (1 - t) / 1000).round().long()
        empty = (got == 0).flatten(1).all(1)
        clear = (t < 0.9) & ~empty
        assert torch.equal(got[clear], cond[item[clear]].float())
        dropped += empty.sum().item()
    assert abs(dropped / 2000 - 0.3) < 5 * math.sqrt(0.3 * 0.7 / 2000)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
def test_labels_may_have_any_integer_type(dtype):
    def trained(labels):
        denoiser = mlp(classes=3)
        train(denoiser, (points(), labels), 3)
        return weights(denoiser)

    labels = torch.arange(256) % 3
    assert torch.equal(trained(labels.to(dtype)), trained(labels))


class Own(torch.nn.Module):
    """A network that somebody else wrote, which knows nothing of our conditions."""

    def __init__(self):
        super().__init__()
        self.weight, self.seen = torch.nn.Parameter(torch.zeros(1)), []

    def forward(self, x, t, cond):
        self.seen.append(cond)
        return self.weight * x


def test_a_network_of_ones_own_gets_its_condition_untouched(unchecked):
    own, cond = Own(), torch.arange(256) % 2 == 0
    train(md.Denoiser(own, COSINE, md.heads.V), (points(), cond), 2, drop=1.0)
    assert all(got.dtype == torch.bool and got.any() and not got.all() for got in own.seen)
    for wrong in (cond[:9], [True] * 9):
        with pytest.raises(ValueError, match="^cond must have one row for each of 256 items"):
            md.fit(md.Denoiser(own, COSINE, md.heads.V), (points(), wrong), 2)


def test_pixels_from_0_to_255_are_named_before_they_train(unchecked):
    denoiser = md.Denoiser(md.nets.UNet(1, (16, 32), (1, 1)), md.schedule.cosine(), md.heads.V)
    with pytest.raises(ValueError, match=r"images in \[-1, 1\] or uint8, got floats up to 255"):
        md.fit(denoiser, torch.arange(256.0).view(1, 1, 16, 16), 1)
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match="data must be finite"):
            md.fit(denoiser, torch.full((2, 1, 16, 16), bad), 1)


def test_it_trains_on_latents_of_any_size():
    latents = 10 * torch.randn(16, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    denoiser = md.Denoiser(md.nets.UNet(4, (16, 32), (1, 1)), COSINE, md.heads.X0)
    (step,) = train(denoiser, latents, 1, batch_size=512)
    # zero-initialised, the network answers 0, so the loss is the mean square of the latents
    assert step.loss == pytest.approx(latents.square().mean().item(), rel=0.1)


def test_bfloat16_is_inside_the_network_only():
    denoiser = mlp()
    steps = train(denoiser, points(), 5, precision="bfloat16")
    assert all(math.isfinite(step.loss) and step.loss_per_item.dtype == torch.float32 for step in steps)
    assert all(p.dtype == torch.float32 for p in [*denoiser.parameters(), *steps[-1].ema.parameters()])


# Errors, which come at the call


@pytest.mark.parametrize(
    "name, bad",
    [
        *[("steps", bad) for bad in (0, -1, 2.5, "ten", None)],
        *[("batch_size", bad) for bad in (0, 1.5)],
        *[("clip", bad) for bad in (0.0, -1.0, math.nan)],
        *[("learning_rate", bad) for bad in (-1e-3, math.nan, math.inf, "fast")],
        *[("drop", bad) for bad in (-0.1, 1.1, math.nan, "some")],
        *[("ema_decay", bad) for bad in (-0.1, 1.1, math.nan)],
        *[("weighting", bad) for bad in ("p3", None)],
        *[("precision", bad) for bad in ("float16", 16)],
        *[("seed", bad) for bad in ("a", 0.5)],
        *[("data", bad) for bad in (None, [], torch.zeros(0, 2), torch.zeros(5), torch.zeros(5, 2).long())],
        *[("data", bad) for bad in (torch.full((5, 2), math.nan), torch.full((5, 2), math.inf))],
        *[("data", bad) for bad in (torch.full((5, 1, 4, 4), math.nan), torch.zeros(0, 1, 4, 4).to(torch.uint8))],
        *[("denoiser", bad) for bad in (None, torch.nn.Linear(2, 2), lambda x, t: x)],
        ("denoiser", md.Denoiser(lambda x, t, cond: x, COSINE, md.heads.V)),
    ],
)
def test_bad_arguments_are_named_at_the_call(unchecked, name, bad):
    arguments = {"denoiser": mlp(), "data": points(), "steps": 3, name: bad}
    before = weights(arguments["denoiser"]) if name != "denoiser" else None
    with pytest.raises((ValueError, TypeError), match=f"^{name} must"):
        md.fit(**arguments)
    assert before is None or torch.equal(weights(arguments["denoiser"]), before)


@pytest.mark.parametrize(
    "labels",
    [
        torch.zeros(255).long(),
        torch.zeros(256),
        torch.full((256,), 4),
        torch.full((256,), -1),
        torch.zeros(256, 1).long(),
        [0] * 256,
    ],
)
def test_bad_labels_are_named_at_the_call(unchecked, labels):
    with pytest.raises(ValueError, match="^cond (must be a tensor of 256 whole numbers from 0 to|contains label)"):
        md.fit(mlp(classes=3), (points(), labels), 3)


def test_labels_for_a_network_without_classes_are_named_at_the_call(unchecked):
    with pytest.raises(ValueError, match="^cond must be None"):
        md.fit(mlp(classes=0), (points(), torch.zeros(256).long()), 3)


# Interrupted and resumed


class Dropout(torch.nn.Module):
    """A network that draws from the global generator and has a weight without a gradient."""

    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.Dropout(0.5), torch.nn.Linear(16, 2))
        self.unused = torch.nn.Parameter(torch.ones(3))

    def forward(self, x, t, cond):
        return self.layers(x)


def unet():
    """A U-Net with the memory layout that a recipe gives it."""
    net = md.nets.UNet(1, (16, 32), (1, 1), classes=3)
    return md.Denoiser(net.to(memory_format=torch.channels_last), COSINE, md.heads.V)


LABELLED = (pictures(), torch.arange(16) % 3)
TRAININGS = {
    "labels": (lambda: mlp(classes=3), (points(), torch.arange(256) % 3), {}),
    "a U-Net": (unet, LABELLED, {"batch_size": 8}),
    "a U-Net in bfloat16": (unet, LABELLED, {"batch_size": 8, "precision": "bfloat16"}),
    "dropout": (lambda: md.Denoiser(Dropout(), COSINE, md.heads.X0), points(), {}),
    "a learned schedule": (lambda: mlp(schedule=md.objectives.LearnedSchedule()), points(), {"weighting": "elbo"}),
}


@pytest.mark.parametrize("name", TRAININGS)
def test_a_resumed_training_ends_with_the_same_bits(name, tmp_path):
    make, data, options = TRAININGS[name]

    def fresh():
        torch.manual_seed(0)
        return make()

    unbroken = fresh()
    steps = train(unbroken, data, 7, learning_rate=1e-2, **options)
    for stop in (1, 4):
        for step in md.fit(
            fresh(), data, 7, **{"precision": "float32", "batch_size": 32, "learning_rate": 1e-2} | options
        ):
            if step.number == stop:
                break
        checkpoint.save_training(step.state(), tmp_path / "state", {"at": stop})
        state, about = checkpoint.load_training(tmp_path / "state")
        assert about == {"at": stop}
        torch.manual_seed(99)
        with torch.no_grad():
            again = fresh()
            for weight in again.parameters():
                weight.normal_()  # the state replaces these weights
        rest = train(again, data, 7, learning_rate=1e-2, seed=1, state=state, **options)
        assert [step.number for step in rest] == list(range(stop + 1, 8))
        assert [step.loss for step in rest] == [step.loss for step in steps[stop:]]
        assert torch.equal(weights(again), weights(unbroken))
        assert torch.equal(weights(rest[-1].ema), weights(steps[-1].ema))
        assert all(
            torch.equal(a, b) for a, b in zip(rest[-1].state().values(), steps[-1].state().values(), strict=True)
        )


def test_a_state_is_a_copy_and_resuming_does_not_change_it():
    steps = md.fit(mlp(), points(), 9, precision="float32")
    next(steps)
    state = next(steps).state()
    before = {name: tensor.clone() for name, tensor in state.items()}
    next(steps)
    train(mlp(), points(), 9, state=state)
    assert all(torch.equal(state[name], tensor) for name, tensor in before.items())


def test_a_state_of_another_training_is_named_and_changes_nothing(unchecked):
    (*_, last) = train(mlp(), points(), 4)
    state = last.state()
    without = {name: tensor for name, tensor in state.items() if name != "ema.net.first.weight"}
    for other, wrong in ((mlp(width=64), state), (mlp(classes=2), state), (mlp(), without), (mlp(), {})):
        before = weights(other)
        with pytest.raises(ValueError, match="^state must be of a training of this model, but [1-9]"):
            md.fit(other, points(), 9, state=wrong)
        assert torch.equal(weights(other), before)
    deeper = md.Denoiser(md.nets.MLP(2, 32, 3), COSINE, md.heads.V)
    with pytest.raises(ValueError, match="^state must be of a training of this model, but [1-9]"):
        md.fit(mlp(), points(), 9, state=train(deeper, points(), 1)[0].state())
    with pytest.raises(ValueError, match="^steps must be a whole number of at least 4, got 3"):
        md.fit(mlp(), points(), 3, state=state)
    assert train(mlp(), points(), 4, state=state) == []


@pytest.mark.parametrize("kind", ["weights", "ema", "exp_avg", "exp_avg_sq"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_state_that_is_not_finite_is_named_and_changes_nothing(kind, value):
    (*_, last) = train(mlp(), points(), 4)
    state, other = last.state(), mlp()
    state[f"{kind}.net.first.weight"].view(-1)[3] = value
    before = weights(other)
    with pytest.raises(ValueError, match=f"^state must be finite, but {kind}.net.first.weight is not"):
        md.fit(other, points(), 9, state=state)
    assert torch.equal(weights(other), before)


# When training must stop


class Bad(torch.nn.Module):
    """A network whose output, or only its gradient, is not finite in one step."""

    def __init__(self, step, where):
        super().__init__()
        self.weight, self.calls, self.step, self.where = torch.nn.Parameter(torch.zeros(1)), 0, step, where

    def forward(self, x, t, cond):
        self.calls += 1
        output = self.weight * x
        if self.calls == self.step and self.where == "gradient":
            output.register_hook(lambda gradient: gradient * math.inf)
        elif self.calls == self.step:
            output = output + torch.where(t < 0.25, math.nan, 0.0)[:, None]
        return output


@pytest.mark.parametrize("where", ["output", "gradient"])
def test_it_stops_before_a_loss_or_gradient_that_is_not_finite_reaches_a_weight(where):
    denoiser, seen = md.Denoiser(Bad(3, where), COSINE, md.heads.V), []
    with pytest.raises(FloatingPointError, match="step 3 has a loss of .* gradient of norm") as error:
        for step in md.fit(denoiser, points(), 9, batch_size=64, precision="float32"):
            seen.append((step.number, weights(denoiser), weights(step.ema), step.log_snr))
    assert [number for number, *_ in seen] == [1, 2]
    assert torch.equal(weights(denoiser), seen[-1][1]) and torch.equal(weights(step.ema), seen[-1][2])
    message = str(error.value)
    # the times of the batch increase, and the output is nan for those below 0.25
    high, low = (COSINE.log_snr(torch.tensor(t, dtype=torch.float64)).item() for t in (1 / 64, 0.25))
    if where == "output":
        first, last = (float(word) for word in message.split("infinite or nan from ")[1].split(" to "))
        assert low <= first < low + 0.6 and last > high
    else:
        assert "infinite or nan" not in message and ("norm inf" in message or "norm nan" in message)


def resident() -> int:
    """Bytes of memory that this process uses."""
    status = Path("/proc/self/statm")
    if not status.exists():
        pytest.skip("only Linux reports it this way")
    return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_long_training_needs_no_more_memory_than_a_short_one(unchecked):
    seen = []
    for step in md.fit(mlp(width=8), points(4096), 500, batch_size=4096, precision="float32"):
        if step.number in (100, 500):
            seen.append(resident())
    # keeping just one number for each item of each batch, 4 bytes, would take 6.5 MB
    assert seen[1] - seen[0] < 2e6


@pytest.mark.slow
def test_memory_stays_flat_over_twenty_thousand_steps_and_ten_thousand_samples():
    """Two cores need an hour for 20,000 steps of the first recipe, and a few minutes with these small images."""
    denoiser = md.Denoiser(md.nets.UNet(1, (16, 32), (1, 1)), COSINE, md.heads.V)
    images, seen = pictures(256), []
    for step in md.fit(denoiser, images, 20_000, batch_size=16, precision="float32"):
        if step.number in (2000, 20_000):
            seen.append(resident())
    assert seen[1] - seen[0] < 2e6, seen
    x_1, seen = md.prior((10_000, 1, 8, 8), COSINE, torch.Generator().manual_seed(1)), []
    draw(step.ema, x_1, steps=4, tick=lambda: seen.append(resident()))
    # in batches of a hundred; the samples take 2.6 MB, and twice as much while they are concatenated
    assert len(seen) == 400 and seen[-1] - seen[40] < 6e6, seen


def test_a_loss_of_ones_own_replaces_the_weighted_one():
    shapes = []

    def loss(denoiser, x0, t, eps, cond=None):
        shapes.append((x0.shape, t.shape, eps.shape, cond.shape))
        return loss_per_item(denoiser, x0, t, eps, "snr", cond)

    def trained(**options):
        torch.manual_seed(0)
        denoiser = mlp(classes=3)
        train(denoiser, (points(8), torch.arange(8) % 3), 3, batch_size=5, **options)
        return weights(denoiser)

    assert torch.equal(trained(loss=loss), trained(weighting="snr"))
    assert shapes == [((5, 2), (5,), (5, 2), (5,))] * 3


# The loop by itself


def test_descend_trains_any_model_on_any_loss():
    # least squares, so we know the answer: y = 3 x - 1
    x = torch.linspace(-1, 1, 64)[:, None]
    y, line = 3 * x - 1, torch.nn.Linear(1, 1)

    def draw(generator):
        index = torch.randint(64, (16,), generator=generator)
        return x[index], y[index]

    def loss(x, y):
        return (line(x) - y).square().mean(1)

    *_, step = descend(line, draw, loss, 400, learning_rate=0.1, ema_decay=0.9, precision="float32")
    assert weights(step.ema).tolist() == pytest.approx([3.0, -1.0], abs=0.02)
    assert step.number == 400 and step.loss_per_item.shape == (16,) and step.images_per_second > 0


def test_descend_follows_its_definition_step_by_step():
    """The loop again, as one would write it in a notebook: AdamW, clipping, learning rate, average."""
    ours, plain = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
    plain.load_state_dict(ours.state_dict())
    average = [p.detach().clone() for p in plain.parameters()]
    optimiser = torch.optim.AdamW(plain.parameters(), betas=(0.9, 0.99))
    generator = torch.Generator().manual_seed(5)
    training = descend(
        ours,
        lambda generator: (torch.randn(8, 2, generator=generator),),
        lambda x: ours(x).square().sum(1),
        30,
        learning_rate=0.05,
        clip=0.1,
        ema_decay=0.7,
        precision="float32",
        seed=5,
    )
    for number, step in enumerate(training, 1):
        loss = plain(torch.randn(8, 2, generator=generator)).square().sum(1).mean()
        optimiser.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(plain.parameters(), 0.1)
        optimiser.param_groups[0]["lr"] = learning_rate_at(number, 30, 0.05)
        optimiser.step()
        decay = min(0.7, number / (number + 10))
        average = [decay * a + (1 - decay) * p.detach() for a, p in zip(average, plain.parameters(), strict=True)]
        assert step.loss == pytest.approx(loss.item(), rel=1e-4)
        assert step.gradient_norm == pytest.approx(norm.item(), rel=1e-4)
    torch.testing.assert_close(weights(ours), weights(plain), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(weights(step.ema), torch.cat([a.flatten() for a in average]), rtol=1e-4, atol=1e-6)


def test_ema_is_one_object_and_a_copy_keeps_it():
    steps = md.fit(mlp(), points(), 3, precision="float32")
    first = next(steps).ema
    kept = weights(copy.deepcopy(first))
    assert next(steps).ema is first and not torch.equal(weights(first), kept)
