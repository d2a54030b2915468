"""The rivals: losses against closed forms, trainings against answers that we know."""

import math

import pytest
import torch
from torch import nn

import minidiffusion as md
from minidiffusion import rivals
from minidiffusion.rivals import GAN, VAE, Body, codes


class Linear(nn.Module):
    """x -> x W^T + b, with given weights."""

    def __init__(self, weight, bias=None):
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), bias

    def forward(self, x):
        out = x @ self.weight.T
        return out if self.bias is None else out + self.bias


def exact_linear_vae():
    """For data x = W z + s n, the posterior of z is a Gaussian with a mean linear in x, so an encoder can be exact."""
    s = 0.3
    W = torch.tensor([[1.0, 0.2], [-0.5, 1.5], [0.3, 0.3]])
    precision = torch.eye(2) + W.T @ W / s**2
    posterior = torch.linalg.inv(precision)
    # our encoders have diagonal covariances, so rotate z onto the principal axes of the posterior
    _, axes = torch.linalg.eigh(posterior)
    W = W @ axes
    variance = 1 / (1 + (W.T @ W).diagonal() / s**2)
    to_mean = variance[:, None] * W.T / s**2
    encoder = Linear(torch.cat([to_mean, torch.zeros(2, 3)]), torch.cat([torch.zeros(2), 0.5 * variance.log()]))
    return VAE(encoder, Linear(W), std=s), W, s


def sigma_points(latent, batch):
    """Noise with exactly mean 0 and covariance I, so that the average of a quadratic is exactly its expectation."""
    points = math.sqrt(latent) * torch.eye(latent)
    return torch.cat([points, -points]).repeat_interleave(batch, 0), 2 * latent


def test_the_bound_is_the_likelihood_if_the_encoder_is_exact():
    vae, W, s = exact_linear_vae()
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    eps, copies = sigma_points(2, len(x))
    bound = vae.bound(x.repeat(copies, 1), eps)
    nats = (bound.reconstruction + bound.kl).view(copies, -1).mean(0)
    exact = torch.distributions.MultivariateNormal(torch.zeros(3), W @ W.T + s**2 * torch.eye(3))
    assert torch.allclose(nats, -exact.log_prob(x), atol=1e-4)


def test_the_kl_is_that_of_two_gaussians():
    vae, *_ = exact_linear_vae()
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    mean, std = vae.encode(x)
    kl = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, std), torch.distributions.Normal(torch.zeros(2), torch.ones(2))
    )
    assert torch.allclose(vae.bound(x, torch.zeros(4, 2)).kl, kl.sum(1), atol=1e-5)


def test_a_trained_vae_finds_the_likelihood_of_linear_data():
    _, W, s = exact_linear_vae()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4000, 2, generator=generator) @ W.T + s * torch.randn(4000, 3, generator=generator)
    torch.manual_seed(0)
    vae = VAE(nn.Linear(3, 4), nn.Linear(2, 3))
    *_, step = rivals.vae.fit(vae, x, 500, batch_size=256, learning_rate=2e-2, ema_decay=0.99)
    exact = torch.distributions.MultivariateNormal(torch.zeros(3), W @ W.T + s**2 * torch.eye(3))
    eps, copies = sigma_points(2, len(x))
    bound = step.ema.bound(x.repeat(copies, 1), eps)
    assert (bound.reconstruction + bound.kl).mean() == pytest.approx(-exact.log_prob(x).mean().item(), abs=0.05)
    assert step.ema.log_std.exp().item() == pytest.approx(s, rel=0.15)


def test_a_fixed_std_does_not_change_and_must_be_above_0():
    vae = VAE(Body((3,), (4,), 8, 1), Body((2,), (3,), 8, 1), std=0.5)
    *_, step = rivals.vae.fit(vae, torch.randn(32, 3), 3)
    assert step.ema.log_std.exp().item() == pytest.approx(0.5)
    with pytest.raises(ValueError, match="std must be a finite number above 0"):
        VAE(nn.Identity(), nn.Identity(), std=0.0)


