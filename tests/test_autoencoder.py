"""The autoencoder of pictures: its start against an independent SVD, its loss against formulas, gradients, files."""

import copy
import json

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

import minidiffusion as md
from minidiffusion.cli import main
from minidiffusion.nets import NETS, Autoencoder
from minidiffusion.nets.autoencoder import ImageEncoder
from minidiffusion.systems.first_stage import fit_autoencoder, reconstruction_loss, set_scale
from minidiffusion.training import checkpoint


def randn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def randomised(net, std=0.2):
    """The network with random weights everywhere: zero-initialised layers would hide what comes before them."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in net.parameters():
            weight.copy_(std * torch.randn(weight.shape, generator=generator))
    return net.requires_grad_(False)


@pytest.fixture
def in_float64(monkeypatch):
    """Casts to float32, which bfloat16 needs, would hide what finite differences are to see."""
    monkeypatch.setattr(torch.Tensor, "float", lambda self: self)


@pytest.fixture(scope="module")
def pictures():
    """Smooth random pictures in [-1, 1], whose mean 4x4 patch is one colour."""
    x = torch.nn.functional.avg_pool2d(randn(30, 3, 18, 18), 3, stride=1) * torch.tensor([1.0, 0.7, 0.4])[:, None, None]
    x = x + torch.tensor([0.3, -0.2, 0.1])[:, None, None]
    patch = x.unfold(2, 4, 4).unfold(3, 4, 4).mean((0, 2, 3))  # (channel, row, column)
    x = x - (patch - patch.mean((1, 2), keepdim=True)).repeat(1, 4, 4)
    return (x / x.abs().max()).contiguous()


def started(pictures, latent):
    net = Autoencoder(latent, width=16).requires_grad_(False)
    net.start_from(pictures)
    return net


def patches_of(pictures):
    """(count, 48), cut out in numpy."""
    x = pictures.double().numpy()
    rows = [x[:, :, i : i + 4, j : j + 4].reshape(len(x), -1) for i in range(0, 16, 4) for j in range(0, 16, 4)]
    return np.concatenate(rows)


# The start: principal components


@pytest.mark.parametrize("latent", [1, 4, 12])
def test_the_start_is_the_best_linear_autoencoder(pictures, latent):
    patches = patches_of(pictures)
    left = np.linalg.svd(patches - patches.mean(0), compute_uv=False)[latent:]  # Eckart and Young 1936
    best = (left**2).sum() / patches.size
    net = started(pictures, latent)
    error = (net.decode(net.encode(pictures)) - pictures).square().mean().item()
    assert error == pytest.approx(best, rel=1e-4)


def test_with_a_latent_for_each_number_the_start_loses_nothing(pictures):
    net = started(pictures, latent=48)
    torch.testing.assert_close(net.decode(net.encode(pictures)), pictures, rtol=0, atol=1e-5)


def test_the_latents_of_the_start_are_uncorrelated_with_a_mean_variance_of_one(pictures):
    z = started(pictures, latent=6).encode(pictures)
    assert z.shape == (30, 6, 4, 4)
    cov = z.permute(1, 0, 2, 3).flatten(1).cov()
    torch.testing.assert_close(cov, cov.diag().diag(), rtol=0, atol=1e-4)
    assert cov.trace() / 6 == pytest.approx(1.0, rel=1e-4)
    assert (cov.diag().diff() <= 0).all()  # the largest first
    torch.testing.assert_close(z.mean((0, 2, 3)), torch.zeros(6), rtol=0, atol=1e-5)


def test_the_networks_add_nothing_at_the_start(pictures):
    net = started(pictures, latent=4)
    mean, log_std = net.moments(pictures)
    assert torch.equal(mean, net.analyse(pictures)) and (log_std == -3.0).all()
    assert torch.equal(net.reconstruct(mean), net.synthesise(mean))


# Encoding and decoding


def test_latents_have_a_quarter_of_the_side():
    net = randomised(Autoencoder(8, width=32), std=0.05)
    x = randn(2, 3, 64, 32).clamp(-1, 1)
    z = net.encode(x)
    assert z.shape == (2, 8, 16, 8) and net.decode(z).shape == x.shape
    assert randomised(ImageEncoder(5, (16, 16, 32)))(randn(2, 3, 64, 64)).shape == (2, 5)


def test_pictures_do_not_depend_on_the_unit_of_their_latents(pictures):
    net = randomised(Autoencoder(4, width=16), std=0.05)
    set_scale(net, md.datasets.to_uint8(pictures))
    scaled = net.decode(net.encode(pictures))
    z, scale = net.encode(pictures), net.scale.item()
    net.scale.fill_(1.0)
    torch.testing.assert_close(net.encode(pictures), z * scale)
    torch.testing.assert_close(net.decode(net.encode(pictures)), scaled, rtol=1e-4, atol=1e-5)


def test_the_scale_gives_the_latents_unit_variance(pictures):
    net, x = randomised(Autoencoder(4, width=16), std=0.3), md.datasets.to_uint8(pictures)
    set_scale(net, x)
    assert net.encode(md.datasets.to_float(x)).std() == pytest.approx(1.0, rel=1e-5)


def test_decoded_pictures_stay_in_their_range(pictures):
    net = started(pictures, latent=4)
    x = net.decode(100 * randn(2, 4, 4, 4))
    assert x.min() == -1 and x.max() == 1


# The loss


@pytest.mark.parametrize("noise", [[0.0, 0.0, 0.0], [0.3, 0.0, 1.7]])
def test_the_loss_is_its_formula(noise):
    net = randomised(Autoencoder(2, width=16)).double()
    net.scale.fill_(2.5)
    x, eps = randn(3, 3, 8, 12).double(), randn(3, 2, 2, 3, seed=1).double()
    noise = torch.tensor(noise, dtype=torch.float64).view(3, 1, 1, 1)
    mean, log_std = net.moments(x)
    z = mean + (log_std.exp() + 2.5 * noise) * eps
    error = (x - net.reconstruct(z)).numpy()
    kl = kl_divergence(Normal(mean.double(), log_std.double().exp()), Normal(0.0, 1.0)).mean((1, 2, 3))
    for i in range(3):
        rows, columns = np.diff(error[i], axis=1), np.diff(error[i], axis=2)
        by_hand = np.abs(error[i]).mean() + 2 * (error[i] ** 2).mean()
        by_hand += 0.5 * (np.abs(rows).mean() + np.abs(columns).mean()) + 1e-3 * kl[i].item()
        assert reconstruction_loss(net, x, eps, noise)[i].item() == pytest.approx(by_hand, rel=1e-5)
        if noise.sum() == 0:
            assert reconstruction_loss(net, x, eps)[i].item() == pytest.approx(by_hand, rel=1e-5)


def gradients_agree(net, function, *inputs):
    """Whether the gradients of all inputs and parameters are those of finite differences, along random directions."""
    names, weights = zip(*net.named_parameters(), strict=True)

    class Whole(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, *inputs):
            return function(self.net, *inputs)

    whole = Whole()

    def value(*tensors):
        weights = {f"net.{name}": weight for name, weight in zip(names, tensors[-len(names) :], strict=True)}
        return torch.func.functional_call(whole, weights, tensors[: -len(names)])

    weights = [weight.detach().clone().requires_grad_() for weight in weights]
    return torch.autograd.gradcheck(value, (*inputs, *weights), fast_mode=True)


@pytest.mark.parametrize(
    "function",
    [
        lambda net, x: net.moments(x),
        lambda net, x: net.reconstruct(net.moments(x)[0]),
        lambda net, x: reconstruction_loss(net, x, randn(1, 2, 1, 2).double()),
    ],
    ids=["moments", "reconstruct", "loss"],
)
def test_the_gradient_is_that_of_finite_differences(function, in_float64):
    net = randomised(Autoencoder(2, width=16)).double()
    assert gradients_agree(net, function, randn(1, 3, 4, 8).double().requires_grad_())


def test_the_gradient_of_the_image_encoder_is_that_of_finite_differences(in_float64):
    net = randomised(ImageEncoder(3, (16, 16, 16))).double()
    assert gradients_agree(net, lambda net, x: net(x), randn(1, 3, 64, 64).double().requires_grad_())


def test_training_lowers_the_loss_and_the_seed_decides_it_to_the_bit(pictures):
    x = md.datasets.to_uint8(pictures)
    runs = []
    for _ in range(2):
        net = randomised(Autoencoder(2, width=16), std=0.1).requires_grad_(True)
        runs.append([step.loss for step in fit_autoencoder(net, x, steps=12, batch_size=8, seed=3)])
    assert runs[0] == runs[1] and np.mean(runs[0][-3:]) < 0.8 * np.mean(runs[0][:3])


# Files


def test_the_config_builds_the_network_again():
    net = Autoencoder(4, width=16)
    again = NETS["Autoencoder"](**json.loads(json.dumps(net.config)))
    again.load_state_dict(net.state_dict())
    assert copy.deepcopy(net).config == again.config == {"latent": 4, "width": 16}


def test_a_network_without_a_denoiser_is_saved_and_loaded(pictures, tmp_path):
    net = started(pictures, latent=4)
    net.scale.fill_(0.7)
    md.save(net, tmp_path / "whole.safetensors", {"data": "emoji64"})
    md.save(net, tmp_path / "half.safetensors", dtype=torch.float16)
    again, half = (md.load(tmp_path / f"{name}.safetensors") for name in ("whole", "half"))
    assert type(again) is Autoencoder and again.config == net.config and not again.training
    assert torch.equal(again.encode(pictures), net.encode(pictures)) and again.scale == net.scale
    # half the bytes, read back as float32 with the eleven bits that float16 has
    assert all(value.dtype == torch.float32 for value in half.state_dict().values())
    assert (half.encode(pictures) - net.encode(pictures)).norm() < 2**-10 * net.encode(pictures).norm()
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("whole", "half")]
    assert sizes[1] < 0.6 * sizes[0]


def test_a_damaged_network_is_named(pictures, tmp_path):
    path = tmp_path / "net.safetensors"
    md.save(started(pictures, latent=4), path)
    blob = bytearray(path.read_bytes())
    blob[-3] ^= 1
    path.write_bytes(blob)
    with pytest.raises(ValueError, match="net.safetensors is not: its content is not what was written"):
        md.load(path)
    path.write_bytes(blob[: len(blob) // 2])
    with pytest.raises(ValueError, match="path must be a whole minidiffusion checkpoint, and .*net.safetensors is not"):
        md.load(path)


def test_a_network_is_no_training_and_its_header_says_what_it_is(pictures, tmp_path):
    path = tmp_path / "autoencoder.safetensors"
    md.save(started(pictures, latent=4), path, {"seed": 3})
    header = checkpoint.read_header(path)
    assert header["format"] == checkpoint.NETWORK and header["network"] == "Autoencoder"
    assert header["config"] == {"latent": 4, "width": 16} and header["about"] == {"seed": 3}
    with pytest.raises(ValueError, match="it holds a network that is no denoiser, and the state of a training is"):
        checkpoint.load_training(path)


def test_sampling_from_a_network_that_is_no_denoiser_says_so(pictures, tmp_path, capsys):
    path = tmp_path / "autoencoder.safetensors"
    md.save(started(pictures, latent=4), path)
    assert main(["sample", "--checkpoint", str(path), "--out", str(tmp_path / "x.png")]) == 2
    error = capsys.readouterr().err
    assert "--checkpoint" in error and "Autoencoder" in error and "no denoiser" in error
    assert not (tmp_path / "x.png").exists()
