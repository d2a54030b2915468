"""The patch oracles against loops over every patch, the data set oracle, and the symmetry they are named for."""

import math

import pytest
import torch

import minidiffusion as md
from minidiffusion.oracle import local as module
from minidiffusion.oracle.items import logits

COSINE = md.schedule.cosine()


def pictures(count, channels=1, height=5, width=5, seed=0):
    return torch.randn(count, channels, height, width, generator=torch.Generator().manual_seed(seed)).double()


def noisy(x0, t, schedule, seed=1):
    eps = torch.randn(x0.shape, generator=torch.Generator().manual_seed(seed)).double()
    return md.diffuse(x0, t, eps, schedule)


def by_hand(items, x_t, t, schedule, size, equivariant):
    """Pixel by pixel, candidate by candidate: zeros around the pictures, and a mask that says where they are."""
    reach, mask = size // 2, torch.ones(items.shape[2:])
    items_in, x_in, mask = (torch.nn.functional.pad(a, (reach,) * 4) for a in (items, x_t, mask))
    height, width = items.shape[2:]
    places = [(i, j) for i in range(height) for j in range(width)]
    guess = torch.empty_like(x_t)
    for b in range(len(x_t)):
        alpha, sigma = schedule.alpha(t[b]), schedule.sigma(t[b])
        for i, j in places:
            logits, middles = [], []
            for k, m in places if equivariant else [(i, j)]:
                # a convolution sees the border: only places at which it looks the same
                if not torch.equal(mask[i : i + size, j : j + size], mask[k : k + size, m : m + size]):
                    continue
                for n in range(len(items)):
                    away = x_in[b, :, i : i + size, j : j + size] - alpha * items_in[n, :, k : k + size, m : m + size]
                    logits.append(-(away**2).sum() / (2 * sigma**2))
                    middles.append(items[n, :, k, m])
            guess[b, :, i, j] = torch.stack(logits).softmax(0) @ torch.stack(middles)
    return guess


