"""A network as a denoiser: what goes in, what comes out, and that nothing is drawn or kept on the way."""

import copy
import math
import pickle

import pytest
import torch

import minidiffusion as md
from minidiffusion.heads import HEADS

COSINE = md.schedule.cosine()


class Spy:
    """A network that remembers what it was asked and says `answer`."""

    def __init__(self, answer=None):
        self.answer = answer

    def __call__(self, x, t, cond):
        self.x, self.t, self.cond = x, t, cond
        return x if self.answer is None else self.answer


@pytest.mark.parametrize("name", HEADS)
def test_a_perfect_network_is_the_oracle_under_every_head(name, schedule):
    # The network says in its head's terms what the exact denoiser knows; the Denoiser must understand it.
    oracle = md.oracle.gaussian(torch.tensor([1.0, -1.0]), torch.tensor([[1.0, 0.5], [0.5, 0.6]]), schedule)
    x_t = torch.randn(4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    t = torch.tensor([0.125, 0.25, 0.5, 0.9375])  # exact in float32, in which the network hears of it
    head, guess = HEADS[name], oracle(x_t, t)
    answer = head.target(guess, md.to_eps(guess, x_t, t, schedule), t, schedule)
    denoiser = md.Denoiser(Spy(answer), schedule, head)
    torch.testing.assert_close(denoiser.output(x_t, t), answer)
    torch.testing.assert_close(denoiser(x_t, t), guess, rtol=1e-9, atol=1e-9)


def test_the_network_sees_unit_variance_if_the_data_has_it(schedule):
    net, x_t = Spy(), torch.ones(2, 3, dtype=torch.float64)
    t = torch.tensor([0.25, 0.75])
    md.Denoiser(net, schedule, HEADS["x0"])(x_t, t)
    for i in range(2):
        # Karras et al. 2022, table 1: c_in = 1 / sqrt(sigma^2 + sigma_data^2), with sigma_data = 1 and alpha
        c_in = 1 / math.sqrt(schedule.alpha(t[i].item()) ** 2 + schedule.sigma(t[i].item()) ** 2)
        assert net.x[i].tolist() == pytest.approx([c_in] * 3, rel=1e-12)


@pytest.mark.parametrize("t", [0.5, torch.tensor(0.5), torch.tensor(0.5).double(), torch.full((3,), 0.5).double()])
def test_the_network_hears_one_float32_time_for_each_item(t):
    net = Spy()
    md.Denoiser(net, COSINE, HEADS["v"])(torch.zeros(3, 2), t)
    assert net.t.dtype == torch.float32 and torch.equal(net.t, torch.full((3,), 0.5))


def test_the_condition_goes_through_untouched():
    net, cond = Spy(), object()
    denoiser = md.Denoiser(net, COSINE, HEADS["v"])
    denoiser(torch.zeros(3, 2), 0.5, cond)
    assert net.cond is cond
    denoiser(torch.zeros(3, 2), 0.5)
    assert net.cond is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("name", HEADS)
def test_the_guess_has_the_dtype_of_x_t(name, dtype):
    x_t = torch.ones(2, 1, 4, 4, dtype=dtype)
    low_answer = torch.zeros(2, 1, 4, 4, dtype=torch.bfloat16)  # as under autocast
    for net in (Spy(), Spy(low_answer)):
        guess = md.Denoiser(net, COSINE, HEADS[name])(x_t, torch.tensor([0.25, 0.5]))
        assert guess.dtype == dtype and guess.shape == x_t.shape and guess.isfinite().all()


def test_a_module_inside_is_trained_with_the_denoiser():
    net = md.nets.MLP(width=16, depth=1)
    denoiser = md.Denoiser(net, COSINE, HEADS["v"])
    assert list(denoiser.parameters()) == list(net.parameters())
    denoiser(torch.ones(2, 2), 0.5).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


def test_denoising_draws_nothing(global_rng_untouched):
    md.Denoiser(Spy(), COSINE, HEADS["v"])(torch.zeros(3, 2), 0.5)


def test_bad_parts_are_named(unchecked):
    for parts, name in [
        ((None, COSINE, HEADS["v"]), "net"),
        ((Spy(), "cosine", HEADS["v"]), "schedule"),
        ((Spy(), COSINE, "v"), "head"),
        ((Spy(), HEADS["v"], COSINE), "schedule"),
    ]:
        with pytest.raises(TypeError, match=f"^{name} must"):
            md.Denoiser(*parts)


def test_bad_calls_are_named(unchecked):
    x_t = torch.zeros(3, 2)
    with pytest.raises(ValueError, match="net must give the shape of x, "):
        md.Denoiser(Spy(torch.zeros(3, 1)), COSINE, HEADS["v"])(x_t, 0.5)
    with pytest.raises(ValueError, match="t must be one number, or one for each of 3"):
        md.Denoiser(Spy(), COSINE, HEADS["v"])(x_t, torch.rand(2))
    with pytest.raises(ValueError, match=r"t must be a finite number in \[0, 1\], got 1.5"):
        md.Denoiser(Spy(), COSINE, HEADS["v"])(x_t, 1.5)


class Answers(torch.nn.Module):
    """A network with a weight that gives whatever `make` makes of its input."""

    def __init__(self, make, dtype=torch.float32):
        super().__init__()
        self.make, self.weight = make, torch.nn.Parameter(torch.ones((), dtype=dtype))

    def forward(self, x, t, cond=None):
        self.asked = x.dtype, t.dtype
        return self.make(self.weight * x)


WRONG = {
    "one channel": lambda x: x[:, :1],
    "one item": lambda x: x[:1],
    "one number each": lambda x: x.mean((1, 2, 3), keepdim=True),
    "two answers": lambda x: torch.cat([x, x], dim=1),
    "half the side": lambda x: x[..., ::2, ::2],
    "flat": lambda x: x.flatten(1),
    "a tuple": lambda x: (x, x),
    "nothing": lambda x: None,
}


@pytest.mark.parametrize("make", WRONG.values(), ids=WRONG)
def test_an_output_of_another_shape_is_named_at_the_first_step(make):
    denoiser = md.Denoiser(Answers(make), COSINE, md.heads.V)
    x = torch.zeros(4, 3, 8, 8)
    wanted = r"net must give the shape of x, \(4, 3, 8, 8\), got "
    for attempt in (
        lambda: denoiser(x, 0.5),
        lambda: md.denoising_loss(denoiser, x),
        lambda: next(md.fit(denoiser, x, 1, batch_size=4)),
        lambda: md.sample(denoiser, x, steps=1),
    ):
        with pytest.raises(ValueError, match=wanted) as error:
            attempt()
        assert "tensor(" not in str(error.value)


@pytest.mark.parametrize("weights", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("data", [torch.float32, torch.float64, torch.bfloat16])
def test_the_network_is_asked_in_the_type_of_its_weights_and_the_answer_is_that_of_the_data(weights, data):
    net = Answers(lambda x: x, weights)
    denoiser = md.Denoiser(net, COSINE, md.heads.X0)
    for t in (0.5, torch.full((3,), 0.5)):
        assert denoiser(torch.ones(3, 2, dtype=data), t).dtype == data
        assert net.asked == (weights, weights)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_real_networks_work_in_other_types(dtype):
    points = torch.randn(16, 2, generator=torch.Generator().manual_seed(0))
    denoiser = md.Denoiser(md.nets.MLP(width=8, depth=1), COSINE, md.heads.V)
    assert md.sample(denoiser, points.to(dtype), steps=2).dtype == dtype
    assert math.isfinite(md.denoising_loss(denoiser, points.to(dtype)).item())
    denoiser.to(dtype)
    assert md.sample(denoiser, points, steps=2).dtype == torch.float32
    (step,) = md.fit(denoiser, points, 1, batch_size=4)
    assert math.isfinite(step.loss) and next(step.ema.parameters()).dtype == dtype


def negated(alpha, sigma):
    return -1.0, 0.0 * sigma


@pytest.mark.parametrize("head", [*HEADS.values(), md.heads.Head("own", negated)], ids=lambda head: head.name)
def test_a_denoiser_can_be_pickled_and_copied(head, schedule):
    denoiser = md.Denoiser(md.nets.MLP(width=8, depth=1), schedule, head)
    x_t, t = torch.ones(3, 2), torch.tensor([0.25, 0.5, 0.75])
    for again in (pickle.loads(pickle.dumps(denoiser)), copy.deepcopy(denoiser)):
        assert torch.equal(again(x_t, t), denoiser(x_t, t)) and again.head == head


def test_a_loaded_network_says_how_to_train_it_further(tmp_path):
    points = torch.randn(16, 2, generator=torch.Generator().manual_seed(0))
    md.save(md.Denoiser(md.nets.MLP(width=8, depth=1), COSINE, md.heads.V), tmp_path / "net.safetensors")
    loaded = md.load(tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match=r"no weight can change: after md.load .* call .requires_grad_\(True\) first"):
        md.fit(loaded, points, 1)
    before = loaded.net.first.weight.clone()
    (step,) = md.fit(loaded.requires_grad_(True), points, 1, batch_size=4)
    assert math.isfinite(step.loss) and not torch.equal(loaded.net.first.weight, before)


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 64, 64), (3, 8, 24)])
def test_the_size_of_the_data_is_kept_with_the_network(tmp_path, shape):
    path = tmp_path / "net.safetensors"
    denoiser = md.Denoiser(md.nets.UNet(shape[0], (16, 16), (1, 1)), COSINE, md.heads.V)
    (step,) = md.fit(denoiser, torch.zeros(4, *shape), 1, batch_size=2)
    md.save(step.ema, path)
    assert md.load(path).shape == shape
    md.save(md.load(path), path, {"shape": [9]})  # what an author notes comes first
    assert md.load(path).shape == (9,)


