"""Recipes: every name in one exists, its network fits its data, and a seed decides its first weights."""

import pytest
import torch

from minidiffusion import data, heads, nets
from minidiffusion.cli.sample import SHIPPED
from minidiffusion.objectives import WEIGHTINGS
from minidiffusion.training import checkpoint, schedule_from
from minidiffusion.training.recipes import RECIPES

SHAPES = {"fashion_mnist_6k": (1, 28, 28), "fashion_mnist": (1, 28, 28), "emoji32": (3, 32, 32), "moons": (2,)}


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_builds_a_denoiser_that_fits_its_data(name):
    recipe = RECIPES[name]
    assert recipe.name == name and recipe.data in data.names()
    assert recipe.network in nets.NETS and recipe.head in heads.HEADS and recipe.weighting in WEIGHTINGS

    denoiser = recipe.denoiser()
    assert denoiser.schedule == schedule_from({"name": recipe.schedule})
    x_t = torch.zeros(2, *SHAPES[recipe.data])
    classes = recipe.sizes.get("classes", 0)
    cond = torch.tensor([0, classes - 1]) if classes else None
    assert denoiser(x_t, 0.5, cond).shape == x_t.shape
    assert classes in (0, len(data.class_names(recipe.data)))


def test_a_seed_decides_the_first_weights_and_leaves_other_randomness_alone():
    recipe = RECIPES["moons"]
    before = torch.get_rng_state()
    first, again, other = (recipe.denoiser(seed).net.first.weight for seed in (5, 5, 6))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.skipif(not SHIPPED.exists(), reason="no checkpoint in this checkout")
def test_the_checkpoint_in_the_package_is_the_one_that_its_recipe_trains():
    header, recipe = checkpoint.read_header(SHIPPED), RECIPES["fashion_mnist"]
    assert header["network"] == recipe.network and header["head"] == recipe.head
    assert header["schedule"] == {"name": recipe.schedule}
    net = nets.NETS[header["network"]](**header["config"])  # a config may leave out what has a default
    assert net.config == recipe.denoiser().net.config
