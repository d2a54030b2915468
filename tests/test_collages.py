"""Pictures that no font has: another colour, and two on one sheet."""

import colorsys
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from minidiffusion.data.emoji import Captions, load_emoji

sys.path.append(str(Path(__file__).parents[1] / "figures" / "systems"))
from collages import COLOURS, LARGE, SMALL, collages, joined, paired, recoloured


def disc(colour, side=64):
    """A disc of one colour with a grey dot, on white."""
    y, x = np.mgrid[:side, :side] - side // 2
    picture = np.full((3, side, side), 255, np.uint8)
    picture[:, x**2 + y**2 < 400] = np.array(colour, np.uint8)[:, None]
    picture[:, x**2 + y**2 < 9] = 128
    return picture


def hsv(picture, row, column):
    return colorsys.rgb_to_hsv(*(picture[:, row, column] / 255))


@pytest.mark.parametrize("colour", [name for name, (hue, _, _) in COLOURS.items() if hue is not None])
def test_the_drawing_gets_the_hue_and_white_and_grey_stay(colour):
    before = disc((0, 200, 180))
    after = recoloured(before, colour)
    wanted, saturation, brightness = COLOURS[colour]
    hue, s, v = hsv(after, 32, 20)
    assert abs((hue - wanted + 0.5) % 1 - 0.5) < 0.02
    assert (s, v) == pytest.approx((min(saturation, 1), min(200 / 255 * brightness, 1)), abs=0.01)
    assert (after[:, 0, 0] == 255).all() and (after[:, 32, 32] == 128).all()


def test_black_is_dark_and_white_is_pale():
    black, white = (recoloured(disc((200, 40, 40)), name) for name in ("black", "white"))
    assert hsv(black, 32, 20)[2] < 0.3 and hsv(white, 32, 20)[1] < 0.1 and hsv(white, 32, 20)[2] == 1


@pytest.mark.parametrize(("picture", "colour"), [((230, 0, 0), "red"), ((40, 40, 40), "blue"), ((0, 90, 255), "blue")])
def test_a_picture_that_has_the_colour_or_no_colour_is_left_out(picture, colour):
    assert recoloured(disc(picture), colour) is None


def test_a_picture_without_one_main_colour_is_left_out():
    stripes = disc((255, 0, 0))
    for i, colour in enumerate([(255, 0, 0), (0, 200, 0), (0, 0, 255), (255, 0, 255)]):
        stripes[:, 16 * i : 16 * i + 16] = np.array(colour, np.uint8)[:, None, None]
    assert recoloured(stripes, "orange") is None


def test_two_pictures_stand_side_by_side():
    red, blue = (torch.from_numpy(disc(colour)) for colour in ((255, 0, 0), (0, 0, 255)))
    sheet = paired(red, blue)
    centre = 1 + LARGE // 2
    assert sheet[:, centre, centre - 8].tolist() == [255, 0, 0]
    centre = 63 - SMALL // 2
    assert sheet[:, centre, centre + 6].tolist() == [0, 0, 255]
    assert (sheet[:, :30, 50:] == 255).all() and (sheet[:, 50:, :30] == 255).all()
    assert (paired(red, torch.full_like(red, 255)) == paired(red, torch.full_like(red, 250))).all()


def test_collages_are_made_of_the_pictures_given_and_captions_say_so():
    pictures, captions = load_emoji("train")
    made, names = collages(pictures, captions, 40, seed=3)
    again, _ = collages(pictures, captions, 40, seed=3)
    assert made.shape == (40, 3, 64, 64) and made.dtype == torch.uint8 and (made == again).all()
    assert set(names.thing) <= set(captions.thing) and set(names.style) <= set(captions.style)
    assert all(tone == 0 for tone in names.tone) and not any(names.tags)
    for name in names[::2]:
        first, *rest = name.split()
        assert first in COLOURS and not set(rest) & set(COLOURS)
    assert all(" with " in name or " and " in name for name in names[1::2])


def test_captions_are_joined_with_all_their_fields():
    one, two = (
        Captions([name], style=[name], group=[name], tone=[tone], thing=[name], tags=[[name]])
        for name, tone in (("a", 1), ("b", 2))
    )
    both = joined(one, two)
    assert list(both) == ["a", "b"] and both.tone == [1, 2] and both.tags == [["a"], ["b"]]
    assert both.prompts() == ["a, a style", "b, b style"] and len(one) == 1
