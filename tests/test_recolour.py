"""Things in colours that no font has."""

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.colors import hsv_to_rgb, rgb_to_hsv

import minidiffusion as md
from minidiffusion.data.emoji import Captions
from minidiffusion.systems.recipes import RECOLOURED
from minidiffusion.systems.recolour import COLOURS, recoloured, with_recoloured


def square(hue, saturation=0.9, value=0.9):
    """A square of one colour on white, 3x64x64."""
    picture = np.ones((64, 64, 3))
    picture[16:48, 16:48] = hsv_to_rgb((hue, saturation, value))
    return (picture * 255).round().astype(np.uint8).transpose(2, 0, 1)


def captions_of(names, groups, tones):
    fields = {
        "style": ["noto"] * len(names),
        "group": groups,
        "tone": tones,
        "thing": names,
        "tags": [["word"]] * len(names),
    }
    return Captions(names, **fields)


@pytest.mark.parametrize("colour", [name for name, (hue, _, _) in COLOURS.items() if hue is not None])
def test_the_square_gets_the_hue_that_was_asked_for_and_the_paper_stays_white(colour):
    changed = recoloured(square(0.5), colour)
    hue, _, _ = rgb_to_hsv(changed.transpose(1, 2, 0) / 255.0)[30, 30]
    # the most common hue is that of a bin 1/36 wide, and 0.4 of the distance to it is kept
    assert abs((hue - COLOURS[colour][0] + 0.5) % 1 - 0.5) < 0.4 / 72 + 0.01
    assert (changed[:, :16] == 255).all() and changed.dtype == np.uint8


def test_black_is_dark_and_white_is_pale():
    dark, pale = (recoloured(square(0.5), colour)[:, 30, 30] for colour in ("black", "white"))
    assert dark.max() < 80 < 220 < pale.min()


def test_what_has_no_hue_or_has_the_colour_already_or_is_of_many_hues_is_left_alone():
    assert recoloured(square(0.5, saturation=0.0), "red") is None
    assert recoloured(square(0.6), "blue") is None
    many = square(0.5)
    for i, hue in enumerate((0.0, 0.25, 0.75)):
        many[:, 16 + 12 * i : 26 + 12 * i, 16:48] = square(hue)[:, 20:30, 16:48]
    assert recoloured(many, "pink") is None


def test_people_flags_and_what_a_font_has_already_are_not_drawn_again():
    pictures = torch.from_numpy(np.stack([square(0.5), square(0.3), square(0.1), square(0.15)]))
    names = ["rose", "farmer", "flag", "blue rose"]
    captions = captions_of(names, ["animals-nature", "people-body", "flags", "animals-nature"], [0, 0, 0, 0])
    more, found = with_recoloured(pictures, captions, 30)
    assert torch.equal(more[:4], pictures) and list(found[:4]) == names and len(more) == len(found) == 34
    made = found[4:]
    assert {name.split()[-1] for name in made} == {"rose"} and "blue rose" not in made
    assert all(sum(word in COLOURS for word in name.split()) == 1 for name in made)
    for field in ("style", "group", "tone", "thing", "tags"):
        assert len(getattr(found, field)) == 34
    assert found.tags[4:] == [[]] * 30 and set(found.thing[4:]) <= {"rose", "blue rose"}
    again, _ = with_recoloured(pictures, captions, 30)
    assert torch.equal(more, again)


def test_pictures_without_colour_are_refused():
    grey = torch.from_numpy(np.stack([square(0.5, saturation=0.0)]))
    with pytest.raises(ValueError, match="only 0 could be drawn in another colour, wanted 2"):
        with_recoloured(grey, captions_of(["moon"], ["animals-nature"], [0]), 2)


def test_no_free_prompt_becomes_a_caption():
    free = (Path(__file__).parents[1] / "figures/systems/free_prompts.txt").read_text().split("\n")
    _, captions = with_recoloured(*md.datasets.load("emoji64", "train"), RECOLOURED)
    assert not {prompt.strip() for prompt in free if prompt} & set(captions[12377:])
    assert len(captions[12377:]) == RECOLOURED
