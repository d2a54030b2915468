"""The commands imagine, vary, blend, enlarge and studio: the files they write, and one line for every mistake."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from tiny_systems import systems

from minidiffusion.cli import main
from minidiffusion.cli import studio as server
from minidiffusion.data import to_uint8
from minidiffusion.systems import studio, unclip
from minidiffusion.systems.studio import drawing, requests, shipped

WEIGHTS = Path(shipped.__file__).parents[2] / "weights"


@pytest.fixture(autouse=True)
def tiny(tmp_path, monkeypatch):
    """An empty folder, tiny systems in place of the shipped ones, and few steps."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shipped, "LOADERS", {name: lambda name=name: systems()[name] for name in systems()})
    monkeypatch.setattr(shipped, "checksum", lambda part: f"checksum of {part}")
    monkeypatch.setattr(requests, "DEFAULTS", {"stable_diffusion": (2.0, 2), "dalle2": (2.0, 2)})
    monkeypatch.setattr(unclip, "PRIOR_STEPS", 2)
    monkeypatch.setattr(unclip, "UPSAMPLER_STEPS", 1)


def there():
    return sorted(path.name for path in Path().iterdir())


def written(path):
    with Image.open(path) as image:
        return json.loads(image.text["minidiffusion"])


def crop(path, i, size=64):
    """Picture i of a grid of two columns."""
    left, top = i % 2 * size, i // 2 * size
    with Image.open(path) as image:
        return image.crop((left, top, left + size, top + size)).tobytes()


def test_imagine_writes_a_grid_of_four_prints_its_path_and_leaves_nothing_else(capsys):
    assert main(["imagine", "blue rose"]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err, there()) == ("imagine.png\n", "", ["imagine.png"])
    assert Image.open("imagine.png").size == (128, 128)
    found = written("imagine.png")
    assert (found["count"], found["size"], found["pictures"][3]["seed"]) == (4, 64, 3)
    assert sorted(found["weights"]) == ["autoencoder", "clip", "stable_diffusion"]


@pytest.mark.parametrize("system", ["stable_diffusion", "dalle2"])
def test_picture_i_of_a_grid_has_the_seed_plus_i(system):
    main(["imagine", "cat", "--seed", "7", "--system", system])
    main(["imagine", "cat", "--seed", "9", "--system", system, "--count", "1", "--out", "one.png"])
    assert crop("imagine.png", 2) == crop("one.png", 0) != crop("imagine.png", 1)
    (alone,) = systems()[system].draw(["cat"], [torch.Generator().manual_seed(9)], scale=2.0, steps=2)
    assert to_uint8(alone).permute(1, 2, 0).numpy().tobytes() == crop("one.png", 0)


def test_a_size_repeats_pixels():
    main(["imagine", "cat", "--count", "1"])
    main(["imagine", "cat", "--count", "1", "--size", "256", "--out", "big.png"])
    with Image.open("big.png") as big, Image.open("imagine.png") as own:
        assert big.size == (256, 256)
        assert big.tobytes() == own.resize((256, 256), Image.Resampling.NEAREST).tobytes()


def test_options_may_stand_inside_the_prompt_or_after_it_but_not_twice(capsys):
    main(["imagine", "blue rose --no red --seed 7", "--count", "1", "--out", "a.png"])
    main(["imagine", "blue rose", "--no", "red", "--seed", "7", "--count", "1", "--out", "b.png"])
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()
    assert main(["imagine", "rose --seed 7", "--seed", "8"]) == 2
    assert "--seed is given twice" in capsys.readouterr().err


def test_json_says_what_the_file_says(capsys):
    main(["imagine", "cat sunglases", "--count", "2", "--json"])
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert found.pop("file") == "imagine.png"
    assert found.pop("notes") == ["sunglases: did you mean sunglasses?"]
    assert found == written("imagine.png")
    assert said.err == "sunglases: did you mean sunglasses?\n"


@pytest.mark.parametrize(
    ("prompt", "note"),
    [
        ("", "the prompt is empty, so the picture may show anything\n"),
        ("cat " * 2500, "only the first 23 known words count, of 2500\n"),
        ("قطة", "قطة: an unknown word, left out\nno known word is left, so the picture may show anything\n"),
        ("cat\nwith\0sunglases", "with: an unknown word, left out\nsunglases: did you mean sunglasses?\n"),
        ("cat \ud800", ""),
    ],
)
def test_any_prompt_gives_a_picture_and_one_line_for_each_note(prompt, note, capsys):
    assert main(["imagine", prompt, "--count", "1"]) == 0
    assert capsys.readouterr().err == note
    main(["vary", "imagine.png", "--count", "1"])
    assert there() == ["imagine.png", "vary.png"]


@pytest.fixture
def four():
    """The file imagine.png with four pictures, and their pixels."""
    main(["imagine", "lion", "--seed", "3"])
    return studio.read("imagine.png")


def test_vary_gives_each_picture_its_turn_or_four_of_one(four):
    assert main(["vary", "imagine.png"]) == 0
    assert [one["parents"][0]["seed"] for one in written("vary.png")["pictures"]] == [3, 4, 5, 6]
    assert main(["vary", "imagine.png", "--picture", "3", "--seed", "1", "--out", "third.png"]) == 0
    assert [one["parents"][0]["seed"] for one in written("third.png")["pictures"]] == [5] * 4
    assert len({crop("third.png", i) for i in range(4)}) == 4


