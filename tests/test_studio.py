"""The studio: a record gives the same pixels again, a PNG carries it, and the widget loses no request."""

import io
import json
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tiny_systems import systems

from minidiffusion.data import to_uint8
from minidiffusion.systems import studio, unclip
from minidiffusion.systems.studio import requests, typed
from minidiffusion.systems.studio.jobs import Jobs
from minidiffusion.systems.studio.records import SIDES, SYSTEMS, Record

BOTH = pytest.mark.parametrize("system", SYSTEMS)


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    """Tiny networks know nothing, however many steps they take."""
    monkeypatch.setattr(requests, "DEFAULTS", {"stable_diffusion": (2.0, 2), "dalle2": (2.0, 2)})
    monkeypatch.setattr(unclip, "PRIOR_STEPS", 2)
    monkeypatch.setattr(unclip, "UPSAMPLER_STEPS", 1)


def drawn(request):
    return studio.draw(systems(), *request)


def imagined(prompt="blue rose", count=1, steps=3, **options):
    return drawn(studio.imagine(prompt, count=count, steps=steps, **options))


def same(a, b):
    return all(torch.equal(one.pixels, other.pixels) for one, other in zip(a, b, strict=True))


def made(system):
    """One picture of each way in which it can come about."""
    first, second = imagined(count=2, system=system, no="red", seed=5)
    yield first
    yield from drawn(studio.vary([first], 7, 1))
    yield from drawn(studio.blend(first, second, 7, 1))
    yield from drawn(studio.pan(first, "left", 7, 1))
    yield from drawn(studio.enlarge([second], 7))


# drawing


@BOTH
def test_picture_i_is_drawn_by_a_generator_of_seed_plus_i(system):
    pictures = imagined("woman astronaut", 3, system=system, seed=11)
    for i, picture in enumerate(pictures):
        generator = torch.Generator().manual_seed(11 + i)
        scale, _ = requests.DEFAULTS[system]
        alone = systems()[system].draw(["woman astronaut"], [generator], scale=scale, steps=3)
        assert torch.equal(picture.pixels, to_uint8(alone[0]))
        assert same([picture], imagined("woman astronaut", system=system, seed=11 + i))


@BOTH
def test_every_picture_can_be_drawn_again_from_its_json(system):
    for picture in made(system):
        record = Record.of(json.loads(json.dumps(picture.record.as_json())))
        assert record == picture.record
        assert same(studio.draw(systems(), [record]), [picture]), record.done


@BOTH
def test_prompt_seed_scale_steps_and_no_all_count(system):
    usual = {"prompt": "blue rose", "system": system, "seed": 1, "scale": 3.0, "steps": 3, "no": "red"}
    before = imagined(**usual)
    for change in ({"prompt": "cat"}, {"seed": 2}, {"scale": 1.5}, {"steps": 2}, {"no": ""}):
        assert not same(before, imagined(**usual | change)), change


def test_a_picture_of_stable_diffusion_is_varied_by_it_and_a_blend_by_dalle2():
    first, second = imagined(count=2)
    (varied,), _ = studio.vary([first], count=1)
    assert (varied.system, varied.prompt, varied.steps) == ("stable_diffusion", "blue rose", 3)
    blended = drawn(studio.blend(first, second, count=1))
    (again,), _ = studio.vary(blended, count=1)
    assert (again.system, again.parents[0].done) == ("dalle2", "blend")


def test_variations_take_their_turns_and_blends_go_evenly_from_a_to_b():
    pictures = imagined(count=2)
    records, parents = studio.vary(pictures, 3, 4)
    assert [one.seed for one in records] == [3, 4, 5, 6]
    assert [one for (one,) in parents] == [*pictures, *pictures]
    shares = [one.share for one in studio.blend(*pictures, count=4)[0]]
    assert shares == [0.2, 0.4, 0.6, 0.8]
    assert [one.share for one in studio.blend(*pictures, count=1)[0]] == [0.5]


