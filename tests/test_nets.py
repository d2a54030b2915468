"""The networks: shapes, labels, a gradient against finite differences, and each part against its formula."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from minidiffusion.nets import MLP, NETS, Classifier, UNet
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


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_the_mlp_keeps_the_shape_of_its_points(dimension):
    net = MLP(dimension, width=16, depth=2)
    assert net(randn(7, dimension), torch.rand(7)).shape == (7, dimension)


@pytest.mark.parametrize("net", [MLP(3, 32, 2, classes=4), UNet(2, (16, 32), (1, 2), classes=5)])
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


@pytest.mark.parametrize("net", [randomised(MLP(2, 32, 2, classes=3)), small_unet(classes=3)])
def test_the_null_label_is_no_label(net):
    x = randn(4, 2) if isinstance(net, MLP) else randn(4, 1, 8, 8)
    t = torch.rand(4, generator=torch.Generator().manual_seed(0))
    nothing = net(x, t)
    assert torch.equal(nothing, net(x, t, torch.full((4,), 3)))
    outputs = [nothing, *(net(x, t, torch.full((4,), label)) for label in range(3))]
    for i in range(4):
        for j in range(i):
            assert not torch.allclose(outputs[i], outputs[j], atol=1e-4)


@pytest.mark.parametrize("net", [randomised(MLP(2, 32, 2, classes=3)), small_unet(classes=3)])
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


def test_the_mlp_is_its_formula():
    net = randomised(MLP(2, 16, depth=2), std=0.3)
    x, t = randn(3, 2), torch.tensor([0.1, 0.5, 0.9])
    embedded, h = net.condition(t), net.first(x)
    for layer in net.layers:  # residual, and each told the time anew
        h = h + layer[2](F.silu(layer[0](h + embedded)))
    torch.testing.assert_close(net(x, t), net.last[1](F.silu(h)))


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


def test_attention_lets_a_corner_see_the_far_corner():
    # the first and last pixels of 32 x 32 are farther apart than the convolutions of this net reach
    x = randn(1, 1, 32, 32).requires_grad_()
    small_unet()(x, torch.tensor([0.5]))[0, 0, 0, 0].backward()
    assert x.grad[0, 0, -1, -1] != 0


def test_the_gradient_of_the_unet_is_that_of_finite_differences():
    net = small_unet(classes=2).double()
    randomised(net, std=0.2)
    x, weight = randn(2, 1, 4, 4).double().requires_grad_(), randn(2, 1, 4, 4, seed=1).double()
    t, cond = torch.tensor([0.3, 0.8], dtype=torch.float64), torch.tensor([1, 2])

    def value():
        return (net(x, t, cond) * weight).sum()

    value().backward()
    generator, h = torch.Generator().manual_seed(2), 1e-4
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
