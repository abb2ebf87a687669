"""timm and MONAI networks by name; weights from files; errors that say what to do."""

import pytest
import torch
from safetensors.torch import save_file

from frerec.classification import MONAI_BACKBONES, create_backbone
from frerec.errors import ConfigError


def build(name="resnet10t", library="timm", **changes):
    arguments = {"num_classes": 2, "in_channels": 1, "image_size": 32} | changes
    return create_backbone(library, name, **arguments)


def message(caught) -> str:
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("library", "name"),
    [("timm", "resnet10t"), ("timm", "test_vit"), ("monai", "resnet10"), ("monai", "DenseNet121")],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_logits_have_one_column_a_class(library, name, channels):
    network = build(name, library, in_channels=channels, num_classes=4).eval()
    assert network(torch.rand(2, channels, 32, 32)).shape == (2, 4)


def test_every_registered_monai_network_is_buildable():
    for name in MONAI_BACKBONES:
        if name not in ("DenseNet169", "DenseNet201", "EfficientNetBN-efficientnet-b2"):
            network = build(name, "monai", image_size=64).eval()
            assert network(torch.rand(1, 1, 64, 64)).shape == (1, 2)


def test_a_vision_transformer_is_built_for_the_images_size():
    network = build("test_vit", image_size=64)
    assert network.patch_embed.img_size == (64, 64)


@pytest.mark.parametrize(
    ("library", "name", "near"),
    [
        ("timm", "resnet5O", "resnet50"),
        ("timm", "densnet121", "densenet121"),
        ("monai", "densenet121", "DenseNet121"),
    ],
)
def test_unknown_names_are_answered_with_near_ones(library, name, near):
    with pytest.raises(ConfigError) as caught:
        build(name, library)
    assert near in message(caught)
    assert f"classifier.name={name}" in message(caught)


def test_unknown_library_is_named():
    with pytest.raises(
        ConfigError, match=r"classifier\.library=torch: expected one of timm, monai"
    ):
        build(library="torch")


@pytest.mark.parametrize(
    ("library", "name"), [("timm", "resnet18"), ("monai", "resnet18"), ("monai", "DenseNet121")]
)
def test_weights_that_cannot_be_had_name_both_remedies(library, name, monkeypatch):
    def unreachable(*args, **kwargs):
        raise OSError("no route to host\nand a second line")

    monkeypatch.setattr("timm.models._builder.load_pretrained", unreachable)
    monkeypatch.setattr("monai.networks.nets.densenet._load_state_dict", unreachable)
    with pytest.raises(ConfigError) as caught:
        build(name, library, pretrained=True)
    assert "classifier.pretrained=false" in message(caught)
    assert "classifier.checkpoint_path=" in message(caught)


def test_a_size_that_does_not_fit_is_an_error_at_once():
    with pytest.raises(ConfigError, match="cannot take images of 40 px"):
        build("test_vit", image_size=40)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".ckpt"])
def test_weights_come_back_from_a_file(tmp_path, suffix):
    torch.manual_seed(1)
    source = build().state_dict()
    path = tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        save_file(source, path)
    elif suffix == ".pt":
        torch.save(source, path)
    else:
        torch.save({"state_dict": {f"backbone.{k}": v for k, v in source.items()}}, path)
    torch.manual_seed(2)
    loaded = build(checkpoint_path=path).state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in source.items())


@pytest.mark.parametrize(
    ("library", "name", "head"),
    [("timm", "resnet10t", "fc"), ("monai", "DenseNet121", "class_layers.out")],
)
def test_a_head_for_other_classes_is_left_out(tmp_path, library, name, head):
    path = tmp_path / "weights.safetensors"
    source = build(name, library, num_classes=7).state_dict()
    save_file(source, path)
    loaded = build(name, library, checkpoint_path=path).state_dict()
    assert loaded[f"{head}.weight"].shape[0] == 2
    kept = [key for key in source if not key.startswith(head)]
    assert all(torch.equal(loaded[key], source[key]) for key in kept)


def test_a_position_embedding_is_resampled_to_the_images_size(tmp_path):
    path = tmp_path / "weights.safetensors"
    source = build("test_vit", image_size=96).state_dict()
    save_file(source, path)
    loaded = build("test_vit", image_size=64, checkpoint_path=path).state_dict()
    assert loaded["pos_embed"].shape[1] - 1 == (64 // 16) ** 2
    assert torch.equal(loaded["pos_embed"][:, 0], source["pos_embed"][:, 0])  # the class token's
    key = "blocks.0.attn.qkv.weight"
    assert torch.equal(loaded[key], source[key])


def test_weights_for_other_channels_say_so(tmp_path):
    path = tmp_path / "colour.safetensors"
    save_file(build(in_channels=3).state_dict(), path)
    with pytest.raises(ConfigError, match="images of 3 channels, the data have 1"):
        build(checkpoint_path=path)


def test_weights_of_another_network_say_so(tmp_path):
    path = tmp_path / "other.pt"
    torch.save(build("resnet10", "monai").state_dict(), path)
    with pytest.raises(ConfigError, match="not weights of this network"):
        build(checkpoint_path=path)


def test_unreadable_weight_files_are_one_line_errors(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("executed",))

    torch.save({"state_dict": Evil()}, tmp_path / "pickled.pt")
    (tmp_path / "noise.safetensors").write_bytes(b"not safetensors")
    torch.save({"epoch": 3}, tmp_path / "empty.pt")
    for name, words in (
        ("missing.pt", "no such file"),
        ("pickled.pt", "not readable as plain tensors"),
        ("noise.safetensors", "not readable as plain tensors"),
        ("empty.pt", "holds no tensors"),
    ):
        with pytest.raises(ConfigError) as caught:
            build(checkpoint_path=tmp_path / name)
        assert words in message(caught)
        assert name in message(caught)
