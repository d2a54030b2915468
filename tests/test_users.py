"""What users bring, drawn by hypothesis: data of any shape, labels of any type, folders of any pictures."""

import copy
import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import minidiffusion as md

FEW = settings(max_examples=15)
SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple)
WHOLE = st.sampled_from([torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16])
FLOATS = st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64])


class Own(torch.nn.Module):
    """For items of any shape: it scales them, and adds a number for each label."""

    def __init__(self, classes, kind):
        super().__init__()
        self.weight, self.label = torch.nn.Parameter(torch.ones(())), torch.nn.Embedding(classes, 1)
        self.to(kind)

    def forward(self, x, t, cond=None):
        shift = 0 if cond is None else self.label(cond).view(-1, *[1] * (x.ndim - 1))
        return self.weight * x + shift


@FEW
@given(shape=SHAPES, kind=FLOATS, labels=st.lists(st.integers(0, 6), min_size=1, max_size=9), whole=WHOLE, of=FLOATS)
def test_data_of_any_shape_with_labels_of_any_type_trains_and_is_drawn(shape, kind, labels, whole, of):
    denoiser = md.Denoiser(Own(7, kind), md.schedule.cosine(), md.heads.V)
    x0, cond = torch.rand(len(labels), *shape).to(of), torch.tensor(labels).to(whole)
    (step,) = md.fit(denoiser, (x0, cond), 1, batch_size=3)
    assert step.ema.shape == shape
    x_1 = md.prior(x0.shape, denoiser.schedule).to(of)
    drawn = md.sample(step.ema, x_1, steps=2, cond=cond)
    assert drawn.shape == x0.shape and drawn.dtype == of
    for again in (pickle.loads(pickle.dumps(step.ema)), copy.deepcopy(step.ema)):
        assert torch.equal(md.sample(again, x_1, steps=2, cond=cond), drawn)


@FEW
@given(labels=st.lists(st.integers(-99, 99), min_size=1, max_size=20), classes=st.integers(1, 9))
def test_a_label_out_of_range_is_always_named_and_no_other(labels, classes):
    cond, x0 = torch.tensor(labels), torch.zeros(len(labels), 2)
    for net in (Own(classes, torch.float32), md.nets.MLP(width=16, depth=1, classes=classes)):
        denoiser = md.Denoiser(net, md.schedule.cosine(), md.heads.V)
        if all(0 <= label < classes for label in labels):
            assert next(md.fit(denoiser, (x0, cond), 1, batch_size=2)).number == 1
        else:
            with pytest.raises(ValueError, match="cond") as error:
                md.fit(denoiser, (x0, cond), 1)
            wrong = [label for label in labels if not 0 <= label < classes]
            assert any(str(label) in str(error.value) for label in wrong) and len(str(error.value)) < 300


@FEW
@given(
    pictures=st.lists(
        st.tuples(
            st.sampled_from(["", "cats", "dogs/deep", "ünï"]),
            st.sampled_from(["RGB", "RGBA", "L", "LA", "P", "1"]),
            st.integers(1, 60),
            st.integers(1, 60),
            st.sampled_from(["png", "PNG", "gif", "webp", "broken"]),
        ),
        min_size=1,
        max_size=6,
    ),
    size=st.integers(4, 40),
    channels=st.sampled_from([1, 3]),
)
@pytest.mark.filterwarnings("ignore:left out")
def test_a_folder_of_any_pictures_is_read_or_refused_in_one_line(pictures, size, channels):
    with tempfile.TemporaryDirectory() as name:
        for i, (folder, mode, width, height, end) in enumerate(pictures):
            path = Path(name, folder, f"{i}.{'png' if end == 'broken' else end}")
            path.parent.mkdir(parents=True, exist_ok=True)
            if end == "broken":
                path.write_bytes(b"no picture")
            else:
                grey = np.random.default_rng(i).integers(0, 256, (height, width, 3), np.uint8)
                Image.fromarray(grey).convert("RGB" if end == "webp" else mode).save(path)
        good = [folder for folder, *_, end in pictures if end != "broken"]
        if not good:
            with pytest.raises(ValueError, match="none could be read"):
                md.datasets.folder(name, size, channels)
            return
        images, labels, classes, captions = md.datasets.folder(name, size, channels)
        assert images.shape == (len(good), channels, size, size) and len(captions) == len(good)
        tops = sorted(folder.split("/")[0] for folder in good)
        assert list(classes) == (sorted(set(tops)) if any(tops) else [])
        assert [classes[label] if classes else "" for label in labels] == tops


def test_workers_that_are_spawned_get_a_denoiser():
    denoiser = md.Denoiser(md.nets.MLP(width=16, depth=1), md.schedule.flow(), md.heads.FLOW)
    noisy = Noisy(denoiser)
    loader = torch.utils.data.DataLoader(noisy, 2, num_workers=1, multiprocessing_context="spawn")
    assert torch.allclose(torch.cat(list(loader)), torch.stack([noisy[i] for i in range(4)]), atol=1e-6)


class Noisy(torch.utils.data.Dataset):
    def __init__(self, denoiser):
        self.denoiser = denoiser

    def __len__(self):
        return 4

    def __getitem__(self, i):
        with torch.no_grad():
            return self.denoiser(torch.full((1, 2), float(i)), 0.5)[0]


def test_save_says_how_to_keep_a_network_of_ones_own(tmp_path, unchecked):
    with pytest.raises(ValueError, match=r"derived from md.nets.Net, .* got Linear; .*torch.save"):
        md.save(md.Denoiser(torch.nn.Linear(2, 2), md.schedule.cosine(), md.heads.V), tmp_path / "x.safetensors")


@pytest.mark.parametrize("make", [torch.jit.script, lambda net: torch.nn.LazyLinear(2), "graph"])
@pytest.mark.filterwarnings("ignore")
def test_a_network_that_cannot_be_copied_is_named(unchecked, make):
    net = torch.nn.Linear(2, 2)
    if make == "graph":
        net.kept = net.weight * 2
    else:
        net = make(net)
    denoiser = md.Denoiser(net, md.schedule.cosine(), md.heads.V)
    with pytest.raises(ValueError, match=r"model must be a module that copy.deepcopy can copy, and it cannot"):
        next(md.fit(denoiser, torch.zeros(4, 2), 1))
