"""What `import minidiffusion` offers."""

import pytest

import minidiffusion as md


@pytest.mark.parametrize("name", md.__all__)
def test_every_name_is_there_when_it_is_used(name):
    assert getattr(md, name) is not None
    assert name in dir(md)


def test_a_name_that_is_not_offered_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'smaple'"):
        md.smaple  # noqa: B018


def test_a_name_is_what_its_file_calls_it():
    assert md.sample is md.samplers.sample and md.Denoiser.__module__ == "minidiffusion.denoiser"
    assert md.datasets.load.__module__ == "minidiffusion.data" and md.load is md.checkpoint.load
