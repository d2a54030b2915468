"""The networks: shapes, labels, a gradient against finite differences, and each part against its formula."""

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from minidiffusion.nets import MLP, NETS, SIZES, Classifier, DiT, UNet, dit
from minidiffusion.nets.attention import CrossAttention, attend
from minidiffusion.nets.dit import patchify, positions, unpatchify
from minidiffusion.nets.embedding import Condition, sinusoids
from minidiffusion.nets.unet import Attention, Block


def randomised(net, seed=0, std=0.1):
    """Every weight drawn anew: the layers that begin at zero would hide what is behind them."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(std * torch.randn(parameter.shape, generator=generator))
    return net


def small_unet(channels=1, classes=0, seed=0):
    return randomised(UNet(channels, (16, 32), (1, 1), classes), seed)


def small_dit(channels=1, classes=0, context=0, seed=0):
    return randomised(DiT(channels, patch=2, width=64, depth=2, classes=classes, context=context), seed)


def randn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# Shapes


@pytest.mark.parametrize("classes", [0, 10])
@pytest.mark.parametrize("channels, side", [(1, 28), (3, 28), (1, 32), (3, 32)])
def test_the_default_unet_takes_28_and_32(channels, side, classes):
    net = UNet(channels=channels, classes=classes)
    x = randn(2, channels, side, side)
    cond = torch.tensor([0, 9]) if classes else None
    y = net(x, torch.tensor([0.1, 0.9]), cond)
    assert y.shape == x.shape and (y == 0).all()  # untrained, it says nothing
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
        UNet(2, (16, 32), (1, 2), classes=5, answers=3),
        UNet(2, (16, 32), (1, 2), context=5),
        DiT(2, 3, 64, 1, bottleneck=4, classes=5, answers=3),
        DiT(context=6),
    ],
)
def test_the_config_builds_the_network_again(net):
    again = NETS[type(net).__name__](**net.config)
    again.load_state_dict(net.state_dict())
    assert again.config == net.config


def test_the_classifier_gives_features_and_scores():
    net = Classifier(classes=7).eval()
    x = randn(3, 1, 28, 28)
    features = net.features(x)
    assert features.shape == (3, 128) and (features >= 0).all()
    torch.testing.assert_close(net(x), features @ net.head.weight.T + net.head.bias)


# Time and label


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


@pytest.mark.parametrize("net", [randomised(MLP(2, 32, 2, classes=3)), small_unet(classes=3), small_dit(classes=3)])
def test_the_null_label_is_no_label(net):
    x = randn(4, 2) if isinstance(net, MLP) else randn(4, 1, 8, 8)
    t = torch.rand(4, generator=torch.Generator().manual_seed(0))
    nothing = net(x, t)
    assert torch.equal(nothing, net(x, t, torch.full((4,), 3)))
    outputs = [nothing, *(net(x, t, torch.full((4,), label)) for label in range(3))]
    for i in range(4):
        for j in range(i):
            assert not torch.allclose(outputs[i], outputs[j], atol=1e-4)


@pytest.mark.parametrize("net", [randomised(MLP(2, 32, 2, classes=3)), small_unet(classes=3), small_dit(classes=3)])
def test_each_item_has_its_own_time_and_label(net):
    x = randn(3, 2) if isinstance(net, MLP) else randn(3, 1, 8, 8)
    t, cond = torch.tensor([0.1, 0.5, 0.9]), torch.tensor([2, 0, 1])
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


def conditioned(context, seed=0):
    """A U-Net and a DiT that take embeddings of this width."""
    return [randomised(UNet(1, (16, 32), (1, 1), context=context), seed), small_dit(context=context, seed=seed)]


@pytest.mark.parametrize("net", conditioned(context=5))
def test_words_of_zeros_are_no_words_to_the_bit(net):
    x, t = randn(2, 1, 8, 8), torch.tensor([0.2, 0.7])
    nothing = net(x, t)
    for shape in ((2, 5), (2, 1, 5), (2, 7, 5)):
        assert torch.equal(net(x, t, torch.zeros(shape)), nothing)
        assert not torch.allclose(net(x, t, randn(*shape)), nothing, atol=1e-3)


@pytest.mark.parametrize("net", conditioned(context=5))
def test_an_embedding_is_one_word_and_words_have_no_order(net):
    x, t, words = randn(2, 1, 8, 8), torch.tensor([0.2, 0.7]), randn(2, 3, 5)
    assert torch.equal(net(x, t, words[:, 0]), net(x, t, words[:, :1]))
    torch.testing.assert_close(net(x, t, words.flip(1)), net(x, t, words), rtol=1e-4, atol=1e-5)
    # more than their mean: the same mean from other words is another condition
    other = words.mean(1, keepdim=True).expand_as(words)
    assert not torch.allclose(net(x, t, other), net(x, t, words), atol=1e-3)


def test_condition_adds_the_mean_of_the_words_to_time():
    condition = randomised(Condition(16, context=3), std=0.5)
    t, words = torch.tensor([0.3, 0.6]), randn(2, 4, 3)
    by_hand = F.silu(condition.time(sinusoids(t, 16)) + words.mean(1) @ condition.mean.weight.T)
    torch.testing.assert_close(condition(t, words), by_hand)


def test_the_mlp_is_its_formula():
    net = randomised(MLP(2, 16, depth=2), std=0.3)
    x, t = randn(3, 2), torch.tensor([0.1, 0.5, 0.9])
    embedded, h = net.condition(t), net.first(x)
    for layer in net.layers:  # residual, and each told the time anew
        h = h + layer[2](F.silu(layer[0](h + embedded)))
    torch.testing.assert_close(net(x, t), net.last[1](F.silu(h)))


# Attention


def test_attention_in_bfloat16_is_the_formula_there_and_back():
    q, k, v, weight = (randn(2, 3, 5, 16, seed=seed) for seed in range(4))
    results = []
    for dtype in (torch.float64, torch.bfloat16):
        parts = [part.detach().to(dtype).requires_grad_() for part in (q, k, v)]
        y = attend(*parts)
        (y * weight).sum().backward()
        results.append([y, *(part.grad for part in parts)])
    exact = (q.double() @ k.double().mT / 4).softmax(-1) @ v.double()
    torch.testing.assert_close(results[0][0], exact)
    for precise, rough in zip(*results, strict=True):
        assert rough.dtype == torch.bfloat16
        assert (rough - precise).norm() < 0.02 * precise.norm()  # a bfloat16 has eight bits: 2^-9 a rounding


def test_each_place_hears_a_mean_of_the_words_weighted_by_likeness():
    layer = randomised(CrossAttention(8, context=3, heads=2), std=0.4).double()
    x, words = randn(2, 5, 8).double(), randn(2, 4, 3, seed=1).double()
    q = layer.q((x - x.mean(2, keepdim=True)) / (x.var(2, keepdim=True, correction=0) + 1e-5).sqrt())
    keys, values = (words @ layer.kv.weight.T).split(8, dim=2)
    heard = torch.zeros(2, 5, 8, dtype=torch.float64)
    for b in range(2):
        for place in range(5):
            for head in (slice(0, 4), slice(4, 8)):
                likeness = torch.stack([q[b, place, head] @ keys[b, word, head] for word in range(4)]) / 2
                weights = likeness.exp() / likeness.exp().sum()
                heard[b, place, head] = sum(weights[word] * values[b, word, head] for word in range(4))
    torch.testing.assert_close(layer(x, words), heard @ layer.out.weight.T)


def test_a_new_layer_for_words_says_nothing():
    assert (CrossAttention(64, 3, heads=2)(randn(2, 5, 64), randn(2, 4, 3)) == 0).all()


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


def test_a_position_is_waves_of_its_row_and_of_its_column():
    where = positions(2, 3, 16, torch.device("cpu"))
    assert where.shape == (6, 16)
    frequencies = 1000 ** (np.arange(4) / 3) / 1000  # from a thousandth of a radian a patch to one
    for row in range(2):
        for column in range(3):
            waves = [f(place * frequencies) for place in (row, column) for f in (np.cos, np.sin)]
            np.testing.assert_allclose(where[3 * row + column], np.concatenate(waves), atol=1e-6)
    many = positions(32, 32, 128, torch.device("cpu"))
    assert torch.cdist(many, many).fill_diagonal_(1.0).min() > 0.1  # no two alike


def test_a_block_of_the_dit_is_its_formula_and_begins_as_the_identity():
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


def test_heads_do_not_hear_each_other():
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


def test_blocks_do_not_know_places_and_the_dit_does():
    block, x, embedded = randomised(dit.Block(64)), randn(2, 6, 64), randn(2, 64)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(block(x[:, order], embedded), block(x, embedded)[:, order], rtol=1e-4, atol=1e-5)
    net, x, t = small_dit(), randn(1, 1, 4, 4), torch.tensor([0.5])
    assert not torch.allclose(net(x.flip(2, 3), t), net(x, t).flip(2, 3), atol=1e-2)
    moved = unpatchify(patchify(x, 2).flip(1), 2, 4, 4)
    assert not torch.allclose(patchify(net(moved, t), 2).flip(1), patchify(net(x, t), 2), atol=1e-2)


def test_an_untrained_dit_says_nothing_and_its_skeleton_knows_rows_from_columns():
    net, x, t = DiT(2, 2, 64, 2, classes=3), randn(2, 2, 4, 6), torch.rand(2)
    assert (net(x, t, torch.tensor([0, 2])) == 0).all()
    # blocks begin as the identity, so with a last layer only patches and positions are left
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


def test_a_bottleneck_lets_no_more_through_than_its_width():
    net = DiT(channels=3, patch=4, bottleneck=5)
    jacobian = torch.autograd.functional.jacobian(net.first, randn(48))
    assert jacobian.shape == (128, 48) and torch.linalg.matrix_rank(jacobian) == 5


@pytest.mark.parametrize("net", [small_unet(classes=3), small_dit(classes=3), *conditioned(context=5)])
def test_in_bfloat16_the_output_is_nearly_the_same(net):
    x, t = randn(4, 1, 8, 8), torch.tensor([0.1, 0.4, 0.6, 0.9])
    cond = torch.tensor([0, 1, 2, 3]) if net.condition.classes else randn(4, 2, 5)
    exact = net(x, t, cond)
    with torch.autocast("cpu", torch.bfloat16):
        rough = net(x, t, cond)
    assert (rough - exact).norm() < 0.03 * exact.norm()


# The parts of the U-Net


def test_attention_is_a_loop_over_heads_and_pixels():
    layer, x = randomised(Attention(64, heads=2), std=0.2).double(), randn(2, 64, 2, 3).double()
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
    torch.testing.assert_close(layer(x), by_hand, rtol=1e-9, atol=1e-9)


def test_a_block_is_its_formula_and_begins_as_the_identity():
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
    # Blocks and attention begin as the identity, so an untrained net with a last layer is its skeleton
    net = UNet(1, (16, 32, 64), (1, 1, 1))
    torch.nn.init.normal_(net.last[2].weight)
    x = randn(2, 1, 8, 8)
    fine = net.first(x)
    middle = net.shrink[0](fine)
    coarse = net.shrink[1](middle)
    by_hand = net.last(net.grow[1](net.grow[0](coarse + coarse) + middle) + fine)
    torch.testing.assert_close(net(x, torch.rand(2)), by_hand, rtol=1e-4, atol=1e-5)


def test_a_head_of_the_unet_is_32_wide():
    assert [layer.heads for layer in UNet(1, (32, 128), (1, 1)).attention] == [4, 4]


def test_attention_lets_a_corner_see_the_far_corner():
    # the first and last pixels of 32 x 32 are farther apart than the convolutions of this net reach
    x = randn(1, 1, 32, 32).requires_grad_()
    small_unet()(x, torch.tensor([0.5]))[0, 0, 0, 0].backward()
    assert x.grad[0, 0, -1, -1] != 0


@pytest.mark.parametrize("net", [small_unet(classes=2), small_dit(classes=2), *conditioned(context=5)])
def test_the_gradient_is_that_of_finite_differences(net):
    net = randomised(copy.deepcopy(net), std=0.2).double()
    x, weight = randn(2, 1, 4, 4).double().requires_grad_(), randn(2, 1, 4, 4, seed=1).double()
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
            assert slope != 0, name  # nothing is left out


# Errors


def test_bad_labels_are_named(unchecked):
    x, t = torch.zeros(2, 2), torch.rand(2)
    with pytest.raises(ValueError, match="cond must be None"):
        MLP(classes=0)(x, t, torch.tensor([0, 1]))
    for cond in (torch.tensor([0.0, 1.0]), torch.tensor([0]), torch.tensor([[0], [1]])):
        with pytest.raises(ValueError, match="cond must hold one whole number for each of 2"):
            MLP(classes=3)(x, t, cond)


def test_bad_words_are_named(unchecked):
    x, t = torch.zeros(2, 1, 4, 4), torch.rand(2)
    for net in conditioned(context=5):
        for shape in ((2, 4), (3, 5), (2, 0, 5), (2, 3, 4), (2,), (2, 1, 1, 5)):
            with pytest.raises(ValueError, match=r"cond must be embeddings of shape \(2, 5\) or \(2, words, 5\)"):
                net(x, t, torch.zeros(shape))
    with pytest.raises(ValueError, match="classes or context must be 0"):
        DiT(classes=2, context=2)


def test_bad_sizes_of_a_dit_are_named(unchecked):
    for sizes in ({"width": 96}, {"width": 0}, {"depth": 0}, {"patch": 0}, {"bottleneck": -1}, {"channels": 0}):
        with pytest.raises(ValueError, match="width must be a multiple of 64, and the others at least 1"):
            DiT(**sizes)
    for shape in ((1, 1, 6, 4), (1, 1, 4, 6), (1, 2, 4, 4)):
        with pytest.raises(ValueError, match=r"x must be \(batch, 1, height, width\), sides that divide by 4"):
            DiT()(torch.zeros(shape), torch.zeros(1))


def test_bad_widths_are_named(unchecked):
    for widths, blocks in [((8, 32), (1, 1)), ((16, 48), (1, 1)), ((16, 32), (1,)), ((16,), (1,)), ((), ())]:
        with pytest.raises(ValueError, match="widths and blocks must"):
            UNet(1, widths, blocks)


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
