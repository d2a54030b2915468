"""`minidiffusion train` with a system: part after part, each with a file of its own, none trained twice."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import minidiffusion as md
from minidiffusion.cli import main, train
from minidiffusion.data.emoji import Captions
from minidiffusion.systems import recipes
from minidiffusion.systems.recipes import SYSTEMS
from minidiffusion.systems.stages import Stage, World, continued, denoiser
from minidiffusion.training import checkpoint

BUILT = []
NOTHING = Captions([], **{name: [] for name in ("style", "group", "tone", "thing", "tags")})


def small(name, needs=(), finish=lambda part, world: None):
    """A stage that takes no time: a denoiser of points, which needs the parts of earlier stages."""

    def build(world):
        assert set(needs) <= set(world.parts)
        BUILT.append(name)
        return md.Denoiser(md.nets.MLP(2, 8, 1), md.schedule.cosine(), md.heads.V)

    def fit(part, world, steps, **options):
        return md.fit(part, torch.randn(50, 2, generator=torch.Generator().manual_seed(0)), steps, **options)

    return Stage(name, build, fit, steps=6, batch_size=8, finish=finish)


@pytest.fixture(autouse=True)
def two_stages(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    BUILT.clear()
    marked = small("second", ["first"], lambda part, world: part.net.last[1].bias.data.fill_(7.0))
    monkeypatch.setitem(SYSTEMS, "stable_diffusion", (small("first"), marked))
    monkeypatch.setattr(train.data, "load", lambda name: (torch.zeros(1, 3, 64, 64, dtype=torch.uint8), NOTHING))


def stopped_at(number, monkeypatch, folder):
    """Train into a folder until somebody presses Ctrl-C, which is seen the `number`th time that we look."""
    looks = iter(range(1, 100))
    with monkeypatch.context() as patch:
        patch.setattr(train, "any_process", lambda pressed: next(looks) == number)
        assert main(["train", "stable_diffusion", "--out", folder]) == 130


def test_each_part_gets_a_file_and_is_not_trained_again(tmp_path, capsys):
    assert main(["train", "stable_diffusion", "--out", "run"]) == 0
    assert BUILT == ["first", "second"]
    assert sorted(path.name for path in (tmp_path / "run").glob("*.safetensors")) == [
        "first.safetensors",
        "second.safetensors",
    ]
    assert capsys.readouterr().out == "run/first.safetensors\nrun/second.safetensors\n"
    assert checkpoint.read_header("run/first.safetensors")["about"]["steps"] == 6
    assert (md.load("run/second.safetensors").net.last[1].bias == 7).all()  # what `finish` did is saved

    assert main(["train", "stable_diffusion", "--out", "run", "--resume"]) == 0
    assert BUILT == ["first", "second"]


def test_an_interrupted_stage_ends_with_the_same_weights(monkeypatch):
    assert main(["train", "stable_diffusion", "--out", "whole"]) == 0
    stopped_at(10, monkeypatch, "broken")  # in the third step of the second stage
    assert BUILT[2:] == ["first", "second"]
    assert main(["train", "stable_diffusion", "--out", "broken", "--resume"]) == 0
    for part in ("first", "second"):
        one, other = (md.load(f"{folder}/{part}.safetensors").state_dict() for folder in ("whole", "broken"))
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_ctrl_c_while_a_stage_is_finished_begins_no_other(monkeypatch, capsys):
    stopped_at(7, monkeypatch, "run")  # after the six steps of the first stage
    assert BUILT == ["first"] and "stopped after first; resume with" in capsys.readouterr().err
    assert main(["train", "stable_diffusion", "--out", "run", "--resume"]) == 0
    assert BUILT == ["first", "second"]


def test_a_part_that_was_read_from_its_file_lies_in_memory_as_it_was_trained(monkeypatch):
    """Convolutions are faster on weights with the channels last, and sum in another order: the last bits differ."""
    strides = []

    def build(world):
        strides.append([weight.stride() for weight in world.parts["first"].parameters()])
        return md.Denoiser(md.nets.MLP(2, 8, 1), md.schedule.cosine(), md.heads.V)

    def fit(part, world, steps, **options):
        return md.fit(part, torch.zeros(20, 1, 8, 8), steps, **options)

    first = Stage("first", lambda world: denoiser(md.nets.UNet(1, (16,), (1,))), fit, steps=2, batch_size=4)
    monkeypatch.setitem(SYSTEMS, "stable_diffusion", (first, replace(small("second"), build=build)))
    assert main(["train", "stable_diffusion", "--out", "run"]) == 0
    Path("run/second.safetensors").unlink()
    assert main(["train", "stable_diffusion", "--out", "run", "--resume"]) == 0
    assert strides[0] == strides[1] and (144, 1, 48, 16) in strides[0]  # of a convolution, channels last


def test_a_system_is_not_compiled(capsys):
    assert main(["train", "stable_diffusion", "--out", "run", "--compile"]) == 2
    assert "--compile must be left out for a system" in capsys.readouterr().err and not BUILT


def test_an_interruption_after_the_last_step_costs_nothing(monkeypatch):
    finish = train.Folder.finish
    monkeypatch.setattr(train.Folder, "finish", lambda *args: exec("raise KeyboardInterrupt"))
    assert main(["train", "stable_diffusion", "--out", "run"]) == 130
    monkeypatch.setattr(train.Folder, "finish", finish)
    assert main(["train", "stable_diffusion", "--out", "run", "--resume"]) == 0
    assert main(["train", "stable_diffusion", "--out", "whole"]) == 0
    one, other = (md.load(f"{folder}/second.safetensors").state_dict() for folder in ("whole", "run"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_part_of_another_training_is_not_taken_for_this_one(capsys):
    assert main(["train", "stable_diffusion", "--out", "run"]) == 0
    assert main(["train", "stable_diffusion", "--out", "run", "--resume", "--seed", "1"]) == 2
    assert "comes from another training" in capsys.readouterr().err


@pytest.mark.parametrize("system", ["stable_diffusion", "dalle2"])
def test_the_parts_of_a_system_are_trained_in_an_order_in_which_they_can_be(system, monkeypatch):
    monkeypatch.undo()
    names = [stage.name for stage in SYSTEMS[system]]
    assert len(set(names)) == len(names) and "clip" in names
    assert names.index("clip") < names.index({"stable_diffusion": "stable_diffusion", "dalle2": "prior"}[system])


def test_a_seed_decides_the_first_weights_of_a_part():
    world = World(torch.zeros(1, 3, 64, 64, dtype=torch.uint8), NOTHING)
    first, again, other = (train.untrained(recipes.PRIOR, world, seed).net.first.weight for seed in (5, 5, 6))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_a_part_goes_on_from_its_draft_and_leaves_the_draft_alone():
    world = World(torch.zeros(1, 3, 64, 64, dtype=torch.uint8), NOTHING)
    draft = world.parts["prior"] = recipes.PRIOR.build(world).eval().requires_grad_(False)
    part = continued("prior")(world)
    assert all(
        torch.equal(a, b) and b.requires_grad for a, b in zip(draft.parameters(), part.parameters(), strict=True)
    )
    part.net.first.weight.data.zero_()
    assert (draft.net.first.weight != 0).any() and not draft.net.first.weight.requires_grad


def test_clip_goes_on_with_its_text_encoder_locked():
    captions = Captions(
        ["red cat", "blue dog"],
        **{name: ["a", "b"] for name in ("style", "group", "thing")},
        tone=[0, 0],
        tags=[[], []],
    )
    pictures = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    world = World(pictures, captions)
    world.parts["clip_draft"] = draft = recipes.CONTRASTIVE_DRAFT.build(world).requires_grad_(False)
    part = recipes.CONTRASTIVE.build(world)
    (_,) = recipes.CONTRASTIVE.fit(part, world, 1, batch_size=4)
    changed = {name for name, weight in part.named_parameters() if not torch.equal(weight, draft.get_parameter(name))}
    assert {name.split(".")[0] for name in changed} == {"text_head", "image_encoder", "log_scale"}


def test_the_autoencoder_goes_on_with_its_latents_locked():
    pictures = torch.randint(0, 256, (40, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    world = World(pictures, NOTHING)
    world.parts["autoencoder_draft"] = draft = recipes.AUTOENCODER_DRAFT.build(world).requires_grad_(False)
    recipes.AUTOENCODER_DRAFT.finish(draft, world)
    part = recipes.AUTOENCODER.build(world)
    (_,) = recipes.AUTOENCODER.fit(part, world, 1, batch_size=2)
    recipes.AUTOENCODER.finish(part, world)
    changed = {name for name, weight in part.state_dict().items() if not torch.equal(weight, draft.state_dict()[name])}
    assert {name.split(".")[0] for name in changed} == {"synthesise", "decoder"}


def test_the_decoder_goes_on_with_a_sketch_that_fits():
    world = World(torch.zeros(1, 3, 64, 64, dtype=torch.uint8), NOTHING)
    world.parts["decoder_second"] = before = recipes.DECODER_DRAFT.build(world)
    world.parts["decoder_sketch"] = recipes.DECODER_SKETCH.build(world)
    before.net.last[2].bias.data.fill_(1.0)  # it would answer 0 otherwise
    part, x = recipes.DECODER.build(world), torch.zeros(2, 12, 16, 16)
    torch.testing.assert_close(part(x, 0.5), before(x, 0.5))
