"""The networks: shapes, conditions, gradients against finite differences, and each part against its formula."""

import copy
import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from minidiffusion.nets import MLP, NETS, SIZES, Classifier, DiT, UNet, dit
from minidiffusion.nets.attention import CrossAttention, attend
from minidiffusion.nets.base import Net
from minidiffusion.nets.dit import patchify, positions, unpatchify
from minidiffusion.nets.embedding import Condition, sinusoids
from minidiffusion.nets.maps import recorded, weights
from minidiffusion.nets.unet import Attention, Block


def randomised(net, seed=0, std=0.1):
    """The network with random weights everywhere: zero-initialised layers would hide what comes before them."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(std * torch.randn(parameter.shape, generator=generator))
    return net


def small_unet(channels=1, classes=0, seed=0):
    return randomised(UNet(channels, (16, 32), (1, 1), classes), seed)


def small_dit(channels=1, classes=0, context=0, seed=0):
    return randomised(DiT(channels, patch=2, width=64, depth=2, classes=classes, context=context), seed)


def small_mlp(classes=0, context=0, seed=0):
    return randomised(MLP(2, 32, 2, classes, context), seed)


def conditioned(context):
    """A U-Net, a DiT and an MLP that take embeddings of this width."""
    return [randomised(UNet(1, (32, 64), (1, 1), context=context)), small_dit(context=context), small_mlp(0, context)]


def randn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def inputs_of(net, count, side=8):
    """x and t for `count` items of a network made by one of the functions above."""
    x = randn(count, 2) if isinstance(net, MLP) else randn(count, 1, side, side)
    return x, torch.linspace(0.1, 0.9, count)


def padded(words, count):
    """The words with so many words of zeros after them."""
    return torch.cat([words, words.new_zeros(len(words), count, words.shape[2])], dim=1)


# Shapes


@pytest.mark.parametrize("classes", [0, 10])
@pytest.mark.parametrize("channels, side", [(1, 28), (3, 28), (1, 32), (3, 32)])
def test_the_default_unet_takes_28_and_32(channels, side, classes):
    net = UNet(channels=channels, classes=classes)
    x = randn(2, channels, side, side)
    cond = torch.tensor([0, 9]) if classes else None
    y = net(x, torch.tensor([0.1, 0.9]), cond)
    assert y.shape == x.shape and (y == 0).all()  # zero-initialised
    y = randomised(net)(x, torch.tensor([0.1, 0.9]), cond)
    assert y.shape == x.shape and y.isfinite().all() and (y != 0).any()


@pytest.mark.parametrize("widths, blocks", [((32,), (1,)), ((16, 32), (2, 1)), ((16, 48, 64), (1, 2, 3))])
def test_other_levels_and_oblong_pictures(widths, blocks):
    x = randn(2, 2, 8, 12)
    assert randomised(UNet(2, widths, blocks))(x, torch.rand(2)).shape == x.shape


@pytest.mark.parametrize("network, size", [(network, size) for network in SIZES for size in SIZES[network]])
def test_every_size_has_two_answers_to_a_labelled_picture(network, size):
    with torch.device("meta"):  # shapes without numbers: the large ones take gigabytes
        net = NETS[network](channels=3, classes=10, answers=2, **SIZES[network][size])
        x, t, cond = torch.zeros(2, 3, 32, 32), torch.zeros(2), torch.zeros(2, dtype=torch.long)
        assert net(x, t, cond).shape == (2, 6, 32, 32)


def test_small_is_the_default_size():
    assert UNet(**SIZES["UNet"]["small"]).config == UNet().config
    assert DiT(**SIZES["DiT"]["small"]).config == DiT().config


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_the_mlp_keeps_the_shape_of_its_points(dimension):
    net = MLP(dimension, width=16, depth=2)
    assert net(randn(7, dimension), torch.rand(7)).shape == (7, dimension)


@pytest.mark.parametrize(
    "net",
    [
        MLP(3, 32, 2, classes=4, answers=2),
        MLP(3, 32, 2, context=4),
        UNet(2, (16, 32), (1, 2), classes=5, answers=3),
        UNet(2, (32, 64), (1, 2), context=5),
        UNet(2, (32,), (1,), context=5, patch=2),
        DiT(2, 3, 64, 1, bottleneck=4, classes=5, answers=3),
        DiT(context=6),
    ],
)
def test_the_config_builds_the_network_again(net):
    again = NETS[type(net).__name__](**json.loads(json.dumps(net.config)))
    again.load_state_dict(net.state_dict())
    assert again.config == net.config
    assert copy.deepcopy(net).config == net.config


def test_the_config_holds_every_argument_in_the_order_of_the_signature():
    config = UNet(3, (16, 32), blocks=(1, 2), answers=2).config
    assert list(config.items()) == [
        ("channels", 3),
        ("widths", [16, 32]),
        ("blocks", [1, 2]),
        ("classes", 0),
        ("context", 0),
        ("answers", 2),
        ("patch", 1),
    ]
    assert DiT().config["bottleneck"] is None


def test_a_subclass_of_net_is_registered_with_its_own_arguments(monkeypatch):
    monkeypatch.setattr("minidiffusion.nets.base.NETS", registered := {})

    class Wide(MLP):
        def __init__(self, factor: int, *, depth: int = 1):
            super().__init__(2, 16 * factor, depth)

    class Wider(Wide):
        pass

    class Plain(Net):
        def __init__(self, size: tuple[int, int] = (2, 3)):
            super().__init__()
            self.layer = torch.nn.Linear(*size)

    assert registered == {"Wide": Wide, "Wider": Wider, "Plain": Plain}
    assert Wide(2).config == Wider(factor=2).config == {"factor": 2, "depth": 1}
    assert Plain().config == {"size": [2, 3]}
    assert copy.deepcopy(Wide(2)).config == {"factor": 2, "depth": 1}  # though it cannot be made without arguments
    with pytest.raises(TypeError, match="factor"):
        Wide()


def test_a_subclass_with_arguments_of_its_own_runs(monkeypatch):
    monkeypatch.setattr("minidiffusion.nets.base.NETS", {})

    class Points(MLP):
        def __init__(self, factor: int):
            super().__init__(3, 16 * factor)

    class Pictures(UNet):
        def __init__(self, width: int):
            super().__init__(2, (width,), (1,))

    class Tokens(DiT):
        def __init__(self, size: int):
            super().__init__(2, size, 64, 1)

    t = torch.rand(5)
    assert Points(1)(randn(5, 3), t).shape == (5, 3)
    assert Pictures(32)(randn(5, 2, 4, 4), t).shape == Tokens(2)(randn(5, 2, 4, 4), t).shape == (5, 2, 4, 4)
    with pytest.raises(ValueError, match=r"\(batch, 3\)"):
        Points(1)(randn(5, 2), t)


def test_a_subclass_named_like_its_base_replaces_nothing_and_keeps_the_config_of_the_base():
    base = MLP

    def define():
        class MLP(base):
            def __init__(self):
                super().__init__(dimension=3)

        return MLP

    registered, net = dict(NETS), define()()
    assert registered == NETS and NETS["MLP"] is MLP
    assert net.config == MLP(3).config and net(randn(5, 3), torch.rand(5)).shape == (5, 3)
    NETS["MLP"](**net.config).load_state_dict(net.state_dict())


def test_a_cell_that_runs_again_registers_its_network_anew_but_no_other_code_does(monkeypatch):
    monkeypatch.setattr("minidiffusion.nets.base.NETS", registered := {})

    def cell():
        class Mine(Net):
            def __init__(self, size: int = 2):
                super().__init__()

        return Mine

    first, second = cell(), cell()
    assert registered == {"Mine": second} and first is not second and second(3).config == {"size": 3}

    class Mine(Net):
        def __init__(self, sides: int = 2):
            super().__init__()

    assert registered == {"Mine": second} and Mine(3).config == {"sides": 3}


@pytest.mark.parametrize("widths", [range(32, 65, 32), (32, 64), [32, 64]])
def test_the_config_is_ready_for_json_whatever_the_sequence(widths):
    config = UNet(widths=widths, blocks=(1, 1)).config
    assert config["widths"] == [32, 64] and json.loads(json.dumps(config)) == config


def test_the_classifier_gives_features_and_scores():
    net = Classifier(classes=7).eval()
    x = randn(3, 1, 28, 28)
    features = net.features(x)
    assert features.shape == (3, 128) and (features >= 0).all()
    torch.testing.assert_close(net(x), features @ net.head.weight.T + net.head.bias)


# Time and condition


def test_sinusoids_are_waves_from_slow_to_fast():
    t = torch.tensor([0.0, 0.1, 1.0], dtype=torch.float64)
    frequencies = 1000 ** (np.arange(8) / 7)  # Vaswani et al. 2017, section 3.5, from 1 to 1000 for t in [0, 1]
    angles = t.numpy()[:, None] * frequencies
    by_hand = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    np.testing.assert_allclose(sinusoids(t, 16).numpy(), by_hand, atol=1e-3)  # the frequencies are float32


def test_near_times_look_alike_and_far_ones_do_not():
    waves = sinusoids(torch.tensor([0.5, 0.5001, 0.51, 0.9]), 64)
    near, middle, far = (waves[1:] - waves[0]).norm(dim=1).tolist()
    assert near < 0.3 < middle < far


@pytest.mark.parametrize("net", [small_mlp(classes=3), small_unet(classes=3), small_dit(classes=3)])
def test_the_null_label_is_no_label(net):
    x, t = inputs_of(net, 4)
    unconditional = net(x, t)
    assert torch.equal(unconditional, net(x, t, torch.full((4,), 3)))
    outputs = [unconditional, *(net(x, t, torch.full((4,), label)) for label in range(3))]
    for i in range(4):
        for j in range(i):
            assert not torch.allclose(outputs[i], outputs[j], atol=1e-4)


@pytest.mark.parametrize("net", [small_mlp(classes=3), small_unet(classes=3), small_dit(classes=3)])
def test_each_item_has_its_own_time_and_label(net):
    (x, t), cond = inputs_of(net, 3), torch.tensor([2, 0, 1])
    together = net(x, t, cond)
    for i in range(3):
        torch.testing.assert_close(
            net(x[i : i + 1], t[i : i + 1], cond[i : i + 1])[0], together[i], rtol=1e-4, atol=1e-5
        )
    assert not torch.allclose(net(x, t.flip(0), cond), together, atol=1e-4)


def test_condition_adds_label_and_time():
    condition = randomised(Condition(16, classes=3), std=0.5)
    t, label = torch.tensor([0.3, 0.6]), torch.tensor([1, 2])
    by_hand = F.silu(condition.time(sinusoids(t, 16)) + condition.label.weight[label])
    torch.testing.assert_close(condition(t, label), by_hand)


@pytest.mark.parametrize("net", [small_mlp(classes=3), small_unet(classes=3), small_dit(classes=3)])
def test_labels_may_have_any_integer_type(net):
    x, t = inputs_of(net, 4)
    expected = net(x, t, torch.tensor([0, 1, 2, 3]))
    for dtype in (torch.int8, torch.int16, torch.int32, torch.uint8, torch.uint16, torch.uint32, torch.uint64):
        assert torch.equal(net(x, t, torch.tensor([0, 1, 2, 3], dtype=dtype)), expected)


@pytest.mark.parametrize("net", conditioned(context=5))
def test_words_of_zeros_equal_no_condition_to_the_bit(net):
    x, t = inputs_of(net, 2)
    unconditional = net(x, t)
    for shape in ((2, 5), (2, 1, 5), (2, 7, 5)):
        assert torch.equal(net(x, t, torch.zeros(shape)), unconditional)
        assert not torch.allclose(net(x, t, randn(*shape)), unconditional, atol=1e-3)


@pytest.mark.parametrize("net", conditioned(context=5))
def test_an_embedding_is_one_word_and_words_have_no_order(net):
    (x, t), words = inputs_of(net, 2), randn(2, 3, 5)
    assert torch.equal(net(x, t, words[:, 0]), net(x, t, words[:, :1]))
    torch.testing.assert_close(net(x, t, words.flip(1)), net(x, t, words), rtol=1e-4, atol=1e-5)
    # an MLP knows the mean of the words only, and the others attend to each
    mean = words.mean(1, keepdim=True).expand_as(words)
    assert torch.allclose(net(x, t, mean), net(x, t, words), atol=1e-3) == isinstance(net, MLP)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("net", conditioned(context=5))
def test_padding_changes_nothing(net, precision):
    (x, t), words = inputs_of(net, 3), randn(3, 4, 5)
    words[1, 2:] = 0  # two words, then padding
    words[2] = 0  # only padding
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
        expected = net(x, t, words)
        assert torch.equal(net(x, t, padded(words, 2)), expected)  # sums of four and of six take the same path
        torch.testing.assert_close(net(x, t, padded(words, 50)), expected, rtol=1e-5, atol=1e-5)
        alone = net(x[1:2], t[1:2], words[1:2, :2])
        torch.testing.assert_close(alone[0], expected[1], rtol=1e-2 if precision == torch.bfloat16 else 1e-4, atol=1e-2)
        inside = words[:, [0, 2, 1, 3]]  # padding may also lie between words
        torch.testing.assert_close(net(x, t, inside), expected, rtol=1e-2, atol=1e-2)
        torch.testing.assert_close(net(x, t, words)[2:], net(x, t)[2:], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("net", conditioned(context=5))
def test_gradients_stay_finite_where_all_words_are_padding(net, precision):
    net, (x, t), words = copy.deepcopy(net), inputs_of(net, 2), randn(2, 3, 5)
    words[1] = 0
    x.requires_grad_(), words.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
        output = net(x, t, words)
    output.float().square().sum().backward()
    assert all(tensor.grad.isfinite().all() for tensor in (x, words, *net.parameters()))


def test_condition_adds_the_mean_of_the_words_without_padding_to_time():
    condition = randomised(Condition(16, context=3), std=0.5)
    t, words = torch.tensor([0.3, 0.6, 0.9]), randn(3, 4, 3)
    words[1, 1] = 0
    words[2] = 0
    mean = torch.stack([words[0].mean(0), words[1, [0, 2, 3]].mean(0), torch.zeros(3)])
    time = condition.time(sinusoids(t, 16))
    torch.testing.assert_close(condition(t, words), F.silu(time + mean @ condition.mean.weight.T))
    assert torch.equal(condition(t, words)[2], F.silu(time)[2])


@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8])
def test_forgotten_labels_become_the_null_label(dtype):
    labels, dropped = torch.tensor([0, 7, 9, 7], dtype=dtype), torch.tensor([True, False, True, False])
    for classes in (10, 300):  # 300 does not fit in eight bits
        condition = Condition(8, classes)
        assert condition.forget(labels, dropped).tolist() == [classes, 7, classes, 7]
        condition(torch.rand(4), condition.forget(labels, dropped))
    assert labels.tolist() == [0, 7, 9, 7]


def test_forgotten_embeddings_and_words_become_zeros():
    condition, dropped = Condition(8, context=3), torch.tensor([True, False, True])
    for shape in ((3, 3), (3, 2, 3)):
        cond = randn(*shape)
        forgotten = condition.forget(cond, dropped)
        assert (forgotten[[0, 2]] == 0).all() and torch.equal(forgotten[1], cond[1]) and (cond != 0).all()
    assert torch.equal(condition.forget(cond, torch.zeros(3, dtype=torch.bool)), cond)


@pytest.mark.parametrize("context, cond", [(0, None), (4, None), (4, randn(3, 4)), (4, randn(3, 2, 4))])
def test_the_mlp_is_its_formula(context, cond):
    net = randomised(MLP(2, 16, depth=2, context=context), std=0.3)
    x, t = randn(3, 2), torch.tensor([0.1, 0.5, 0.9])
    embedded, h = net.condition(t, cond), net.first(x)
    for layer in net.layers:
        h = h + layer[2](F.silu(layer[0](h + embedded)))
    torch.testing.assert_close(net(x, t, cond), net.last[1](F.silu(h)))


# Attention


@pytest.mark.parametrize("masked", [False, True])
def test_attention_and_its_gradients_in_bfloat16_follow_the_formula(masked):
    q, k, v, weight = (randn(2, 3, 5, 16, seed=seed) for seed in range(4))
    mask = torch.tensor([[True, False, True, True, False], [True] * 5])[:, None, None] if masked else None
    results = []
    for dtype in (torch.float64, torch.bfloat16):
        parts = [part.detach().to(dtype).requires_grad_() for part in (q, k, v)]
        y = attend(*parts, mask)
        (y * weight).sum().backward()
        results.append([y, *(part.grad for part in parts)])
    weights = (q.double() @ k.double().mT / 4).exp() * (1 if mask is None else mask)
    exact = weights / weights.sum(-1, keepdim=True) @ v.double()
    torch.testing.assert_close(results[0][0], exact)
    for precise, rough in zip(*results, strict=True):
        assert rough.dtype == torch.bfloat16
        assert (rough - precise).norm() < 0.02 * precise.norm()  # a bfloat16 has eight bits: 2^-9 a rounding


def test_cross_attention_is_a_softmax_over_the_words_that_are_not_padding():
    layer = randomised(CrossAttention(8, context=3, heads=2), std=0.4).double()
    x, words = randn(2, 5, 8).double(), randn(2, 4, 3, seed=1).double()
    words[1, [1, 3]] = 0
    real = [[0, 1, 2, 3], [0, 2]]
    q = layer.q((x - x.mean(2, keepdim=True)) / (x.var(2, keepdim=True, correction=0) + 1e-5).sqrt())
    keys, values = (words @ layer.kv.weight.T).split(8, dim=2)
    mixed = torch.zeros(2, 5, 8, dtype=torch.float64)
    for b in range(2):
        for place in range(5):
            for head in (slice(0, 4), slice(4, 8)):
                scores = torch.stack([q[b, place, head] @ keys[b, word, head] for word in real[b]]) / 2
                weights = scores.exp() / scores.exp().sum()
                pairs = zip(weights, real[b], strict=True)
                mixed[b, place, head] = sum(weight * values[b, word, head] for weight, word in pairs)
    torch.testing.assert_close(layer(x, words), mixed @ layer.out.weight.T)


def test_the_weights_of_cross_attention_are_the_softmax_averaged_over_the_heads():
    layer = randomised(CrossAttention(8, context=3, heads=2), std=0.4).double()
    x, words = randn(2, 5, 8).double(), randn(2, 4, 3, seed=1).double()
    words[1, [1, 3]] = 0
    q = layer.q((x - x.mean(2, keepdim=True)) / (x.var(2, keepdim=True, correction=0) + 1e-5).sqrt())
    keys = words @ layer.kv.weight[:8].T
    by_hand = torch.zeros(2, 5, 4, dtype=torch.float64)
    for b, real in enumerate(([0, 1, 2, 3], [0, 2])):
        for place in range(5):
            for head in (slice(0, 4), slice(4, 8)):
                scores = torch.stack([q[b, place, head] @ keys[b, word, head] for word in real]) / 2
                by_hand[b, place, real] += scores.exp() / scores.exp().sum() / 2
    torch.testing.assert_close(weights(layer, x, words), by_hand.float())
    assert (weights(layer, x, words)[1, :, [1, 3]] == 0).all()  # exactly


def test_the_gradient_of_masked_cross_attention_is_that_of_finite_differences():
    layer = randomised(CrossAttention(6, context=3, heads=2), std=0.5).double()
    names, weights = zip(*layer.named_parameters(), strict=True)
    x, words = randn(3, 4, 6).double().requires_grad_(), randn(3, 5, 3, seed=1).double().requires_grad_()
    # item 0 has five words, item 1 has three, and item 2 has none
    real = torch.tensor([[1, 1, 1, 1, 1], [1, 0, 1, 1, 0], [0, 0, 0, 0, 0]]).double()[:, :, None]

    def value(x, words, *weights):
        return torch.func.functional_call(layer, dict(zip(names, weights, strict=True)), (x, words * real))

    assert torch.autograd.gradcheck(value, (x, words, *weights))


def test_cross_attention_to_padding_alone_adds_exactly_zero():
    layer, x, words = randomised(CrossAttention(8, context=3, heads=2), std=2.0), randn(2, 5, 8), randn(2, 4, 3)
    words[0] = 0
    assert (layer(x, words)[0] == 0).all() and (layer(x, words)[1] != 0).any()


def test_a_new_cross_attention_adds_exactly_zero():
    assert (CrossAttention(64, 3, heads=2)(randn(2, 5, 64), randn(2, 4, 3)) == 0).all()


def test_the_weights_of_cross_attention_keep_their_names_and_shapes():
    # checkpoints that were written before there was a mask depend on these
    shapes = {name: tuple(weight.shape) for name, weight in CrossAttention(8, 3, heads=2).state_dict().items()}
    assert shapes == {"q.weight": (8, 8), "q.bias": (8,), "kv.weight": (16, 3), "out.weight": (8, 8)}


@pytest.mark.parametrize("net", [small_unet(classes=2), small_dit(context=3)])
def test_the_networks_compile_without_a_break(net, unchecked):
    x, t = inputs_of(net, 2)
    cond = torch.tensor([0, 2]) if net.condition.classes else randn(2, 4, 3)
    compiled = torch.compile(net, fullgraph=True, backend="eager")
    assert torch.equal(compiled(x, t, cond), net(x, t, cond))


# The parts of the DiT


def test_patches_are_squares_cut_out_row_by_row():
    x = randn(2, 3, 4, 6)
    tokens = patchify(x, 2)
    assert tokens.shape == (2, 6, 12)
    for row in range(2):
        for column in range(3):
            square = x[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            assert torch.equal(tokens[:, 3 * row + column], square.flatten(1))
    assert torch.equal(unpatchify(tokens, 2, 4, 6), x)


def test_a_position_is_the_sinusoids_of_its_row_and_of_its_column():
    where = positions(2, 3, 16, torch.device("cpu"))
    assert where.shape == (6, 16)
    frequencies = 1000 ** (np.arange(4) / 3) / 1000  # from a thousandth of a radian a patch to one
    for row in range(2):
        for column in range(3):
            waves = [f(place * frequencies) for place in (row, column) for f in (np.cos, np.sin)]
            np.testing.assert_allclose(where[3 * row + column], np.concatenate(waves), atol=1e-6)
    many = positions(32, 32, 128, torch.device("cpu"))
    assert torch.cdist(many, many).fill_diagonal_(1.0).min() > 0.1  # no two are alike


def test_a_block_of_the_dit_is_its_formula_and_starts_as_the_identity():
    x, embedded, words = randn(2, 6, 64), randn(2, 64, seed=1), randn(2, 3, 5, seed=2)
    assert torch.equal(dit.Block(64, context=5)(x, embedded, words), x)
    block = randomised(dit.Block(64, context=5), std=0.2).double()
    x, embedded, words = x.double(), embedded.double(), words.double()

    def norm(x):
        return (x - x.mean(2, keepdim=True)) / (x.var(2, keepdim=True, correction=0) + 1e-6).sqrt()

    # Peebles and Xie 2023, figure 3: two scales and shifts before, two gates after
    modulation = embedded @ block.modulate.weight.T + block.modulate.bias
    scale1, shift1, gate1, scale2, shift2, gate2 = (modulation[:, None, i * 64 : (i + 1) * 64] for i in range(6))
    q, k, v = ((1 + scale1) * norm(x) + shift1).matmul(block.qkv.weight.T).add(block.qkv.bias).split(64, dim=2)
    h = x + gate1 * block.out((q @ k.mT / 8).softmax(2) @ v)
    h = h + block.words(h, words)
    by_hand = h + gate2 * block.layers[2](F.gelu(block.layers[0]((1 + scale2) * norm(h) + shift2)))
    torch.testing.assert_close(block(x, embedded, words), by_hand)


def test_heads_are_independent():
    block = dit.Block(128)  # two heads
    torch.nn.init.eye_(block.out.weight)
    with torch.no_grad():
        block.modulate.bias[256:384] = 1.0  # the first gate alone is open
    x, embedded = randn(1, 5, 128), torch.zeros(1, 128)
    before = block(x, embedded)
    with torch.no_grad():
        block.qkv.weight[64:128] += randn(64, 128)  # of q, the second head
    moved = (block(x, embedded) - before).abs().amax((0, 1))
    assert (moved[:64] == 0).all() and (moved[64:] > 0).all()


def test_blocks_ignore_positions_and_the_dit_uses_them():
    block, x, embedded = randomised(dit.Block(64)), randn(2, 6, 64), randn(2, 64)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(block(x[:, order], embedded), block(x, embedded)[:, order], rtol=1e-4, atol=1e-5)
    net, x, t = small_dit(), randn(1, 1, 4, 4), torch.tensor([0.5])
    assert not torch.allclose(net(x.flip(2, 3), t), net(x, t).flip(2, 3), atol=1e-2)
    moved = unpatchify(patchify(x, 2).flip(1), 2, 4, 4)
    assert not torch.allclose(patchify(net(moved, t), 2).flip(1), patchify(net(x, t), 2), atol=1e-2)


def test_a_new_dit_gives_zeros_and_its_skeleton_distinguishes_rows_from_columns():
    net, x, t = DiT(2, 2, 64, 2, classes=3), randn(2, 2, 4, 6), torch.rand(2)
    assert (net(x, t, torch.tensor([0, 2])) == 0).all()
    # new blocks are the identity, so with a random last layer only patches and positions are left
    torch.nn.init.normal_(net.last.weight)
    h = net.first(patchify(x, 2)) + positions(2, 3, 64, x.device)
    torch.testing.assert_close(net(x, t), unpatchify(net.last(F.layer_norm(h, (64,), eps=1e-6)), 2, 4, 6))


def test_answers_lie_side_by_side():
    one = small_dit(channels=3)
    two = randomised(DiT(3, 2, 64, 2, answers=2))
    two.load_state_dict({k: torch.cat([v, -v]) if k.startswith("last.") else v for k, v in one.state_dict().items()})
    x, t = randn(2, 3, 4, 4), torch.rand(2)
    answer, minus = two(x, t).chunk(2, dim=1)
    torch.testing.assert_close(answer, one(x, t))
    torch.testing.assert_close(minus, -answer)


@pytest.mark.parametrize("bottleneck", [None, 5])
def test_the_dit_has_as_many_weights_as_its_formula(bottleneck):
    w, depth, patch, channels, classes = 128, 3, 4, 3, 10
    pixels = channels * patch**2
    first = (pixels + 1) * w if bottleneck is None else pixels * bottleneck + (bottleneck + 1) * w
    block = 6 * w * (w + 1) + 4 * w * (w + 1) + 4 * w * (w + 1) + w * (4 * w + 1)  # modulate; q, k, v, out; two layers
    condition = 2 * w * (w + 1) + (classes + 1) * w
    last = 2 * w * (w + 1) + pixels * (w + 1)
    net = DiT(channels, patch, w, depth, bottleneck, classes)
    assert sum(p.numel() for p in net.parameters()) == first + depth * block + condition + last


def test_a_bottleneck_has_the_rank_of_its_width():
    net = DiT(channels=3, patch=4, bottleneck=5)
    jacobian = torch.autograd.functional.jacobian(net.first, randn(48))
    assert jacobian.shape == (128, 48) and torch.linalg.matrix_rank(jacobian) == 5


@pytest.mark.parametrize("net", [small_unet(classes=3), small_dit(classes=3), *conditioned(context=5)])
def test_in_bfloat16_the_output_is_nearly_the_same(net):
    x, t = inputs_of(net, 4)
    cond = torch.tensor([0, 1, 2, 3]) if net.condition.classes else randn(4, 2, 5)
    exact = net(x, t, cond)
    with torch.autocast("cpu", torch.bfloat16):
        rough = net(x, t, cond)
    assert (rough - exact).norm() < 0.03 * exact.norm()


# The parts of the U-Net


def test_attention_is_a_loop_over_heads_and_pixels():
    layer, x = randomised(Attention(64, 0, True), std=0.2).double(), randn(2, 64, 2, 3).double()
    qkv = layer.qkv(layer.norm(x)).flatten(2).detach().numpy()  # (batch, 3 * 64, 6)
    mixed = np.zeros((2, 64, 6))
    for b in range(2):
        for head in range(2):
            q, k, v = (qkv[b, part * 64 + head * 32 : part * 64 + (head + 1) * 32] for part in range(3))
            for pixel in range(6):
                # Vaswani et al. 2017, eq. 1
                logits = np.array([q[:, pixel] @ k[:, other] for other in range(6)]) / math.sqrt(32)
                weights = np.exp(logits - logits.max())
                mixed[b, head * 32 : (head + 1) * 32, pixel] = v @ (weights / weights.sum())
    by_hand = x + layer.out(torch.from_numpy(mixed).view_as(x))
    torch.testing.assert_close(layer(x, torch.zeros(2, 1, 0)), by_hand, rtol=1e-9, atol=1e-9)


def test_each_pixel_of_the_unet_attends_to_the_words_by_itself():
    layer, x, words = randomised(Attention(64, 3, True), std=0.2), randn(2, 64, 2, 3), randn(2, 4, 3)
    with_words, layer.words, cross = layer(x, words), None, layer.words
    without = layer(x, words)
    for row in range(2):
        for column in range(3):
            pixel = without[:, None, :, row, column]
            torch.testing.assert_close(with_words[:, None, :, row, column], pixel + cross(pixel, words))


def test_a_block_is_its_formula_and_starts_as_the_identity():
    x, embedded = randn(2, 32, 4, 4), randn(2, 8, seed=1)
    assert torch.equal(Block(32, 8)(x, embedded), x)
    block = randomised(Block(32, 8))
    scale, shift = (block.modulate.weight @ embedded.T).T.add(block.modulate.bias).view(2, 2, 32, 1, 1).unbind(1)

    def norm(x, layer):  # Wu and He 2018, eq. 7: sixteen channels share a mean and a variance
        groups = x.reshape(2, 2, 16 * 16)
        groups = (groups - groups.mean(2, keepdim=True)) / (groups.var(2, keepdim=True, correction=0) + 1e-5).sqrt()
        return groups.view_as(x) * layer.weight[:, None, None] + layer.bias[:, None, None]

    h = F.conv2d(F.silu(norm(x, block.norm1)), block.conv1.weight, block.conv1.bias, padding=1)
    h = F.conv2d(F.silu(norm(h, block.norm2) * (1 + scale) + shift), block.conv2.weight, block.conv2.bias, padding=1)
    torch.testing.assert_close(block(x, embedded), x + h, rtol=1e-4, atol=1e-5)


def test_the_way_up_adds_what_the_way_down_saw():
    # New blocks and attention layers are the identity, so with a random last layer only the skeleton is left
    net = UNet(1, (16, 32, 64), (1, 1, 1))
    torch.nn.init.normal_(net.last[2].weight)
    x = randn(2, 1, 8, 8)
    fine = net.first(x)
    middle = net.shrink[0](fine)
    coarse = net.shrink[1](middle)
    by_hand = net.last(net.grow[1](net.grow[0](coarse + coarse) + middle) + fine)
    torch.testing.assert_close(net(x, torch.rand(2)), by_hand, rtol=1e-4, atol=1e-5)


def test_with_words_every_level_of_the_unet_attends():
    with_words, without = UNet(1, (32, 64, 96), (1, 1, 1), context=5), UNet(1, (32, 64, 96), (1, 1, 1))
    # two layers a level, the coarsest first; a layer for the pixels would be too slow at the finest level
    for net, expected in (
        (with_words, [*[(True, True)] * 4, *[(True, False)] * 2]),
        (without, [*[(False, True)] * 2, *[(False, False)] * 4]),
    ):
        assert [(layer.words is not None, hasattr(layer, "qkv")) for layer in net.attention] == expected
    assert [layer.words.heads for layer in with_words.attention] == [3, 3, 2, 2, 1, 1]


@pytest.mark.parametrize("layer", range(6))
def test_each_layer_of_the_unet_alone_lets_the_words_in(layer):
    net = randomised(UNet(1, (32, 64, 96), (1, 1, 1), context=5))
    torch.nn.init.zeros_(net.condition.mean.weight)
    for i, attention in enumerate(net.attention):
        if i != layer:
            torch.nn.init.zeros_(attention.words.out.weight)
    x, t, words = randn(2, 1, 8, 8), torch.rand(2), randn(2, 4, 5)
    assert (net(x, t, words) - net(x, t)).abs().max() > 1e-6
    torch.nn.init.zeros_(net.attention[layer].words.out.weight)
    assert torch.equal(net(x, t, words), net(x, t))


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_recorded_maps_have_rows_of_sum_one_and_nothing_on_padding(precision):
    net = randomised(UNet(1, (32, 64, 96), (1, 1, 1), context=5), std=0.3)
    x, t, words = randn(3, 1, 8, 8), torch.rand(3), randn(3, 4, 5)
    words[1, 2:] = 0
    words[2] = 0
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
        expected = net(x, t, words)
        with recorded(net) as maps:
            assert torch.equal(net(x, t, words), expected)  # to look does not change what is seen
    # on the way down and up again, from 8x8 places to 2x2
    assert [tuple(one.shape) for one in maps] == [(3, places, 4) for places in (64, 16, 4, 4, 16, 64)]
    for one in maps:
        assert one.dtype == torch.float32
        torch.testing.assert_close(one.sum(2), torch.ones(one.shape[:2]))
        assert (one[1, :, 2:] == 0).all() and (one[:2, :, :2] > 0).all()
        torch.testing.assert_close(one[2], torch.full_like(one[2], 0.25))  # without words there is nothing to choose


def test_recording_ends_with_the_block_even_after_an_error():
    net = conditioned(context=5)[0]
    (x, t), words = inputs_of(net, 2), randn(2, 3, 5)
    with pytest.raises(ZeroDivisionError), recorded(net) as maps:
        net(x, t, words)
        1 / 0  # noqa: B018
    count = len(maps)
    net(x, t, words)
    assert len(maps) == count == 4


def test_attention_lets_a_corner_see_the_far_corner():
    # the first and last pixels of 32 x 32 are farther apart than the convolutions of this net reach
    x = randn(1, 1, 32, 32).requires_grad_()
    small_unet()(x, torch.tensor([0.5]))[0, 0, 0, 0].backward()
    assert x.grad[0, 0, -1, -1] != 0


@pytest.mark.parametrize("net", [small_unet(classes=2), small_dit(classes=2), *conditioned(context=5)])
def test_the_gradient_is_that_of_finite_differences(net):
    net = randomised(copy.deepcopy(net), std=0.2).double()
    x = inputs_of(net, 2, side=4)[0].double().requires_grad_()
    weight = randn(*x.shape, seed=1).double()
    t = torch.tensor([0.3, 0.8], dtype=torch.float64)
    cond = torch.tensor([1, 2]) if net.condition.classes else randn(2, 3, 5).double()

    def value():
        return (net(x, t, cond) * weight).sum()

    value().backward()
    generator, h = torch.Generator().manual_seed(2), 1e-5
    for name, parameter in [("x", x), *net.named_parameters()]:
        direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        slope = (parameter.grad * direction).sum().item()
        with torch.no_grad():
            values = []
            for step in (h, -2 * h):  # to +h, then to -h
                parameter += step * direction
                values.append(value().item())
            parameter += h * direction
        central = (values[0] - values[1]) / (2 * h)
        assert slope == pytest.approx(central, rel=1e-5, abs=1e-7), name
        if ".norm" not in name and "qkv.bias" not in name:
            assert slope != 0, name  # every parameter matters


# Errors


def test_bad_labels_are_named(unchecked):
    x, t = torch.zeros(2, 2), torch.rand(2)
    with pytest.raises(ValueError, match="cond must be None, because this network was made with classes=0"):
        MLP(classes=0)(x, t, torch.tensor([0, 1]))
    many = torch.zeros(2, 1000, dtype=torch.long)
    for cond in (torch.tensor([0.0, 1.0]), torch.tensor([0]), many, torch.tensor([True, False]), [0, 1]):
        with pytest.raises(ValueError, match="cond must be a tensor of 2 whole numbers from 0 to") as error:
            MLP(classes=3)(x, t, cond)
        assert len(str(error.value)) < 120  # it never prints the data


@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8])
def test_unknown_labels_are_named_with_those_that_are_known(dtype):
    condition, labels = Condition(8, classes=10), torch.tensor([0, 11, 10, 11], dtype=dtype)
    message = r'cond contains label 11, but this network knows the labels 0 to 9 \(and 10 for "any class"\)'
    for call in (lambda: condition.check(labels, 4), lambda: condition(torch.rand(4), labels)):
        with pytest.raises(ValueError, match=message):
            call()
    condition.check(torch.arange(11, dtype=dtype), 11)
    condition.check(None, 4)
    condition.check(labels.to("meta"), 4)  # not on the CPU: its values are not read
    with pytest.raises(ValueError, match="cond contains label 11 and 12 and 13 and 14 and 15, but"):
        condition.check(torch.arange(100, dtype=dtype), 100)


def test_a_negative_label_is_named():
    with pytest.raises(ValueError, match="cond contains label -1 and 4, but this network knows the labels 0 to 2"):
        Condition(8, classes=3).check(torch.tensor([4, 0, -1]), 3)


def test_bad_words_are_named(unchecked):
    for net in conditioned(context=5):
        (x, t), whole = inputs_of(net, 2), torch.zeros(2, 5, dtype=torch.long)
        shapes = ((2, 4), (3, 5), (2, 0, 5), (2, 3, 4), (2,), (5,), (2, 1, 1, 5))
        for cond in (*map(torch.zeros, shapes), whole, [[0.0] * 5] * 2):
            with pytest.raises(ValueError, match=r"cond must be embeddings of shape \(2, 5\) or \(2, words, 5\), got"):
                net(x, t, cond)
    with pytest.raises(ValueError, match="classes or context must be 0"):
        DiT(classes=2, context=2)


def test_bad_sizes_of_a_dit_are_named(unchecked):
    for sizes in ({"width": 96}, {"width": 0}, {"depth": 0}, {"patch": 0}, {"bottleneck": -1}, {"channels": 0}):
        with pytest.raises(ValueError, match="width must be a multiple of 64, and the others at least 1"):
            DiT(**sizes)


@pytest.mark.parametrize("net, factor", [(DiT(), 4), (UNet(1, (16, 16, 32), (1, 1, 1)), 4)])
def test_images_of_another_shape_are_named(net, factor, unchecked):
    for shape in ((1, 1, 6, 4), (1, 1, 4, 6), (1, 2, 4, 4), (1, 1, 4), (1, 1, 4, 4, 4)):
        wanted = rf"x must be \(batch, 1, height, width\) with sides divisible by {factor}, got "
        with pytest.raises(ValueError, match=wanted):
            net(torch.zeros(shape), torch.zeros(1))


def test_bad_widths_are_named(unchecked):
    for widths, blocks in [((8, 32), (1, 1)), ((16, 40), (1, 1)), ((16, 32), (1,)), ((16, 32), (1, 1, 1)), ((), ())]:
        with pytest.raises(ValueError, match="widths and blocks must pair up, widths in multiples of 16, got"):
            UNet(1, widths, blocks)


@pytest.mark.parametrize(("width", "heads"), [(16, 1), (32, 1), (48, 3), (64, 2), (80, 5), (96, 3)])
def test_a_head_is_32_wide_or_16_where_32_does_not_divide_the_width(width, heads):
    layer = randomised(Attention(width, 3, True), std=0.2)
    assert layer.words.heads == heads and layer.head == width // heads
    assert layer(randn(2, width, 2, 3), randn(2, 4, 3)).shape == (2, width, 2, 3)
    UNet(1, (16, width), (1, 1), context=3)(randn(2, 1, 4, 4), torch.tensor([0.5, 0.6]), randn(2, 4, 3))


@given(
    channels=st.integers(1, 4),
    shape=st.tuples(st.integers(0, 2), st.integers(1, 4), st.integers(1, 12), st.integers(1, 12)),
)
def test_a_picture_of_any_shape_passes_or_is_named(channels, shape):
    net = UNet(channels, (16, 32), (1, 1))
    try:
        y = net(torch.zeros(shape), torch.zeros(shape[0]))
    except ValueError as error:
        assert "x must be (batch, " in str(error)
        assert shape[1] != channels or shape[2] % 2 or shape[3] % 2
    else:
        assert y.shape == shape and y.isfinite().all()


def test_points_of_another_dimension_are_named(unchecked):
    for x in (torch.zeros(3, 3), torch.zeros(3), torch.zeros(3, 2, 1)):
        with pytest.raises(ValueError, match=r"x must be \(batch, 2\)"):
            MLP(dimension=2)(x, torch.zeros(3))