class Own(torch.nn.Module):
    """A conditional network that somebody else wrote: it looks its labels up."""

    def __init__(self, classes=3):
        super().__init__()
        self.label, self.layer = torch.nn.Embedding(classes, 2), torch.nn.Linear(2, 2)

    def forward(self, x, t, cond):
        return self.layer(x) + self.label(cond)


INTEGERS = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32]


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_a_network_of_ones_own_takes_labels_of_every_integer_type(unchecked, dtype):
    own, labels, points = Own(), torch.arange(6) % 3, torch.randn(6, 2)
    denoiser = md.Denoiser(own, COSINE, md.heads.V)
    expected = md.sample(denoiser, points, steps=2, cond=labels)
    assert torch.equal(md.sample(denoiser, points, steps=2, cond=labels.to(dtype)), expected)
    (step,) = md.fit(denoiser, (points, labels.to(dtype)), 1, batch_size=4)
    assert step.loss > 0


@pytest.mark.parametrize("labels", [[0, 1, 3], [-1, 0, 2], [0] * 500 + [70]])
def test_labels_that_a_network_of_ones_own_does_not_know_are_named_with_their_range(unchecked, labels):
    labels = torch.tensor(labels)
    ends = f"int64 tensor of shape .* from {labels.min()} to {labels.max()}: index out of range"
    denoiser = md.Denoiser(Own(), COSINE, md.heads.V)
    with pytest.raises(ValueError, match=ends):
        md.fit(denoiser, (torch.randn(len(labels), 2), labels), 1)  # at once, although a batch may miss them
    with pytest.raises(ValueError, match=ends):
        md.sample(denoiser, torch.randn(len(labels), 2), cond=labels)