@pytest.mark.parametrize("to", SIDES)
def test_a_pan_keeps_what_both_pictures_show_and_draws_the_rest(to):
    (picture,) = imagined()
    (panned,) = drawn(studio.pan(picture, to, count=1))
    old, new = picture.pixels, panned.pixels
    if to in ("up", "down"):
        old, new = old.mT, new.mT
    kept = (old[:, :, 24:], new[:, :, :40]) if to in ("right", "down") else (old[:, :, :40], new[:, :, 24:])
    assert torch.equal(*kept)
    assert panned.record.prompt == "blue rose" and not torch.equal(old, new)


def test_enlarging_gives_256_pixels_and_everything_else_64():
    (picture,) = imagined()
    (large,) = drawn(studio.enlarge([picture]))
    assert large.pixels.shape == (3, 256, 256)
    for request in (
        studio.vary([large], count=1),
        studio.blend(large, picture, count=1),
        studio.pan(large, "up", 0, 1),
    ):
        assert drawn(request)[0].pixels.shape == (3, 64, 64)


def test_a_very_long_history_is_cut_by_keeping_a_picture(monkeypatch):
    monkeypatch.setattr(requests, "LONG", 100)
    (picture,) = imagined("blue rose " * 20)
    varied = drawn(studio.vary([picture], count=1))
    assert varied[0].record.parents[0].done == "given"
    assert same(studio.draw(systems(), [varied[0].record]), varied)


@pytest.mark.parametrize(
    "wrong",
    [
        *(
            {"done": "paint"},
            {"system": "midjourney"},
            {"steps": 10**9},
            {"scale": float("nan")},
            {"seed": -1},
            {"no": None},
        ),
        *({"prompt": "x" * 10_001}, {"done": "pan"}, {"done": "vary"}, {"magic": 1}, {"parents": [3]}, {"share": 2.0}),
    ],
)
def test_a_record_that_makes_no_sense_is_refused(wrong):
    with pytest.raises((ValueError, TypeError)):
        Record.of(wrong)


# PNG files


def test_a_png_holds_a_grid_without_gaps_and_brings_the_pictures_back(tmp_path):
    pictures = imagined(count=4, no="red", seed=9)
    for size in (None, 64, 192):
        (tmp_path / "four.png").write_bytes(studio.png(pictures, size, {"clip": "abc"}))
        with Image.open(tmp_path / "four.png") as image:
            assert image.size == (2 * (size or 64), 2 * (size or 64))
            found = json.loads(image.text["minidiffusion"])
        assert (found["count"], found["size"], found["weights"]) == (4, size or 64, {"clip": "abc"})
        back = studio.read(tmp_path / "four.png")
        assert same(back, pictures)
        assert [one.record for one in back] == [one.record for one in pictures]
        assert same(studio.draw(systems(), [one.record for one in back]), pictures)


def test_a_large_picture_comes_back_as_well(tmp_path):
    pictures = drawn(studio.enlarge(imagined()))
    (tmp_path / "large.png").write_bytes(studio.png(pictures))
    assert same(studio.read(tmp_path / "large.png"), pictures)


def picture_file(path, mode="RGB", size=(64, 64), colour=None, **options):
    Image.new(mode, size, colour or 0).save(path, **options)
    return path


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
@pytest.mark.parametrize("size", [(1, 1), (64, 64), (300, 20)])
def test_a_picture_from_elsewhere_has_any_size_and_mode(mode, size, tmp_path):
    (found,) = studio.read(picture_file(tmp_path / "x.png", mode, size))
    assert found.record.done == "given" and found.pixels.shape == (3, 64, 64)
    assert same(studio.draw(systems(), [found.record]), [found])


def test_alpha_is_laid_on_white_and_sixteen_bits_are_not_cut_off(tmp_path):
    (clear,) = studio.read(picture_file(tmp_path / "clear.png", "RGBA", colour=(255, 0, 0, 0)))
    assert (clear.pixels == 255).all()
    Image.fromarray(np.full((64, 64), 32768, np.uint16)).save(tmp_path / "grey.png")
    (grey,) = studio.read(tmp_path / "grey.png")
    assert ((grey.pixels >= 127) & (grey.pixels <= 128)).all()


