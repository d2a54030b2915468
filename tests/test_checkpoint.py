"""A checkpoint is the same denoiser again, or one clear error; and a file is whole or not there."""

import json
import os
import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

import minidiffusion as md
from minidiffusion import checkpoint

ABOUT = {"recipe": "a test", "seed": 3, "quality": {"fd": 1.5}, "note": "naïve — ünïcode", "list": [1, None, True]}


def small(net=None, schedule=None, head=md.heads.V):
    torch.manual_seed(0)
    net = net if net is not None else md.nets.MLP(2, 16, 1, classes=3)
    denoiser = md.Denoiser(net, schedule or md.schedule.cosine(), head)
    with torch.no_grad():
        for parameter in net.parameters():  # zero layers too
            parameter.normal_(std=0.3)
    return denoiser


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of a good checkpoint."""
    path = tmp_path_factory.mktemp("whole") / "model.safetensors"
    md.save(small(), path, about=ABOUT)
    return path.read_bytes()


# Round trips


@pytest.mark.parametrize("head", md.heads.HEADS.values(), ids=lambda head: head.name)
def test_float32_comes_back_exactly(tmp_path, schedule, head):
    denoiser, path = small(schedule=schedule, head=head), tmp_path / "model.safetensors"
    md.save(denoiser, path)
    again = md.load(path)
    assert again.schedule == schedule and again.head is head
    assert again.net.config == denoiser.net.config
    x_t, t, cond = torch.randn(3, 2), torch.tensor([0.2, 0.5, 0.8]), torch.tensor([0, 2, 3])
    assert torch.equal(again(x_t, t, cond), denoiser(x_t, t, cond))


def test_a_unet_comes_back_ready_to_sample(tmp_path):
    denoiser = small(md.nets.UNet(3, (16, 32), (1, 2), classes=2))
    md.save(denoiser.train(), tmp_path / "model.safetensors")
    again = md.load(str(tmp_path / "model.safetensors"))
    assert not again.training and not any(p.requires_grad for p in again.parameters())
    state, old = again.state_dict(), denoiser.state_dict()
    assert state.keys() == old.keys() and all(torch.equal(state[k], old[k]) for k in old)


@pytest.mark.parametrize("dtype, digits", [(torch.float16, 11), (torch.bfloat16, 8)])
def test_half_precision_halves_the_file_and_keeps_its_digits(tmp_path, dtype, digits):
    denoiser = small()
    md.save(denoiser, tmp_path / "whole")
    md.save(denoiser, tmp_path / "half", dtype=dtype)
    weights, old = md.load(tmp_path / "half").state_dict(), denoiser.state_dict()
    for name, value in weights.items():
        assert value.dtype == torch.float32
        assert ((value - old[name]).abs() <= old[name].abs() * 2.0**-digits + 1e-7).all()
        assert torch.equal(value, old[name].to(dtype).float())
    sizes = {name: (tmp_path / name).stat().st_size for name in ("whole", "half")}
    numbers = sum(v.numel() for v in old.values())
    assert sizes["whole"] - sizes["half"] == pytest.approx(2 * numbers, abs=100)


def test_what_was_written_down_is_read_back(tmp_path):
    path = tmp_path / "model.safetensors"
    md.save(small(), path, about=ABOUT)
    header = checkpoint.read_header(path)
    assert header["about"] == ABOUT
    assert header["network"] == "MLP" and header["head"] == "v" and header["schedule"] == {"name": "cosine"}
    assert header["config"] == {"dimension": 2, "width": 16, "depth": 1, "classes": 3}
    # and a person can read it: it is JSON at the head of the file
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    assert json.loads(raw[8 : 8 + length])["__metadata__"]["format"] == checkpoint.FORMAT
    md.save(small(), path)
    assert checkpoint.read_header(path)["about"] == {}


# Files that are no checkpoint


def load_or_clear_error(path):
    """The denoiser, or None after one of the two errors that `load` documents, with the path in it."""
    try:
        return md.load(path)
    except (ValueError, FileNotFoundError) as error:
        assert str(path) in str(error) and "path must" in str(error)
        return None


def test_a_missing_file_is_named(tmp_path):
    for path in (tmp_path / "none.safetensors", tmp_path, tmp_path / "no folder" / "x"):
        with pytest.raises(FileNotFoundError, match="path must"):
            md.load(path)
        assert load_or_clear_error(path) is None


@pytest.mark.parametrize("content", [b"", b"\0" * 8, b"\xff" * 64, b"{}", b"just some text\n" * 50])
def test_other_files_are_named(tmp_path, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="path must"):
        md.load(path)


def test_foreign_and_pickled_files_are_named(tmp_path, whole):
    foreign, pickled = tmp_path / "foreign.safetensors", tmp_path / "model.pt"
    save_file({"weight": torch.ones(3)}, foreign)
    torch.save(small().state_dict(), pickled)
    save_file({"weight": torch.ones(3)}, tmp_path / "later.safetensors", {"format": "minidiffusion 99"})
    for path in (foreign, pickled, tmp_path / "later.safetensors"):
        with pytest.raises(ValueError, match="path must"):
            md.load(path)


GOOD = {
    "format": checkpoint.FORMAT,
    "network": "MLP",
    "config": '{"dimension": 2, "width": 16, "depth": 1, "classes": 0}',
    "schedule": '{"name": "flow"}',
    "head": "v",
    "about": "{}",
}


@pytest.mark.parametrize(
    "key, value",
    [
        ("format", "minidiffusion 99"),
        ("format", None),
        ("network", "ResNet"),
        ("network", None),
        ("config", "[]"),
        ("config", "{}"),
        ("config", '{"width": -3}'),
        ("config", '{"width": "wide"}'),
        ("config", '{"colour": "red"}'),
        ("config", "null"),
        ("config", "not JSON"),
        ("schedule", "[]"),
        ("schedule", '"flow"'),
        ("schedule", '{"name": "none"}'),
        ("schedule", '{"name": "from_betas"}'),
        ("schedule", '{"name": "from_betas", "betas": "ab"}'),
        ("schedule", '{"name": "zero_terminal_snr", "schedule": 3}'),
        ("head", "w"),
        ("about", "{"),
        ("about", None),
    ],
)
def test_a_header_that_makes_no_denoiser_is_named(tmp_path, key, value):
    path = tmp_path / "model.safetensors"
    weights = md.nets.MLP(2, 16, 1).state_dict()
    save_file(weights, path, GOOD)
    assert md.load(path).schedule == md.schedule.flow()
    save_file(weights, path, {k: v for k, v in {**GOOD, key: value}.items() if v is not None})
    with pytest.raises(ValueError, match="path must"):
        md.load(path)


@pytest.mark.parametrize(
    "config", ['{"widths": []}', '{"widths": [8, 8]}', '{"widths": 5}', '{"widths": [0], "blocks": [1]}']
)
def test_a_unet_that_cannot_be_is_named(tmp_path, config):
    path = tmp_path / "model.safetensors"
    save_file({"weight": torch.ones(3)}, path, {**GOOD, "network": "UNet", "config": config})
    with pytest.raises(ValueError, match="path must"):
        md.load(path)


def test_weights_that_do_not_fit_are_named(tmp_path):
    path = tmp_path / "model.safetensors"
    weights = md.nets.MLP(2, 16, 1).state_dict()
    for wrong in ({k: v for k, v in list(weights.items())[1:]}, {**weights, "more": torch.ones(1)}, {}):
        save_file(wrong, path, GOOD)
        with pytest.raises(ValueError, match="path must"):
            md.load(path)
    save_file({k: torch.zeros(v.numel()) for k, v in weights.items()}, path, GOOD)
    with pytest.raises(ValueError, match="path must"):
        md.load(path)


@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_anywhere_is_named(whole, tmp_path_factory, share):
    path = tmp_path_factory.getbasetemp() / "cut.safetensors"
    path.write_bytes(whole[: int(share * len(whole))])
    assert load_or_clear_error(path) is None


@given(seed=st.integers(0, 2**32), flips=st.integers(1, 4))
def test_flipped_bits_in_the_header_are_an_error_or_harmless(whole, tmp_path_factory, seed, flips):
    path, broken, draw = tmp_path_factory.getbasetemp() / "flipped.safetensors", bytearray(whole), random.Random(seed)
    length = 8 + int.from_bytes(whole[:8], "little")
    for _ in range(flips):
        broken[draw.randrange(length)] ^= 1 << draw.randrange(8)
    path.write_bytes(broken)
    denoiser = load_or_clear_error(path)
    # a flip in "about" changes no number; one in a tensor's name or in "v" would have been an error
    if denoiser is not None:
        assert denoiser(torch.zeros(1, 2), 0.5).isfinite().all()


def test_every_bit_of_the_length_counts(whole, tmp_path):
    path = tmp_path / "model.safetensors"
    for bit in range(64):
        broken = bytearray(whole)
        broken[bit // 8] ^= 1 << bit % 8
        path.write_bytes(broken)
        assert load_or_clear_error(path) is None, bit


# Saving


def test_what_cannot_be_saved_is_named_before_a_file_appears(tmp_path):
    class Other(torch.nn.Module):
        def forward(self, x, t, cond):
            return x

    with pytest.raises(TypeError, match=r"denoiser\.net must be one of"):
        md.save(md.Denoiser(Other(), md.schedule.cosine(), md.heads.V), tmp_path / "x")
    with pytest.raises((TypeError, ValueError), match="about"):
        md.save(small(), tmp_path / "x", about={"network": object()})
    with pytest.raises((TypeError, ValueError), match="about"):
        md.save(small(), tmp_path / "x", about=["a list"])
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_a_clear_error(tmp_path):
    path = tmp_path / "no folder" / "model.safetensors"
    with pytest.raises(OSError) as error:
        md.save(small(), path)
    assert str(path) in str(error.value) or str(path.parent) in str(error.value)
    assert not path.parent.exists()


@pytest.mark.parametrize("broken", ["replace", "fsync"])
def test_a_save_that_fails_leaves_the_old_file(tmp_path, monkeypatch, broken):
    path = tmp_path / "model.safetensors"
    md.save(small(), path)
    before = path.read_bytes()

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, broken, full)
    with pytest.raises(OSError, match="No space left"):
        md.save(small(schedule=md.schedule.flow()), path)
    monkeypatch.undo()
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    md.save(small(schedule=md.schedule.flow()), path)
    assert md.load(path).schedule == md.schedule.flow() and list(tmp_path.iterdir()) == [path]


def test_an_interrupted_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    path.write_text("what was there")

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        md.save(small(), path)
    monkeypatch.undo()
    assert path.read_text() == "what was there" and list(tmp_path.iterdir()) == [path]


def test_a_new_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "plain").write_text("")
    md.save(small(), tmp_path / "model.safetensors")
    modes = [(tmp_path / name).stat().st_mode for name in ("plain", "model.safetensors")]
    assert modes[0] == modes[1]


def test_the_shipped_denoiser_draws_what_is_ordered():
    denoise = md.shipped()
    labels = torch.arange(10)
    x_1 = md.prior((10, 1, 28, 28), denoise.schedule, torch.Generator().manual_seed(1))
    sorted_as = md.nets.fashion_classifier()(md.sample(denoise, x_1, steps=10, cond=labels)).argmax(1)
    assert (sorted_as == labels).sum() >= 7  # by chance, 1


def test_shipped_names_what_is_not_there():
    with pytest.raises(FileNotFoundError, match=r"none at .*paintings\.safetensors"):
        md.shipped("paintings")
