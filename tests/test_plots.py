"""What the figures draw, read back from the axes."""

import io
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from PIL import Image

import minidiffusion as md
from minidiffusion.plots import COLOURS, MARKERS, clouds, curves, frame, panels, png, strips, tile


def pictures(count, channels=1, side=4):
    return torch.linspace(-1, 1, count * channels * side * side).view(count, channels, side, side)


def test_tile_lays_pictures_out_row_by_row():
    sheet = tile(torch.stack([torch.full((1, 2, 3), v) for v in (-1.0, 0.2, 1.0)]), columns=2, gap=1)
    assert sheet.shape == (5, 7, 3) and sheet.dtype == np.uint8
    assert (sheet[:2, :3] == 0).all() and (sheet[:2, 4:] == 153).all() and (sheet[3:, :3] == 255).all()
    assert (sheet[2] == 255).all() and (sheet[:, 3] == 255).all() and (sheet[3:, 4:] == 255).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_bytes_are_drawn_as_they_are(channels):
    pictures = torch.arange(256, dtype=torch.uint8).view(4, 1, 8, 8).expand(4, channels, 8, 8)
    assert (tile(pictures) == tile(md.datasets.to_float(pictures))).all()
    assert (tile(pictures[:1], gap=0)[..., 0] == pictures[0, 0].numpy()).all()


def test_tile_is_no_wider_than_its_pictures():
    assert tile(pictures(3), columns=8, gap=2).shape == (4, 3 * 4 + 2 * 2, 3)


def test_tile_keeps_colours():
    image = torch.tensor([1.0, -1.0, 0.2]).view(1, 3, 1, 1)
    assert tile(image)[0, 0].tolist() == [255, 0, 153]


def test_png_is_the_sheet_enlarged():
    sheet = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    opened = np.asarray(Image.open(io.BytesIO(png(sheet, zoom=4))))
    assert opened.shape == (8, 12, 3)
    assert (opened[::4, ::4] == sheet).all() and (opened[3::4, 3::4] == sheet).all()


def test_strips_draw_each_picture_where_it_belongs():
    first, second = pictures(3), pictures(2).flip(0)
    figure = strips([("x_t", first), ("guess", second)], titles=["t = 1", "t = 0.5", "t = 0"])
    axes = np.array(figure.axes).reshape(2, 3)
    for row, images in enumerate((first, second)):
        for i, image in enumerate(images):
            assert (axes[row, i].images[0].get_array() == tile(image[None])).all()
    assert not axes[1, 2].images
    assert [axis.get_title() for axis in axes[0]] == ["t = 1", "t = 0.5", "t = 0"]
    assert [axis.get_title() for axis in axes[1]] == ["", "", ""]
    assert [line[0].texts[0].get_text() for line in axes] == ["x_t", "guess"]


def test_strips_break_long_names():
    figure = strips([("elf, light skin tone, fluent-flat style", pictures(1))])
    assert figure.axes[0].texts[0].get_text() == "elf, light skin tone,\nfluent-flat style"


def test_strips_leave_room_for_the_names():
    figure = strips([("a name of some length", pictures(2))])
    figure.canvas.draw()
    name = figure.axes[0].texts[0].get_window_extent()
    assert name.x0 >= 0 and name.x1 <= figure.axes[0].get_window_extent().x0


def test_curves_draw_the_data_in_colours_and_markers_that_can_be_told_apart():
    x = torch.linspace(0, 1, 5)
    figure = curves({"up": (x, x**2), "down": ([0, 1], [1, 0])}, "time", "height", {"chance": 0.1}, y_scale="log")
    (axis,) = figure.axes
    up, down, level = axis.lines
    assert (up.get_xdata() == x.numpy()).all() and (up.get_ydata() == (x**2).numpy()).all()
    assert list(down.get_ydata()) == [1, 0]
    assert [to_hex(line.get_color()).upper() for line in (up, down)] == list(COLOURS[:2])
    assert [line.get_marker() for line in (up, down)] == list(MARKERS[:2])
    assert list(level.get_ydata()) == [0.1, 0.1] and axis.texts[0].get_text() == "chance"
    assert (axis.get_xlabel(), axis.get_ylabel(), axis.get_yscale()) == ("time", "height", "log")
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["up", "down"]


def test_curves_may_stand_over_names():
    (axis,) = curves({"cost": (["a", "b", "c"], [1.0, 2.0, 3.0])}, "name", "cost", y_scale="log").axes
    assert [label.get_text() for label in axis.get_xticklabels()] == ["a", "b", "c"]


