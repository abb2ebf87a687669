"""FastGAN's blocks against their formulas, and the shapes, sizes and habits of its networks."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from frerec.generators.fastgan_layers import DownBlock, SkipLayerExcitation, UpBlock, conv
from frerec.generators.fastgan_losses import (
    hinge_discriminator,
    hinge_generator,
    l1_loss,
    pyramid_loss,
)
from frerec.generators.fastgan_networks import (
    DiscriminatorNetwork,
    GeneratorNetwork,
    both_sizes,
    class_spread,
    crop_quadrant,
)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def networks(size: int, channels: int = 1, width: int = 4, classes: int = 3):
    shared = {"channels": channels, "num_classes": classes, "image_size": size, "width": width}
    torch.manual_seed(0)
    return GeneratorNetwork(**shared, latent_dim=16), DiscriminatorNetwork(**shared)


def test_convolutions_have_spectral_norm_one():
    torch.manual_seed(0)
    layer = conv(6, 10, 3)
    for _ in range(30):  # of the power iteration, one a forward pass in training
        layer(torch.zeros(1, 6, 4, 4))
    matrix = layer.eval().weight.detach().flatten(1).numpy()
    assert np.linalg.svd(matrix, compute_uv=False)[0] == pytest.approx(1, abs=1e-3)


def test_an_up_block_doubles_convolves_normalises_and_gates():
    torch.manual_seed(0)
    block = UpBlock(3, 2, depth=1).eval()
    block.norms[0].running_mean.copy_(torch.randn(4))
    block.norms[0].running_var.copy_(torch.rand(4) + 0.5)
    x = torch.randn(2, 3, 5, 5)
    big = np.repeat(np.repeat(x.numpy(), 2, axis=2), 2, axis=3)
    h = F.conv2d(torch.from_numpy(big), block.convs[0].weight, padding=1).detach().numpy()
    norm = block.norms[0]
    shape = (1, 4, 1, 1)
    mean, variance = (b.numpy().reshape(shape) for b in (norm.running_mean, norm.running_var))
    weight, bias = (p.detach().numpy().reshape(shape) for p in (norm.weight, norm.bias))
    h = (h - mean) / np.sqrt(variance + norm.eps) * weight + bias
    expected = h[:, :2] * sigmoid(h[:, 2:])
    np.testing.assert_allclose(block(x).detach().numpy(), expected, atol=1e-5)
    assert len(UpBlock(3, 2, depth=2).convs) == 2


def test_skip_layer_excitation_follows_its_formula():
    torch.manual_seed(0)
    block = SkipLayerExcitation(3, 5).eval()
    low, high = torch.randn(2, 3, 8, 8), torch.randn(2, 5, 64, 64)
    pooled = low.numpy().reshape(2, 3, 4, 2, 4, 2).mean((3, 5))
    squeeze, excite = (m.weight.detach().numpy() for m in (block.squeeze, block.excite))
    h = np.einsum("bcij,ocij->bo", pooled, squeeze)
    gate = sigmoid(np.where(h > 0, h, 0.2 * h) @ excite[:, :, 0, 0].T)
    expected = high.numpy() * gate[:, :, None, None]
    np.testing.assert_allclose(block(low, high).detach().numpy(), expected, atol=1e-5)


def test_a_residual_down_block_is_the_mean_of_its_paths():
    torch.manual_seed(0)
    block = DownBlock(4, 6, residual=True).eval()
    x = torch.randn(2, 4, 8, 8)
    short = F.leaky_relu(block.short(F.avg_pool2d(x, 2)), 0.2)
    torch.testing.assert_close(block(x), 0.5 * (block.main(x) + short))
    assert block(x).shape == DownBlock(4, 6, residual=False)(x).shape == (2, 6, 4, 4)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [64, 128, 256])
def test_shapes_at_every_size(size, channels):
    generator, discriminator = networks(size, channels)
    labels = torch.tensor([0, 2])
    made = generator(torch.randn(2, 16), labels)
    assert made.full.shape == (2, channels, size, size)
    assert made.half.shape == (2, channels, size // 2, size // 2)
    assert float(made.full.detach().abs().max()) <= 1
    verdict = discriminator(made, labels)
    assert verdict.scores.shape == (2, 50)
    assert verdict.whole.shape[-2:] == verdict.half.shape[-2:] == (8, 8)
    assert verdict.fine.shape[-2:] == (16, 16)
    for image in discriminator.reconstruct(verdict, 3):
        assert image.shape == (2, channels, size // 2, size // 2)
        assert float(image.detach().abs().max()) <= 1


@pytest.mark.parametrize(
    ("size", "generators", "discriminators"),
    [(64, {"64"}, {"8"}), (128, {"64", "128"}, {"8", "16"})],
)
def test_excitations_link_the_sides_that_there_are(size, generators, discriminators):
    generator, discriminator = networks(size)
    assert set(generator.excitations) == generators
    assert set(discriminator.excitations) == discriminators


def test_the_base_generator_has_the_layers_of_the_public_model():
    """The public code's table for 256 px: channels 64 x (16, 8, 4, 2, 2, 1, 1/2)."""
    with torch.device("meta"):
        generator = GeneratorNetwork(
            channels=3, num_classes=2, image_size=256, latent_dim=256, width=64
        )
        width = {4: 1024, 8: 512, 16: 256, 32: 128, 64: 128, 128: 64, 256: 32}
        expected = 256 * 2048 * 16 + 2 * 2048
        for side in (8, 16, 32, 64, 128, 256):
            expected += width[side // 2] * 2 * width[side] * 9 + 4 * width[side]
            if side in (8, 32, 128):
                expected += width[side] * 2 * width[side] * 9 + 4 * width[side]
        for low, high in ((4, 64), (8, 128), (16, 256)):
            expected += width[low] * width[high] * 16 + width[high] ** 2
        expected += 64 * 3 + 32 * 3 * 9
    classes = 2 * 32 + 32 * 2048 * 16  # ours: the embedding, and its share of the first layer
    assert sum(p.numel() for p in generator.parameters()) == expected + classes
    assert expected == pytest.approx(29.1e6, rel=0.01)


def test_classes_are_told_to_both_networks():
    generator, discriminator = networks(64)
    for module in discriminator.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # its statistics are those of the one pass that follows
    discriminator(both_sizes(torch.randn(8, 1, 64, 64)), torch.arange(8) % 3)
    generator.eval()
    discriminator.eval()
    latents = torch.randn(1, 16).expand(3, -1)
    made = generator(latents, torch.arange(3))
    assert not torch.allclose(made.full[0], made.full[1], atol=1e-4)
    same = both_sizes(torch.randn(1, 1, 64, 64).expand(3, -1, -1, -1))
    verdict = discriminator(same, torch.arange(3))
    # Projection: the label adds one number to all scores of a size, and changes nothing else.
    added = (verdict.scores - verdict.scores[:1]).detach()
    for scores, features, project in (
        (added[:, :25], verdict.whole, discriminator.project),
        (added[:, 25:], verdict.half, discriminator.half_project),
    ):
        rows = project.weight.detach()
        products = (rows - rows[:1]) @ features[0].mean((1, 2)).detach()
        torch.testing.assert_close(scores, products[:, None].expand(-1, 25), atol=1e-5, rtol=1e-4)
        assert float(products[1:].abs().min()) > 1e-3


def test_an_image_depends_on_its_latents_and_label_only():
    generator, _ = networks(64)
    generator.eval()
    latents, labels = torch.randn(3, 16), torch.tensor([0, 1, 2])
    torch.manual_seed(1)
    together = generator(latents, labels).full
    torch.manual_seed(2)
    alone = generator(latents[2:], labels[2:]).full
    torch.testing.assert_close(alone, together[2:], atol=1e-5, rtol=0)


def test_the_part_is_decoded_from_the_quadrant_that_it_shows():
    _, discriminator = networks(64)
    discriminator.eval()
    verdict = discriminator(both_sizes(torch.randn(1, 1, 64, 64)), torch.tensor([0]))
    for quadrant, (rows, columns) in enumerate(
        (r, c) for r in (slice(0, 8), slice(8, 16)) for c in (slice(0, 8), slice(8, 16))
    ):
        other = torch.zeros_like(verdict.fine)
        other[..., rows, columns] = verdict.fine[..., rows, columns]
        expected = discriminator.reconstruct(verdict, quadrant)[1]
        seen = discriminator.reconstruct(verdict._replace(fine=other), quadrant)[1]
        torch.testing.assert_close(seen, expected)
    picture = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert crop_quadrant(picture, 1).flatten().tolist() == [2, 3, 6, 7]
    assert crop_quadrant(picture, 2).flatten().tolist() == [8, 9, 12, 13]


def test_the_small_real_image_is_averaged():
    full = torch.rand(2, 3, 8, 8)
    expected = full.numpy().reshape(2, 3, 4, 2, 4, 2).mean((3, 5))
    np.testing.assert_allclose(both_sizes(full).half.numpy(), expected, atol=1e-6)


def test_the_spread_is_the_deviation_within_a_class():
    """The batch's images of other classes, however different, do not count as variety."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((7, 3, 4, 4)) + np.arange(7)[:, None, None, None] % 3 * 10
    labels = np.array([0, 1, 2, 0, 1, 2, 0])
    found = class_spread(torch.from_numpy(features), torch.from_numpy(labels)).numpy()
    for label in range(3):
        expected = features[labels == label].std(0).mean()
        np.testing.assert_allclose(found[labels == label], expected, rtol=1e-4)
    alone = class_spread(torch.randn(2, 3, 4, 4), torch.tensor([0, 1]))
    np.testing.assert_allclose(alone, 0, atol=2e-3)


def test_hinge_losses_in_closed_form():
    real, fake = torch.tensor([[2.0, 0.5], [-1.0, 1.0]]), torch.tensor([[-3.0, 0.0], [1.0, -1.0]])
    assert float(hinge_discriminator(real, fake)) == pytest.approx((0.5 + 2) / 4 + (1 + 2) / 4)
    assert float(hinge_generator(fake)) == pytest.approx(3 / 4)


def test_the_pyramid_loss_follows_its_formula():
    rng = np.random.default_rng(0)
    a, b = (rng.uniform(-1, 1, (2, 1, 16, 16)) for _ in range(2))
    total = 0.0
    for scale in (1, 2, 4):
        x, y = (
            image.reshape(2, 1, 16 // scale, scale, 16 // scale, scale).mean((3, 5))
            for image in (a, b)
        )
        total += np.abs(x - y).mean()
        for axis in (2, 3):
            total += np.abs(np.diff(x, axis=axis) - np.diff(y, axis=axis)).mean()
    output, target = torch.from_numpy(a).float(), torch.from_numpy(b).float()
    assert float(pyramid_loss(output, target)) == pytest.approx(total / 3, rel=1e-5)
    assert float(pyramid_loss(target, target)) == 0
    assert float(l1_loss(output, target)) == pytest.approx(np.abs(a - b).mean(), rel=1e-5)


def test_every_weight_of_both_networks_learns():
    generator, discriminator = networks(64)
    labels = torch.arange(6) % 3
    made = generator(torch.randn(6, 16), labels)
    real = both_sizes(torch.randn(6, 1, 64, 64))
    verdict = discriminator(real, labels)
    loss = hinge_discriminator(verdict.scores, discriminator(made, labels).scores)
    for image in discriminator.reconstruct(verdict, 0):
        loss = loss + image.square().mean()
    loss.backward()
    for name, parameter in [*generator.named_parameters(), *discriminator.named_parameters()]:
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().sum()) > 0, name