def text_chunk(text):
    info = PngInfo()
    info.add_itxt("minidiffusion", text)
    return info


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"pictures": []}', '{"pictures": [{"done": "vary"}], "size": 64, "sha256": ""}', "[" * 5000],
)
def test_a_text_that_is_no_record_makes_a_picture_from_elsewhere(text, tmp_path):
    (found,) = studio.read(picture_file(tmp_path / "x.png", pnginfo=text_chunk(text)))
    assert found.record.done == "given"


def test_a_picture_that_was_painted_over_is_one_from_elsewhere(tmp_path):
    data = studio.png(imagined())
    with Image.open(io.BytesIO(data)) as image:
        text = image.text["minidiffusion"]
        image.putpixel((5, 5), (1, 2, 3))
        image.save(tmp_path / "x.png", pnginfo=text_chunk(text))
    (found,) = studio.read(tmp_path / "x.png")
    assert found.record.done == "given"


def test_what_is_no_picture_is_an_error_with_its_path(tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "half.png").write_bytes(studio.png(imagined())[:500])
    for name in ("text.png", "half.png", "."):
        with pytest.raises(ValueError, match=f"{name} is not a picture"):
            studio.read(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        studio.read(tmp_path / "nowhere.png")


# what somebody types


@pytest.mark.parametrize(
    ("line", "prompt", "no", "seed"),
    [
        ("blue rose", "blue rose", "", None),
        ("blue rose --no red --seed 7", "blue rose", "red", 7),
        ("blue rose —seed 7 --no red --no thorns", "blue rose", "red, thorns", 7),
        ("  blue\n\trose\0 ", "blue rose", "", None),
        ("青い薔薇 --no أحمر", "青い薔薇", "أحمر", None),
        ("medium-dark skin - no--seed", "medium-dark skin - no--seed", "", None),
        ("", "", "", None),
    ],
)
def test_a_line_is_taken_apart(line, prompt, no, seed):
    found = studio.Typed.of(line)
    assert (found.prompt, found.no, found.seed) == (prompt, no, seed)


def test_a_wrong_seed_is_an_error_and_an_unknown_option_a_note():
    for seed in ("x", "-1", "1.5", "", "1" * 30):
        with pytest.raises(ValueError, match="--seed must be a whole number"):
            studio.Typed.of(f"rose --seed {seed}")
    assert studio.Typed.of("rose --ar 3:2").notes == ("--ar: left out, because only --no and --seed are known here",)


@pytest.mark.parametrize(
    ("prompt", "no", "wanted"),
    [
        ("rose", "", []),
        ("rose", "sunglases", ["--no sunglases: did you mean sunglasses?"]),
        ("", "", ["the prompt is empty, so the picture may show anything"]),
        ("薔薇", "", ["薔薇: an unknown word, left out", "no known word is left, so the picture may show anything"]),
        ("rose " * 2000, "", ["only the first 23 known words count, of 2000"]),
    ],
)
def test_the_writer_is_told_what_was_not_understood(prompt, no, wanted):
    assert typed.notes(systems()["dalle2"].clip.tokenizer, prompt, no) == wanted


# the line of jobs


def test_an_error_while_a_result_is_shown_stops_only_its_own(capsys):
    seen, done = [], threading.Event()
    jobs = Jobs(lambda labels: seen.append(labels))
    jobs.add("broken page", lambda: 1, lambda found: 1 / 0)
    jobs.add("next", lambda: 2, lambda found: done.set())
    assert done.wait(10)
    jobs.wait()
    assert seen[-1] == [] and "ZeroDivisionError" in capsys.readouterr().err


def test_jobs_are_done_in_order_and_an_error_stops_only_its_own():
    seen, first = [], threading.Event()
    jobs = Jobs(lambda labels: seen.append(labels))
    got = []
    jobs.add("a", lambda: first.wait(10), got.append)
    jobs.add("b", lambda: 1 / 0, got.append)
    jobs.add("c", lambda: "c", got.append)
    assert seen[2] == ["a", "b", "c"]
    first.set()
    jobs.wait()
    assert got[0] is True and isinstance(got[1], ZeroDivisionError) and got[2] == "c"
    assert seen[-1] == []


# the widget


@pytest.fixture
def widget():
    """A studio whose networks are awake."""
    module = pytest.importorskip("minidiffusion.systems.studio.widget", exc_type=ImportError)
    found = module.Studio(systems())
    found.jobs.wait()
    return found


def asked(widget, line):
    widget.prompt.value = line
    widget.go.click()
    widget.jobs.wait()


def test_a_prompt_fills_the_grid_and_the_history(widget):
    asked(widget, "blue rose --no red --seed 7")
    assert same(widget.grid, drawn(studio.imagine("blue rose", "red", 7)))
    assert all('alt="blue rose"' in cell.value for cell in widget.cells)
    assert len(widget.history.children) == 1 and "Ready" in widget.status.value


def test_every_button_does_its_work(widget):
    assert widget.ups[0].disabled and widget.pans[0].disabled and widget.blending.disabled
    asked(widget, "lion --seed 1")
    lions = widget.grid
    widget.ups[1].click()
    widget.jobs.wait()
    assert 'alt="lion, enlarged"' in widget.big.value and "download=" in widget.big.value
    widget.varies[2].click()
    widget.jobs.wait()
    assert [one.record.parents for one in widget.grid] == [(lions[2].record,)] * 4
    for to, button in zip(SIDES, widget.pans, strict=True):
        button.click()
        widget.jobs.wait()
        assert {(one.record.done, one.record.to, one.record.parents) for one in widget.grid} == {
            ("pan", to, (lions[1].record,))
        }
    asked(widget, "dog --seed 2")
    widget.picks[0].click()
    widget.picks[3].click()
    widget.blending.click()
    widget.jobs.wait()
    assert [one.record.done for one in widget.grid] == ["blend"] * 4
    assert widget.grid[0].record.title() == "a blend of dog and dog"
    assert len(widget.history.children) == 8


def test_history_draws_the_same_pixels_again(widget):
    asked(widget, "lion --seed 1")
    widget.varies[0].click()
    widget.jobs.wait()
    varied = widget.grid
    asked(widget, "dog")
    widget.history.children[1].children[1].click()
    widget.jobs.wait()
    assert same(widget.grid, varied) and "the same pixels" in widget.notes.value
    assert len(widget.history.children) == 3


def test_a_prompt_sent_while_another_is_drawing_waits_and_is_not_mixed(widget):
    gate = threading.Event()
    widget.jobs.add("Waiting", gate.wait, lambda _: None)
    for line in ("lion --seed 1", "dog --seed 2"):
        widget.prompt.value = line
        widget.go.click()
    assert "Waiting: Drawing lion; Drawing dog" in widget.status.value
    gate.set()
    widget.jobs.wait()
    titles = [entry.children[1].tooltip for entry in widget.history.children]
    assert titles == ["Draw again: dog", "Draw again: lion"]
    assert same(widget.grid, drawn(studio.imagine("dog", seed=2)))


@pytest.mark.parametrize(
    ("line", "note"),
    [
        ("", "the prompt is empty"),
        ("lion sunglases", "sunglases: did you mean sunglasses?"),
        ("<script>alert(1)</script> lion", "script"),
        ("lion --seed x", "--seed must be a whole number"),
        ("ライオン", "no known word is left"),
        ("lion " * 1999, "only the first 23 known words count"),
        ("lion " * 2001, "prompt must have at most 10,000 characters"),
    ],
)
def test_any_line_gives_pictures_or_a_visible_note(widget, line, note):
    asked(widget, line)
    assert note in widget.notes.value and "<script" not in widget.notes.value + widget.cells[0].value
    assert bool(widget.grid) == ("must" not in note)


def test_an_error_while_drawing_is_shown_and_the_next_prompt_is_drawn(widget, monkeypatch):
    working = widget.systems
    widget.systems = {}
    asked(widget, "lion")
    assert "That did not work" in widget.notes.value and not widget.grid
    widget.systems = working
    asked(widget, "lion")
    assert len(widget.grid) == 4


def test_two_studios_do_not_know_of_one_another(widget):
    other = type(widget)(systems())
    asked(other, "dog --seed 2")
    asked(widget, "lion --seed 1")
    assert other.grid[0].record == replace(widget.grid[0].record, prompt="dog", seed=2)