@pytest.mark.parametrize("equivariant", [False, True])
@pytest.mark.parametrize("size", [1, 3, 5, 7])
@pytest.mark.parametrize(("channels", "height", "width"), [(1, 5, 5), (2, 4, 6)])
def test_the_guess_is_that_of_a_loop_over_every_patch(equivariant, size, channels, height, width):
    items = pictures(3, channels, height, width)
    t = torch.tensor([0.15, 0.7]).double()
    x_t = noisy(items[:2], t, COSINE)
    guess = md.oracle.patches(items, COSINE, size, equivariant)(x_t, t)
    torch.testing.assert_close(guess, by_hand(items, x_t, t, COSINE, size, equivariant), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("equivariant", [False, True])
def test_a_patch_that_covers_everything_is_the_data_set_oracle(schedule, equivariant):
    # from any pixel of 4 x 5, a patch of 9 x 9 reaches all others; and each place has a border of its own
    items = pictures(6, 2, 4, 5)
    t = torch.tensor([0.1, 0.5, 1.0]).double()
    x_t = noisy(items[:3], t, schedule)
    whole = md.oracle.dataset(items, schedule)(x_t, t)
    guess = md.oracle.patches(items, schedule, 9, equivariant)(x_t, t)
    torch.testing.assert_close(guess, whole, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("equivariant", [False, True])
def test_one_pixel_patches_have_a_closed_form(schedule, equivariant):
    # black or white: E[x0 | x_t] = tanh(alpha x_t / sigma^2 + log(white / black) / 2), white and black counted
    # at the pixel's own place, or over all places
    items = torch.where(pictures(7, height=3, width=4) > 0.3, 1.0, -1.0).double()
    items[0], items[1] = 1, -1  # each place has both
    white = (items > 0).double()
    white = white.mean() if equivariant else white.mean(0)
    alpha, sigma = schedule.alpha(0.6), schedule.sigma(0.6)
    x_t = noisy(items[:3], 0.6, schedule)
    closed_form = torch.tanh(alpha * x_t / sigma**2 + 0.5 * (white / (1 - white)).log())
    guess = md.oracle.patches(items, schedule, 1, equivariant)(x_t, 0.6)
    torch.testing.assert_close(guess, closed_form, rtol=1e-10, atol=1e-10)


def test_away_from_the_border_the_guess_moves_with_the_picture():
    items, t = pictures(4, height=7, width=8), 0.5
    x_t = noisy(items[:2], t, COSINE)
    moved = torch.roll(x_t, (1, 2), (2, 3))
    inside, back = (..., slice(1, 5), slice(1, 5)), (..., slice(2, 6), slice(3, 7))  # seen by 3 x 3, without the border
    for equivariant in (True, False):
        oracle = md.oracle.patches(items, COSINE, 3, equivariant)
        same = torch.allclose(oracle(x_t, t)[inside], oracle(moved, t)[back], rtol=1e-10, atol=1e-10)
        assert same == equivariant


def test_what_is_out_of_reach_does_not_matter():
    items, t = pictures(4, height=6, width=6), 0.5
    x_t = noisy(items[:1], t, COSINE)
    changed = x_t.clone()
    changed[..., 0, 0] += 1
    for equivariant in (True, False):
        oracle = md.oracle.patches(items, COSINE, 3, equivariant)
        moved = (oracle(x_t, t) != oracle(changed, t))[0, 0]
        assert moved[:2, :2].all() and moved.sum() == 4


def test_no_other_function_of_the_patch_is_better():
    # E[x0 | patch] has the least square error of all functions of the patch; so its error is orthogonal to them, here
    # to the patch's pixels. Exact in t's limit of many draws: the mean of 4,000 products, five standard errors.
    items, t, count = pictures(3, height=4, width=4), 0.6, 4000
    generator = torch.Generator().manual_seed(0)
    x0 = items[torch.randint(3, (count,), generator=generator)]
    x_t = md.diffuse(x0, t, torch.randn(x0.shape, generator=generator).double(), COSINE)
    error = md.oracle.patches(items, COSINE, 3)(x_t, t) - x0
    local = md.oracle.patches(items, COSINE, 3, equivariant=False)(x_t, t) - x0
    inner = (..., slice(1, 3), slice(1, 3))
    for di in (-1, 0, 1):
        for dj in (-1, 0, 1):
            pixel = torch.roll(x_t, (-di, -dj), (2, 3))[inner]
            product = (error[inner] * pixel).mean((1, 2, 3))  # over the places that share one function
            assert abs(product.mean()) < 5 * product.std() / math.sqrt(count)
            each = (local[inner] * pixel).flatten(1)  # a function of its own for each place
            assert (abs(each.mean(0)) < 5 * each.std(0) / math.sqrt(count)).all()
    # what it costs to see less: all, its own place, any place
    whole = md.oracle.dataset(items, COSINE)(x_t, t) - x0
    assert whole.square().mean() < local.square().mean() < error.square().mean()


@pytest.mark.parametrize("equivariant", [False, True])
def test_many_pictures_pass_in_pieces(equivariant, monkeypatch):
    items, t = pictures(1500, height=4, width=4), torch.linspace(0.2, 0.9, 80).double()
    x_t = noisy(items[:80], t, COSINE)
    sizes = []
    monkeypatch.setattr(module, "logits", lambda *args: sizes.append((len(args[0]), len(args[1]))) or logits(*args))
    guess = md.oracle.patches(items, COSINE, 3, equivariant)(x_t, t)
    assert max(x for x, _ in sizes) <= 256 and max(y for _, y in sizes) == 1024
    # the four inner pixels at once, from all patches at once
    patches, candidates = (torch.nn.functional.unfold(a, 3).mT for a in (x_t, items))  # (count, 4 places, 9)
    alpha, sigma = (curve(t)[:, None, None] for curve in (COSINE.alpha, COSINE.sigma))
    if equivariant:
        patches, candidates = patches.flatten(0, 1)[None], candidates.flatten(0, 1)[None]
        alpha, sigma = (a.expand(80, 4, 1).reshape(1, 320, 1) for a in (alpha, sigma))
    else:
        patches, candidates = patches.transpose(0, 1), candidates.transpose(0, 1)  # place by place
        alpha, sigma = alpha.transpose(0, 1), sigma.transpose(0, 1)
    weight = (-0.5 * (torch.cdist(patches / alpha, candidates) * alpha / sigma) ** 2).softmax(2)
    mean = (weight @ candidates[..., 4:5])[..., 0]
    inner = guess[:, 0, 1:3, 1:3].flatten(1)
    torch.testing.assert_close(inner, mean.view(80, 4) if equivariant else mean.T, rtol=1e-8, atol=1e-8)


def test_the_score_is_tweedies_but_the_gradient_of_nothing():
    items, t = pictures(3, height=4, width=4), 0.6
    x_t = noisy(items[:1], t, COSINE)

    def twist(oracle):
        # a gradient has a symmetric Jacobian
        jacobian = torch.autograd.functional.jacobian(lambda x: oracle.score(x, t), x_t).view(16, 16)
        return ((jacobian - jacobian.T).norm() / jacobian.norm()).item()

    whole, all_seen = md.oracle.dataset(items, COSINE), md.oracle.patches(items, COSINE, 7)
    torch.testing.assert_close(all_seen.score(x_t, t), whole.score(x_t, t), rtol=1e-10, atol=1e-10)
    assert twist(whole) < 1e-12 and twist(all_seen) < 1e-12
    for equivariant in (False, True):
        oracle = md.oracle.patches(items, COSINE, 3, equivariant)
        assert twist(oracle) > 1e-2
        assert not hasattr(oracle, "log_density") and not hasattr(oracle, "sample")


def test_without_noise_the_guess_is_the_picture():
    items = pictures(4)
    oracle = md.oracle.patches(items, COSINE, 3)
    together = oracle(items[:3], torch.tensor([0.0, 0.5, 0.0]).double())
    torch.testing.assert_close(together[::2], items[:3:2])
    torch.testing.assert_close(together[1:2], oracle(items[1:2], 0.5))
    with pytest.raises(ValueError, match="t must not be where sigma = 0"):
        oracle.score(items, 0.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("batch", [0, 2])
def test_the_guess_has_the_dtype_and_shape_of_x_t(dtype, batch):
    oracle = md.oracle.patches(pictures(3).float(), COSINE, 3)
    guess = oracle(torch.zeros(batch, 1, 5, 5, dtype=dtype), 0.5)
    assert guess.dtype == dtype and guess.shape == (batch, 1, 5, 5) and guess.isfinite().all()


def test_a_patch_oracle_is_a_denoiser_that_draws_what_was_not_there():
    # two pictures, black above white and white above black: rows are right one by one, and so are new wholes
    items = torch.ones(2, 1, 2, 6).double()
    items[0, :, 0], items[1, :, 1] = -1, -1
    x_1 = md.prior((64, 1, 2, 6), COSINE, torch.Generator().manual_seed(0)).double()
    copies, mosaics = (
        md.sample(oracle, x_1, steps=30).sign()
        for oracle in (md.oracle.dataset(items, COSINE), md.oracle.patches(items, COSINE, 3))
    )
    seen = [(drawn[:, None] == items).flatten(2).all(2).any(1) for drawn in (copies, mosaics)]
    assert seen[0].all() and not seen[1].all()
    # and yet each column is black and white, as in the data
    assert (mosaics.sum(2) == 0).double().mean() > 0.95


def test_bad_arguments_are_named(unchecked):
    items = pictures(2).float()
    for bad in (items[0], items.long(), items[:0], [[0.0]]):
        with pytest.raises(TypeError, match="x0 must be floating point pictures"):
            md.oracle.patches(bad, COSINE, 3)
    for bad in (0, 2, -1, 3.0, True, "3"):
        with pytest.raises(ValueError, match="size must be odd"):
            md.oracle.patches(items, COSINE, bad)
    oracle = md.oracle.patches(items, COSINE, 3)
    with pytest.raises(ValueError, match="x_t must be"):
        oracle(torch.zeros(2, 1, 5, 6), 0.5)
    with pytest.raises(ValueError, match="cond must be None"):
        oracle(items, 0.5, torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="t must be one number, or one for each of 2 items"):
        oracle(items, torch.ones(3))
