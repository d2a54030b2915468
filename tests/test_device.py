"""Devices, precisions and compilation."""

import shutil

import pytest
import torch

import minidiffusion as md
from minidiffusion.training import device


def test_the_best_device_works():
    best = device.as_device()
    assert torch.ones(2, device=best).sum().item() == 2
    assert device.as_device(None) == best
    if not torch.cuda.is_available() and not torch.backends.mps.is_available():
        assert best == torch.device("cpu")


def test_a_device_is_found_by_name():
    assert device.as_device("cpu") == device.as_device(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize("bad", ["gpu", "", "cuda:99", "cpu:-3", 3.5, ["cpu"]])
def test_a_missing_device_is_named(unchecked, bad):
    with pytest.raises((ValueError, TypeError), match="device must"):
        device.as_device(bad)


def test_matrix_products_have_the_precision():
    cpu, a = torch.device("cpu"), torch.eye(2)
    for name, dtype in device.PRECISIONS.items():
        with device.autocast(cpu, name):
            assert (a @ a).dtype == dtype
        assert (a @ a).dtype == torch.float32  # and only inside the block
    fast = device.has_fast_bfloat16(cpu)
    assert isinstance(fast, bool)
    with device.autocast(cpu):
        assert (a @ a).dtype == (torch.bfloat16 if fast else torch.float32)


@pytest.mark.parametrize("bad", ["float16", "bf16", "", 16])
def test_a_bad_precision_is_named(unchecked, bad):
    with (
        pytest.raises(ValueError, match="precision must be one of float32, bfloat16"),
        device.autocast(torch.device("cpu"), bad),
    ):
        pass


def small(classes=0):
    torch.manual_seed(0)
    denoiser = md.Denoiser(md.nets.MLP(2, 16, 1, classes=classes), md.schedule.cosine(), md.heads.V)
    for weight in denoiser.parameters():  # because a zero-initialised layer would hide everything before it
        torch.nn.init.normal_(weight, std=0.3)
    return denoiser


def train_and_sample(compile):
    points = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    denoiser = small(classes=3)
    steps = md.fit(denoiser, (points, torch.arange(64) % 3), 5, precision="float32", compile=compile)
    losses = [step.loss for step in steps]
    denoise = md.training.compiled(denoiser) if compile else denoiser
    return losses, md.sample(denoise, points, steps=5, method="dpmpp_2m", cond=torch.ones(64, dtype=torch.int64))


def test_a_compiled_network_learns_and_samples_the_same(unchecked, monkeypatch):
    """Only the first half of the compiler, tracing and differentiation, which needs no C++. The slow test has both."""
    kinds, calls, original = [], [], torch.compile

    def first_half(net, *, mode, **options):
        kinds.append(mode)
        ready = original(net, backend="aot_eager", **options)
        return lambda *inputs: calls.append(len(kinds)) or ready(*inputs)

    monkeypatch.setattr(torch, "compile", first_half)
    for ours, plain in zip(train_and_sample(True), train_and_sample(False), strict=True):
        torch.testing.assert_close(torch.as_tensor(ours), torch.as_tensor(plain), rtol=1e-5, atol=1e-6)
    assert kinds == ["default"] * 2  # CUDA graphs are for CUDA
    assert calls == [1] * 5 + [2] * 5  # five steps of training, five of the sampler


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_a_network_compiled_to_machine_code_learns_and_samples_the_same(unchecked):
    for ours, plain in zip(train_and_sample(True), train_and_sample(False), strict=True):
        torch.testing.assert_close(torch.as_tensor(ours), torch.as_tensor(plain), rtol=1e-4, atol=1e-5)


def test_only_a_plain_denoiser_with_weights_is_compiled(unchecked):
    bare = md.Denoiser(lambda x, t, cond: x, md.schedule.cosine(), md.heads.V)
    for wrong in (bare, md.nets.MLP(2, 8, 1), None):
        with pytest.raises(TypeError, match="denoiser must be a plain Denoiser"):
            md.training.compiled(wrong)


def test_tensor_float_32_ends_with_the_block():
    torch.backends.cuda.matmul.allow_tf32 = False  # the default of PyTorch
    for name, allowed in (("bfloat16", True), ("float32", False)):
        with device.autocast(torch.device("cpu"), name):
            assert torch.backends.cuda.matmul.allow_tf32 == allowed
        assert not torch.backends.cuda.matmul.allow_tf32


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.mark.cuda
@needs_cuda
def test_oracles_and_samplers_give_the_same_samples_on_cuda():
    schedule = md.schedule.cosine()
    x_1 = md.prior((5, 2), schedule, torch.Generator().manual_seed(0)).double()
    items = torch.randn(9, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for oracle in (md.oracle.dataset(items, schedule), md.oracle.gaussian(items[0], torch.eye(2), schedule)):
        for method in md.samplers.METHODS:
            pictures = [
                md.sample(oracle, x_1.to(where), steps=5, method=method, generator=torch.Generator().manual_seed(2))
                for where in ("cpu", "cuda")
            ]
            assert pictures[1].is_cuda
            torch.testing.assert_close(pictures[1].cpu(), pictures[0], rtol=1e-6, atol=1e-6)


@pytest.mark.cuda
@needs_cuda
def test_training_starts_on_cuda_as_on_the_cpu():
    data, losses = torch.randn(64, 2, generator=torch.Generator().manual_seed(0)), []
    for where in ("cpu", "cuda"):
        torch.manual_seed(0)
        denoiser = md.Denoiser(md.nets.MLP(2, 32, 1), md.schedule.cosine(), md.heads.V).to(where)
        losses.append([step.loss for step in md.fit(denoiser, data, 3, precision="float32")])
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)


@pytest.mark.cuda
@needs_cuda
def test_one_cuda_graph_learns_and_samples_the_same(unchecked):
    points = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    results = []
    for compile in (False, True):
        denoiser = small().to("cuda")
        losses = [step.loss for step in md.fit(denoiser, points, 5, precision="float32", compile=compile)]
        denoise = md.training.compiled(denoiser) if compile else denoiser
        results.append((losses, md.sample(denoise, points.cuda(), steps=5, method="dpmpp_2m")))
    for ours, plain in zip(*results, strict=True):
        torch.testing.assert_close(torch.as_tensor(ours), torch.as_tensor(plain), rtol=1e-3, atol=1e-4)