def test_a_larger_beta_gives_a_smaller_kl(unchecked):
    x = torch.randn(512, 3, generator=torch.Generator().manual_seed(0))
    kl = []
    for beta in (0.1, 1.0, 100.0):
        torch.manual_seed(0)
        vae = VAE(Body((3,), (4,), 32, 1), Body((2,), (3,), 32, 1), std=0.3)
        *_, step = rivals.vae.fit(vae, x, 300, beta=beta, ema_decay=0.9)
        kl.append(step.kl)
    assert kl[0] > kl[1] > kl[2] and kl[2] < 0.05


def test_log_q_is_the_mixture_of_all_posteriors():
    generator = torch.Generator().manual_seed(0)
    mean, z = torch.randn(7, 3, generator=generator), torch.randn(300, 3, generator=generator)
    std = torch.rand(7, 3, generator=generator) + 0.1
    parts = torch.distributions.Independent(torch.distributions.Normal(mean, std), 1)
    exact = torch.distributions.MixtureSameFamily(torch.distributions.Categorical(torch.ones(7)), parts)
    assert torch.allclose(codes.log_q(z, mean, std), exact.log_prob(z), atol=1e-3)


def test_samples_of_the_aggregate_have_its_mean_and_variance():
    generator = torch.Generator().manual_seed(0)
    mean, std = torch.randn(5, 2, generator=generator), torch.rand(5, 2, generator=generator) + 0.2
    z = codes.aggregate(mean, std, 100_000, generator)
    assert torch.allclose(z.mean(0), mean.mean(0), atol=0.02)
    # the variance of a mixture: within its parts, plus between them
    assert torch.allclose(z.var(0), std.square().mean(0) + mean.var(0, correction=0), rtol=0.02)


def test_one_gaussian_has_the_mean_and_covariance_of_the_codes():
    z = torch.randn(500, 3, generator=torch.Generator().manual_seed(0)) @ torch.randn(3, 3) + 1
    fitted = codes.one_gaussian(z, md.schedule.cosine())
    drawn = fitted.sample(100_000, torch.Generator().manual_seed(1))
    assert torch.allclose(drawn.mean(0), z.mean(0), atol=0.05)
    assert torch.allclose(torch.cov(drawn.T), torch.cov(z.T), atol=0.02 * torch.cov(z.T).trace().item())


def test_several_gaussians_find_clusters_and_their_shares():
    generator = torch.Generator().manual_seed(0)
    z = 0.1 * torch.randn(900, 2, generator=generator)
    z[300:] += torch.tensor([4.0, 0.0])
    fitted = codes.several_gaussians(z, md.schedule.cosine(), components=2)
    order = fitted.means[:, 0].argsort()
    assert torch.allclose(fitted.means[order], torch.tensor([[0.0, 0.0], [4.0, 0.0]]).double(), atol=0.03)
    assert torch.allclose(fitted.weights[order], torch.tensor([1 / 3, 2 / 3]).double(), atol=1e-6)
    drawn = fitted.sample(20_000, generator)
    for cluster, points in ((drawn[:, 0] < 2, z[:300]), (drawn[:, 0] >= 2, z[300:])):
        assert torch.allclose(torch.cov(drawn[cluster].T), torch.cov(points.T), atol=5e-4)
    with pytest.raises(ValueError, match="components must be a whole number from 1 to 5, got 6"):
        codes.several_gaussians(z[:10], md.schedule.cosine(), components=6)


@pytest.mark.parametrize("loss", rivals.gan.LOSSES)
def test_a_discriminator_that_knows_nothing_has_a_loss_of_log_2_for_each_answer(loss):
    nothing = torch.zeros(8, 1)
    answers = 2 if loss == "non_saturating" else 1  # relativistic: one answer for a pair of images
    assert rivals.gan.discriminator_loss(nothing, nothing, loss).item() == pytest.approx(answers * math.log(2))
    assert rivals.gan.generator_loss(nothing, nothing, loss).item() == pytest.approx(math.log(2))
    good = rivals.gan.discriminator_loss(nothing + 2, nothing - 2, loss)
    assert good < rivals.gan.discriminator_loss(nothing, nothing, loss)
    assert rivals.gan.generator_loss(nothing + 2, nothing - 2, loss) > math.log(2)


