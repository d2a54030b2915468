"""One place that looks which device and which precision there is."""

import pytest
import torch

from minidiffusion import device


def test_the_best_device_is_one_that_works():
    best = device.best_device()
    assert torch.ones(2, device=best).sum().item() == 2
    assert device.as_device(None) == best
    if not torch.cuda.is_available() and not torch.backends.mps.is_available():
        assert best == torch.device("cpu")


def test_names_and_devices_are_devices():
    assert device.as_device("cpu") == device.as_device(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize("bad", ["gpu", "", "cuda:99", "cpu:-3", 3.5, ["cpu"]])
def test_a_device_that_is_not_there_is_named(unchecked, bad):
    with pytest.raises((ValueError, TypeError), match="device must"):
        device.as_device(bad)


def test_precision_is_that_of_the_matrix_products():
    cpu, a = torch.device("cpu"), torch.eye(2)
    for name, dtype in device.PRECISIONS.items():
        with device.autocast(cpu, name):
            assert (a @ a).dtype == dtype
        assert (a @ a).dtype == torch.float32  # and it ends with the block
    fast = device.has_fast_bfloat16(cpu)
    assert isinstance(fast, bool)
    with device.autocast(cpu):
        assert (a @ a).dtype == (torch.bfloat16 if fast else torch.float32)


@pytest.mark.parametrize("bad", ["float16", "bf16", "", 16])
def test_a_bad_precision_is_named(unchecked, bad):
    with pytest.raises(ValueError, match="precision must be one of float32, bfloat16"):
        device.autocast(torch.device("cpu"), bad)