def test_a_network_may_take_x_and_t_only(unchecked):
    class Alone(torch.nn.Conv3d):
        def forward(self, x, t):
            return super().forward(x)

    denoiser, videos = md.Denoiser(Alone(2, 2, 3, padding=1), COSINE, md.heads.X0), torch.rand(4, 2, 3, 6, 5)
    (step,) = md.fit(denoiser, videos, 1, batch_size=2)
    assert md.sample(step.ema, videos, steps=1).shape == videos.shape
    for attempt in (lambda: md.fit(denoiser, (videos, torch.arange(4)), 1), lambda: denoiser(videos, 0.5, "cats")):
        with pytest.raises(ValueError, match="cond must be None, because net takes x and t only, got "):
            next(attempt())


def words(count):
    cond = {"words": torch.randn(count, 4, 2).double(), "mask": torch.rand(count, 4) > 0.5}
    return cond, lambda cond: (cond["words"] * cond["mask"][..., None]).sum(1)


def pair(count):
    return (torch.randn(count, 2), torch.arange(count)), lambda cond: cond[0] * cond[1][:, None]


def nested(count):
    return {"a": [torch.randn(count, 2).half()], "b": ()}, lambda cond: cond["a"][0]


@pytest.mark.parametrize("make", [words, pair, nested])
def test_a_condition_may_have_several_parts(unchecked, make):
    cond, read = make(8)

    class Parts(torch.nn.Linear):
        def forward(self, x, t, cond):
            assert type(cond) is type(make(1)[0])
            return super().forward(x + read(cond))

    denoiser, points = md.Denoiser(Parts(2, 2), COSINE, md.heads.V), torch.randn(8, 2)
    (step,) = md.fit(denoiser, (points, cond), 1, batch_size=4, precision="float32")
    assert md.sample(step.ema, points, steps=1, cond=cond).isfinite().all()
    with pytest.raises(
        ValueError, match="cond must have one row for each of 9 items, in finite tensors, got a"
    ) as error:
        md.fit(denoiser, (torch.randn(9, 2), cond), 1)
    assert "tensor(" not in str(error.value) and len(str(error.value)) < 400