def test_only_the_relativistic_loss_depends_on_differences_alone():
    real, fake = torch.randn(2, 8, 1, generator=torch.Generator().manual_seed(0))
    for of in (rivals.gan.discriminator_loss, rivals.gan.generator_loss):
        assert of(real + 3, fake + 3, "relativistic").item() == pytest.approx(of(real, fake, "relativistic").item())
        assert of(real + 3, fake + 3, "non_saturating").item() != pytest.approx(of(real, fake, "non_saturating").item())


def test_the_penalty_is_the_squared_gradient():
    w = torch.tensor([[1.0, -2.0, 3.0]])
    x = torch.randn(6, 3)
    scores, penalty = rivals.gan.gradient_penalty(Linear(w), x)
    assert torch.allclose(scores, x @ w.T) and penalty.item() == pytest.approx(14.0)

    class Square(nn.Module):
        def forward(self, x):
            return x.square().sum(1, keepdim=True)

    assert rivals.gan.gradient_penalty(Square(), x)[1].item() == pytest.approx(4 * x.square().sum(1).mean().item())


class Point(nn.Module):
    """The generator of the Dirac-GAN: the same number for every code."""

    def __init__(self, start):
        super().__init__()
        self.theta = nn.Parameter(torch.tensor([[start]]))

    def forward(self, z):
        return self.theta.expand(len(z), 1)


@pytest.mark.parametrize("loss", rivals.gan.LOSSES)
def test_the_dirac_gan_converges_only_with_the_penalty(loss):
    # data: the point 0, D(x) = psi x; without a penalty, the players circle forever (Mescheder et al. 2018, sec. 2)
    rest = {}
    for penalty in (0.0, 1.0):
        gan = GAN(Point(1.0), Linear(torch.tensor([[0.0]])), latent=1)
        path = [gan.generator.theta.item() for _ in rivals.gan.fit(gan, torch.zeros(8, 1), 600, 8, 2e-2, loss, penalty)]
        rest[penalty] = max(map(abs, path[280:380])), path[-1]
    assert rest[1.0][0] < 0.3 and abs(rest[1.0][1]) < 0.05
    assert rest[0.0][0] > 2 * rest[1.0][0]


def test_the_penalty_includes_generated_points():
    class Bowl(nn.Module):  # D(x) = psi x^2 is flat at 0, the only real point, and steep elsewhere
        def __init__(self):
            super().__init__()
            self.psi = nn.Parameter(torch.tensor(-1.0))  # already tells generated points from real ones

        def forward(self, x):
            return self.psi * x.square()

    psi = []
    for penalty in (0.0, 10.0):
        gan = GAN(Point(1.0), Bowl(), latent=1)
        list(rivals.gan.fit(gan, torch.zeros(8, 1), 20, 8, 1e-2, "relativistic", penalty))
        psi.append(gan.discriminator.psi.item())
    assert psi[0] < -1.1 and psi[1] > -0.9  # D becomes steeper without the penalty, and flatter with it


def two_points():
    x = torch.tensor([[-1.0, 0.0], [1.0, 0.0]]).repeat(128, 1)
    return x + 0.05 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))


def test_imle_keeps_both_points():
    torch.manual_seed(0)
    generator = Body((1,), (2,), 32, 1)
    *_, step = rivals.imle.fit(generator, 1, two_points(), 500, batch_size=64, ema_decay=0.9, learning_rate=5e-3)
    drawn = step.ema(torch.randn(1000, 1, generator=torch.Generator().manual_seed(1)))
    assert step.loss < 0.02
    shares = md.metrics.mode_mass(drawn, torch.tensor([[-1.0, 0.0], [1.0, 0.0]])).share
    assert shares.min() > 0.25