def test_panels_draw_each_set_under_its_title_and_one_legend():
    lines = {"up": ([1.0, 10.0], [1.0, 2.0]), "down": ([1.0, 10.0], [2.0, 1.0])}
    figure = panels({"here": lines, "there": {name: (x, y[::-1]) for name, (x, y) in lines.items()}}, "n", "e", "log")
    left, right = figure.axes
    assert [axis.get_title() for axis in figure.axes] == ["here", "there"]
    assert list(left.lines[0].get_ydata()) == [1, 2] and list(right.lines[0].get_ydata()) == [2, 1]
    assert (left.get_xscale(), left.get_yscale(), right.get_xscale()) == ("log", "linear", "log")
    assert (figure.get_supxlabel(), left.get_ylabel(), right.get_ylabel()) == ("n", "e", "")
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["up", "down"]


@pytest.mark.parametrize("count, places", [(3, [0, 1, 2]), (4, [0, 1, 0, 1]), (5, [0, 1, 0, 1, 0])])
def test_more_than_three_panels_stand_in_two_columns(count, places):
    figure = panels({str(i): {"line": ([0.0, 1.0], [0.0, 1.0])} for i in range(count)}, "n", "e")
    shown = [axis for axis in figure.axes if axis.axison]
    assert [axis.get_subplotspec().colspan.start for axis in shown] == places
    assert [axis.get_ylabel() for axis in shown] == ["e" if place == 0 else "" for place in places]


def test_clouds_share_their_axes():
    a, b = torch.randn(2, 10), 5 * torch.randn(2, 20)
    figure = clouds({"a": (a[0], a[1]), "b": (b[0], b[1])}, "x0", "x1")
    left, right = figure.axes
    np.testing.assert_allclose(left.collections[0].get_offsets(), a.T)
    np.testing.assert_allclose(right.collections[0].get_offsets(), b.T)
    assert left.get_xlim() == right.get_xlim() and left.get_ylim() == right.get_ylim()
    assert [axis.get_title() for axis in figure.axes] == ["a", "b"]
    assert (left.get_xlabel(), left.get_ylabel(), right.get_ylabel()) == ("x0", "x1", "")
    assert to_hex(left.collections[0].get_facecolor()[0]).upper() == COLOURS[0]


@pytest.mark.parametrize("draw", [curves, clouds, lambda lines, x, y: panels({"one": lines}, x, y)])
def test_no_two_of_many_look_alike(draw):
    with pytest.raises(ValueError, match=f"at most {len(COLOURS)} lines or clouds, got {len(COLOURS) + 1}"):
        draw({str(i): ([0.0], [0.0]) for i in range(len(COLOURS) + 1)}, "x", "y")


def test_colours_and_markers_are_all_different():
    assert len(set(COLOURS)) == len(COLOURS) == len(set(MARKERS)) == len(MARKERS)


def test_matplotlib_waits_until_it_is_asked_for():
    """It takes longer to import than all of ours."""
    lines = "import sys, minidiffusion as md\nfor _ in 'ab':\n print('matplotlib' in sys.modules)\n md.plots"
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
    with pytest.raises(AttributeError, match="no attribute 'plot'"):
        getattr(md, "plot")  # noqa: B009


def test_a_frame_is_the_figure_as_a_picture():
    figure = curves({"a": ([0.0, 1.0], [0.0, 1.0])}, "x", "y")
    assert Image.open(io.BytesIO(frame(figure))).size == (540, 306)  # 6 x 3.4 inches, 90 points an inch


def test_seeds_are_drawn_with_their_interval_and_the_range_that_would_hold():
    figure = md.plots.seeds([1.0, 2.0, 3.0], (0.5, 3.5), (5.0, math.inf), "effect", "a claim")
    (axis,) = figure.axes
    bar, dots = axis.lines
    assert list(bar.get_xdata()) == [0.5, 3.5] and list(dots.get_xdata()) == [1.0, 2.0, 3.0]
    (shade,) = axis.patches
    left, right = axis.get_xlim()
    assert left < 0.5 and right > 5.0  # all of it is in sight, and the range is open to the right
    assert shade.get_x() == 5.0 and shade.get_x() + shade.get_width() == pytest.approx(right)
    assert axis.get_title() == "a claim" and axis.get_xlabel() == "effect"
