import pytest
import torch

from minidiffusion.data import to_float, to_uint8

LEVELS = torch.arange(256).to(torch.uint8)


def test_the_ends_and_the_middle():
    floats = to_float(LEVELS)
    assert floats.dtype == torch.float32
    assert floats[0] == -1 and floats[255] == 1
    assert torch.allclose(floats.double(), torch.arange(256).double() / 127.5 - 1, atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_all_256_levels_come_back(dtype):
    assert torch.equal(to_uint8(to_float(LEVELS).to(dtype)), LEVELS)


def test_rounding_is_to_the_nearest_level_and_clips_outside():
    inside = (to_float(LEVELS)[:-1] + 0.49 / 127.5, to_float(LEVELS)[1:] - 0.49 / 127.5)
    assert torch.equal(to_uint8(inside[0]), LEVELS[:-1])
    assert torch.equal(to_uint8(inside[1]), LEVELS[1:])
    outside = torch.tensor([-torch.inf, -7.0, -1.001, 1.001, 3e38, torch.inf])
    assert to_uint8(outside).tolist() == [0, 0, 0, 255, 255, 255]


def test_shape_is_kept():
    images = torch.zeros(2, 3, 4, 5, dtype=torch.uint8)
    assert to_uint8(to_float(images)).shape == (2, 3, 4, 5)


def test_nan_and_wrong_types_are_refused(unchecked):
    with pytest.raises(ValueError, match="images must be numbers .* NaN"):
        to_uint8(torch.tensor([0.0, torch.nan]))
    for wrong in (LEVELS, LEVELS.long(), LEVELS.numpy(), [0.5]):
        with pytest.raises(TypeError, match="images must be a floating point tensor .*, got"):
            to_uint8(wrong)
    for wrong in (LEVELS.float(), LEVELS.long(), LEVELS.numpy(), [1]):
        with pytest.raises(TypeError, match="images must be a uint8 tensor, got"):
            to_float(wrong)