def test_a_modern_gan_keeps_both_points(unchecked):
    torch.manual_seed(0)
    gan = GAN(Body((2,), (2,), 32, 1), Body((2,), (1,), 32, 1), 2)
    *_, step = rivals.gan.fit(gan, two_points(), 800, 64, 3e-3, "relativistic", 0.1, ema_decay=0.9)
    drawn = step.ema(torch.randn(1000, 2, generator=torch.Generator().manual_seed(1)))
    shares = md.metrics.mode_mass(drawn, torch.tensor([[-1.0, 0.0], [1.0, 0.0]])).share
    assert shares.min() > 0.25


def fits():
    """For each rival, a function of the seed that trains for three steps and returns the averaged network."""
    x = torch.randn(64, 1, 4, 4, generator=torch.Generator().manual_seed(0))

    def vae(seed):
        vae = VAE(Body((1, 4, 4), (4,), 8, 1), Body((2,), (1, 4, 4), 8, 1))
        return [step.ema for step in rivals.vae.fit(vae, x, 3, seed=seed)][-1]

    def gan(seed):
        gan = GAN(Body((2,), (1, 4, 4), 8, 1), Body((1, 4, 4), (1,), 8, 1), 2)
        return [step.ema for step in rivals.gan.fit(gan, x, 3, penalty=1.0, seed=seed)][-1]

    def imle(seed):
        return [step.ema for step in rivals.imle.fit(Body((2,), (1, 4, 4), 8, 1), 2, x, 3, seed=seed)][-1]

    return {"vae": vae, "gan": gan, "imle": imle}


@pytest.mark.parametrize("name", ["vae", "gan", "imle"])
def test_the_same_seed_gives_the_same_weights(name):
    def weights(seed):
        torch.manual_seed(0)
        return torch.cat([p.flatten() for p in fits()[name](seed).parameters()])

    assert torch.equal(weights(1), weights(1)) and not torch.equal(weights(1), weights(2))


@pytest.mark.parametrize("name", ["vae", "gan", "imle"])
def test_a_loss_that_is_not_finite_stops_the_training(name):
    x = torch.full((8, 2), math.nan)
    with pytest.raises(FloatingPointError):
        if name == "vae":
            list(rivals.vae.fit(VAE(Body((2,), (4,), 8, 1), Body((2,), (2,), 8, 1)), x, 2))
        elif name == "gan":
            list(rivals.gan.fit(GAN(Body((2,), (2,), 8, 1), Body((2,), (1,), 8, 1), 2), x, 2))
        else:
            list(rivals.imle.fit(Body((2,), (2,), 8, 1), 2, x, 2))


def test_bad_arguments_are_named_at_the_call():
    gan = GAN(Body((2,), (2,), 8, 1), Body((2,), (1,), 8, 1), 2)
    with pytest.raises(ValueError, match="loss must be one of non_saturating, relativistic, got 'wgan'"):
        rivals.gan.fit(gan, torch.zeros(4, 2), 1, loss="wgan")
    vae = VAE(Body((2,), (4,), 8, 1), Body((2,), (2,), 8, 1))
    trainings = {
        "gan": lambda steps=1, **options: rivals.gan.fit(gan, torch.zeros(4, 2), steps, **options),
        "imle": lambda steps=1, **options: rivals.imle.fit(gan.generator, 2, torch.zeros(4, 2), steps, **options),
        "vae": lambda steps=1, **options: rivals.vae.fit(vae, torch.zeros(4, 2), steps, **options),
    }
    shared = [("steps", 0), ("batch_size", 0), ("learning_rate", -1.0), ("ema_decay", 2.0), ("seed", -1)]
    own = {"gan": [("penalty", -1.0)], "imle": [("draws", 0)], "vae": [("beta", -1.0)]}
    for rival, train in trainings.items():
        for name, bad in shared + own[rival]:
            with pytest.raises(ValueError, match=f"^{name} must be"):
                train(**{name: bad})
    with pytest.raises(ValueError, match=r"x must be \(batch, 2\), got \(4, 3\)"):
        gan.generator(torch.zeros(4, 3))


def test_the_layers_are_residual():
    body, x = Body((3,), (2,), 8, 2), torch.randn(5, 3)
    for parameter in body.layers.parameters():
        nn.init.zeros_(parameter)
    assert torch.allclose(body(x), body.last(body.first(x)))
