"""Feature extractors are named, deterministic, alive at random weights, and share one contract."""

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.torch import save_file

from fixtures import textured_images
from frerec.classification import Classifier
from frerec.errors import ConfigError, DataError
from frerec.evaluation.features import FeatureExtractor, build_extractor, extract

IMAGES = textured_images(24, height=32, width=32)


def small(**settings):
    return build_extractor(**{"name": "resnet10t", "image_size": 32, **settings})


def test_random_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(5)
    first = extract(IMAGES, small())
    state = torch.get_rng_state()
    torch.manual_seed(6)
    torch.rand(3)
    again = extract(IMAGES, small())
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert not torch.allclose(first, extract(IMAGES, small(seed=1)))
    torch.set_rng_state(state)
    small()
    assert torch.equal(torch.get_rng_state(), state)  # the global generator is left alone


@pytest.mark.parametrize(
    ("library", "name", "width"),
    [("timm", "resnet18", 512), ("monai", "resnet10", 512), ("timm", "test_vit", 64)],
)
def test_random_features_are_finite_and_tell_images_apart(library, name, width) -> None:
    found = extract(IMAGES, small(library=library, name=name))
    assert found.shape == (24, width)
    assert found.dtype == torch.float32
    assert found.isfinite().all()
    # Neither collapsed nor exploded: images spread by a sizeable part of the features' size.
    assert 0.1 < float(found.std(0).mean() / found.abs().mean()) < 3


def test_every_block_of_a_random_residual_network_is_alive() -> None:
    # timm starts the last norm of each block at zero, so that the block does nothing.
    network = small(name="resnet18").features.classifier.backbone
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert all(bool(norm.weight.all()) for norm in norms)


def test_a_batch_of_one_and_training_mode_change_nothing() -> None:
    extractor = small().train()
    assert not any(module.training for module in extractor.modules())
    together, alone = extract(IMAGES, extractor), extract(IMAGES, extractor, batch_size=1)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_the_name_says_network_weights_and_size() -> None:
    assert small(name="resnet18").name == "timm resnet18, random weights (seed 0), 32 px"
    assert "images at their own size" in small(image_size=None).name


def test_images_are_resized_with_anti_aliasing() -> None:
    extractor = small()
    large = textured_images(4, height=64, width=64)
    reduced = torch.nn.functional.interpolate(large, (32, 32), mode="bilinear", antialias=True)
    torch.testing.assert_close(extractor(large), extractor(reduced))


def test_grey_images_are_repeated_for_a_network_of_three_channels() -> None:
    extractor = small(channels=3)
    torch.testing.assert_close(extractor(IMAGES), extractor(IMAGES.expand(-1, 3, -1, -1)))
    with pytest.raises(DataError, match="expected \\[B, C, H, W\\] with 1 channels"):
        small()(IMAGES.expand(-1, 3, -1, -1))


def test_a_trained_classifier_gives_its_penultimate_features() -> None:
    classifier = Classifier(
        library="timm", name="resnet10t", num_classes=3, in_channels=1, image_size=32
    ).eval()
    extractor = FeatureExtractor.from_classifier(classifier)
    assert extractor.name == "timm resnet10t, trained on the real training images, 32 px"
    logits = classifier.backbone.fc(extractor(IMAGES))
    torch.testing.assert_close(logits, classifier(IMAGES))


def test_weights_come_from_a_file(tmp_path) -> None:
    kept = small(seed=3).features.classifier.backbone
    save_file(kept.state_dict(), tmp_path / "own.safetensors")
    extractor = small(weights=tmp_path / "own.safetensors")
    assert extractor.name == "timm resnet10t, weights own.safetensors, 32 px"
    torch.testing.assert_close(extract(IMAGES, extractor), extract(IMAGES, small(seed=3)))


def test_what_is_wrong_is_said_in_one_line_of_this_groups_keys(tmp_path, monkeypatch) -> None:
    def unreachable(*args, **kwargs):
        raise OSError("no route to host\nand a second line")

    monkeypatch.setattr("timm.models._builder.load_pretrained", unreachable)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # no probe
    cases = [
        ({"weights": "imagenet"}, "features.weights=imagenet: .*no route to host.*random"),
        ({"weights": tmp_path / "no.pt"}, "features.weights=.*no.pt: no such file"),
        ({"name": "resnot18"}, "features.name=resnot18: timm has no such network; near: "),
        ({"library": "keras"}, "features.library=keras"),
        ({"name": "vit_tiny_patch16_224", "image_size": None}, "features.image_size=null"),
        ({"name": "test_vit", "image_size": 40}, "choose another features.image_size"),
        ({"image_size": 7}, "features.image_size=7: expected at least 8"),
        ({"image_size": 0}, "features.image_size=0: expected at least 8"),
    ]
    for settings, message in cases:
        with pytest.raises(ConfigError, match=message) as caught:
            small(**settings)
        assert "\n" not in str(caught.value)
        assert "classifier." not in str(caught.value)


def test_images_out_of_range_or_none_at_all_are_refused() -> None:
    with pytest.raises(DataError, match=r"expected \[0, 1\]"):
        extract(IMAGES * 2, small())
    with pytest.raises(DataError, match="samples: none"):
        extract(IMAGES[:0], small(), what="samples")


class Hub:
    """A hub's HTTP session that answers, or does not."""

    def __init__(self, answers: bool) -> None:
        self.answers, self.asked = answers, 0

    def head(self, url: str, timeout: float) -> None:
        """Asked once, and not for long."""
        self.asked += 1
        assert url.startswith("http")
        assert 0 < timeout <= 10
        if not self.answers:
            raise ConnectionError("no route to host")


@pytest.mark.parametrize("answers", [True, False])
def test_the_cache_alone_is_asked_where_the_hub_does_not_answer(monkeypatch, answers) -> None:
    constants, hub, modes = huggingface_hub.constants, Hub(answers), []

    def load(*_: object, **__: object) -> None:
        modes.append(constants.HF_HUB_OFFLINE)
        raise LocalEntryNotFoundError("nothing in the cache")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "get_session", lambda: hub)
    monkeypatch.setattr("timm.models._builder.load_pretrained", load)
    with pytest.raises(ConfigError, match=r"not in the cache, and huggingface.co does not answer"):
        small(weights="imagenet")
    assert modes == [not answers]
    assert hub.asked == 1
    assert constants.HF_HUB_OFFLINE is False  # as it was, for whoever comes next
    small()
    assert hub.asked == 1  # random weights need no hub