BAD = {
    "strings": ["a", "b"],
    "numpy": torch.zeros(2).numpy(),
    "an object": object(),
    "nan": torch.full((2, 3), torch.nan),
    "a number": 3,
    "a scalar": torch.tensor(1),
    "a list of labels": [0, 1],
}


@pytest.mark.parametrize("cond", BAD.values(), ids=BAD)
def test_what_is_no_condition_is_named(unchecked, cond):
    with pytest.raises(ValueError, match="^cond must have one row for each of 2 items, in finite tensors, got"):
        md.fit(md.Denoiser(Own(), COSINE, md.heads.V), (torch.randn(2, 2), cond), 1)


def test_an_error_shows_no_data_however_it_comes(unchecked):
    tensor = torch.arange(3000.0)
    things = [
        tensor,
        tensor.numpy(),
        tensor.tolist(),
        {"a": tensor},
        (tensor, 1),
        torch.nn.Linear(2, 2),
        [["a"] * 9] * 9,
    ]
    for thing in things:
        with pytest.raises(TypeError) as error:
            md.Denoiser(torch.nn.Linear(2, 2), thing, md.heads.V)
        assert len(str(error.value)) < 200 and "0., 1." not in str(error.value) and "0.0, 1.0" not in str(error.value)


def test_a_network_that_overwrites_its_input_is_told_so(unchecked):
    class Over(torch.nn.Module):
        def forward(self, x, t):
            return x.mul_(0.5)

    denoiser = md.Denoiser(Over(), COSINE, md.heads.V)
    for x_1 in (torch.randn(4, 2), torch.randn(4, 1, 8, 8)):
        with pytest.raises(ValueError, match="net must leave x as it is"):
            md.sample(denoiser, x_1)


def test_sampling_works_under_the_transforms_that_its_docstring_names(unchecked):
    net = md.nets.MLP(2, 16, 1).eval().requires_grad_(False)
    denoiser, x_1 = md.Denoiser(net, COSINE, md.heads.V), torch.randn(3, 4, 2)

    class Sampler(torch.nn.Module):
        def forward(self, x):
            return md.sample(denoiser, x, steps=3)

    wanted = torch.stack([Sampler()(x) for x in x_1])
    assert torch.allclose(torch.vmap(Sampler())(x_1), wanted, atol=1e-6)
    assert torch.allclose(torch.compile(Sampler(), backend="eager")(x_1[0]), wanted[0], atol=1e-6)
    assert torch.allclose(torch.export.export(Sampler(), (x_1[0],)).module()(x_1[0]), wanted[0], atol=1e-6)
    with torch.inference_mode():
        assert torch.allclose(Sampler()(x_1[0].clone()), wanted[0], atol=1e-6)