def test_blend_and_enlarge(four):
    main(["vary", "imagine.png"])
    assert main(["blend", "imagine.png", "vary.png", "--pictures", "2", "4"]) == 0
    a, b = written("blend.png")["pictures"][0]["parents"]
    assert (a["done"], a["seed"], b["done"], b["seed"]) == ("imagine", 4, "vary", 3)
    assert main(["enlarge", "blend.png", "--picture", "2"]) == 0
    assert Image.open("enlarge.png").size == (256, 256)
    assert main(["enlarge", "imagine.png"]) == 0
    assert Image.open("enlarge.png").size == (512, 512)
    for name in ("vary.png", "blend.png", "enlarge.png"):
        pictures = studio.read(name)
        again = studio.draw(systems(), [picture.record for picture in pictures])
        assert all(torch.equal(x.pixels, y.pixels) for x, y in zip(again, pictures, strict=True)), name


def test_a_picture_from_elsewhere_is_varied_by_dalle2(capsys):
    Image.new("RGBA", (300, 200), (0, 100, 200, 90)).save("photo.png")
    assert main(["vary", "photo.png", "--count", "1"]) == 0
    (record,) = written("vary.png")["pictures"]
    assert (record["system"], record["parents"][0]["done"]) == ("dalle2", "given")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["imagine"], "PROMPT"),
        (["imagine", "cat", "--system", "dalle"], "--system must be one of stable_diffusion, dalle2, got 'dalle'"),
        (["imagine", "cat", "--count", "0"], "--count: must be a whole number from 1 to 64, got '0'"),
        (["imagine", "cat", "--size", "100"], "--size: must be a multiple of 64 up to 1024, got '100'"),
        (["imagine", "cat", "--size", "2048"], "--size: must be a multiple of 64 up to 1024, got '2048'"),
        (["imagine", "cat", "--scale", "nan"], "--scale: must be a number from 0 to 100, got 'nan'"),
        (["imagine", "cat", "--scale", "much"], "--scale: must be a number from 0 to 100, got 'much'"),
        (["imagine", "cat", "--steps", "0"], "--steps: must be a whole number from 1 to 1000, got '0'"),
        (["imagine", "cat", "--seed", "-1"], "--seed: must be a whole number of at least 0"),
        (["imagine", "cat --seed x"], "--seed must be a whole number of at least 0, got 'x'"),
        (["imagine", "cat", "--out", "cat.jpg"], "--out must end in .png, got 'cat.jpg'"),
        (["imagine", "cat", "--out", "none/cat.png"], "--out: there is no folder none"),
        (["imagine", "x" * 10_001], "prompt must have at most 10,000 characters, got 10,001"),
        (["vary", "none.png"], "FILE.png: there is no file none.png"),
        (["vary", "text.png"], "FILE.png: text.png is not a picture that can be read"),
        (["vary", "one.png", "--picture", "2"], "--picture must be from 1 to 1, because one.png holds 1, got 2"),
        (["vary", "one.png", "--out", "one.png"], "--out: one.png is also FILE.png; choose another name"),
        (["blend", "one.png", "none.png"], "B.png: there is no file none.png"),
        (["blend", "one.png", "one.png", "--pictures", "1", "3"], "--pictures must be from 1 to 1"),
        (["enlarge", "one.png", "--count", "2"], "--count"),
        (["studio", "--port", "0"], "--port: must be a whole number from 1 to 65535"),
    ],
)
def test_a_mistake_is_one_line_before_any_work(words, wanted, capsys, monkeypatch):
    Path("text.png").write_text("no picture")
    Image.new("RGB", (64, 64)).save("one.png")
    before = there()
    monkeypatch.setattr(studio, "draw", None)
    assert main(words) == 2
    error = capsys.readouterr().err
    assert wanted in error and error.count("\n") == 1 and "Traceback" not in error
    assert there() == before


def test_a_file_that_was_there_survives_an_error_while_drawing(monkeypatch):
    Path("imagine.png").write_text("old")
    monkeypatch.setattr(drawing, "_draw", lambda *_: (_ for _ in ()).throw(RuntimeError("no memory")))
    assert main(["imagine", "cat"]) == 2
    assert Path("imagine.png").read_text() == "old" and there() == ["imagine.png"]


def test_studio_says_what_to_install_and_which_weights_are_missing(monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["studio"]) == 2
    assert 'pip install "minidiffusion[studio]"' in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(shipped, "PARTS", {"dalle2": ("nothing",)})
    monkeypatch.setattr(server, "PARTS", shipped.PARTS)
    assert main(["studio"]) == 2
    assert "this installation has no nothing.safetensors" in capsys.readouterr().err


@pytest.mark.skipif(not (WEIGHTS / "stable_diffusion.safetensors").is_file(), reason="the trained weights are not here")
def test_the_shipped_weights_draw_the_same_pixels_again(monkeypatch):
    monkeypatch.undo()
    system = studio.Shipped()
    pictures = studio.draw(system, *studio.imagine("blue rose", count=2, steps=4))
    assert all(len(checksum) == 64 for checksum in system.weights().values()) and len(system.weights()) == 3
    again = studio.draw(studio.Shipped(), [picture.record for picture in pictures])
    assert all(torch.equal(a.pixels, b.pixels) for a, b in zip(again, pictures, strict=True))
