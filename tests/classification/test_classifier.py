"""Loss, normalisation, optimiser and schedule against their formulas."""

import math

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import nn

from frerec.classification import Classifier, balanced_class_weights
from frerec.errors import ConfigError, DataError


def classifier(**changes) -> Classifier:
    arguments = {
        "library": "timm", "name": "resnet10t", "num_classes": 3, "in_channels": 3, "image_size": 32
    } | changes  # fmt: skip
    return Classifier(**arguments)


def test_the_initial_weights_follow_the_seed_and_leave_torch_alone():
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    first = classifier(seed=3)
    assert torch.equal(torch.rand(1), expected)
    weights = [
        m.backbone.state_dict()["layer1.0.conv1.weight"]
        for m in (first, classifier(seed=3), classifier(seed=4))
    ]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_images_are_normalised_inside():
    model = classifier(mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0))
    model.backbone = nn.Identity()
    image = torch.rand(2, 3, 4, 4)
    expected = np.stack(
        [
            (image[:, c].numpy() - m) / s
            for c, (m, s) in enumerate([(0.1, 0.5), (0.2, 1.0), (0.3, 2.0)])
        ],
        1,
    )
    np.testing.assert_allclose(model(image).numpy(), expected, rtol=1e-5)


def test_the_loss_is_weighted_and_smoothed_cross_entropy():
    logits = torch.tensor([[2.0, -1.0, 0.5], [0.0, 1.0, -2.0]])
    labels, weights, smoothing = [0, 2], [0.5, 1.0, 2.0], 0.1
    model = classifier(class_weights=weights, label_smoothing=smoothing)
    model.forward = lambda images: images
    loss = float(model.training_step((logits, torch.tensor(labels)), 0))
    log_p = logits.numpy() - np.log(np.exp(logits.numpy()).sum(1, keepdims=True))
    total = 0.0
    for row, label in enumerate(labels):
        for column in range(3):
            target = smoothing / 3 + (1 - smoothing) * (column == label)
            total -= weights[column] * target * log_p[row, column]
    assert loss == pytest.approx(total / (weights[0] + weights[2]), rel=1e-5)


def test_balanced_weights_are_scikit_learns():
    labels = np.array([0] * 7 + [1] * 2 + [2] * 4)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(balanced_class_weights(labels, 3), expected)
    with pytest.raises(DataError, match="class number 2 has no training image"):
        balanced_class_weights([0, 1, 1], 3)


def test_the_rate_rises_linearly_and_falls_by_a_cosine():
    model = classifier(schedule="cosine", warmup_steps=4)
    model.total_steps = 24
    assert [model.rate_factor(s) for s in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert model.rate_factor(4) == 1.0
    assert model.rate_factor(14) == pytest.approx(0.5)
    assert model.rate_factor(9) == pytest.approx(0.5 * (1 + math.cos(math.pi / 4)))
    assert model.rate_factor(24) == pytest.approx(0.0)
    assert classifier().rate_factor(1000) == 1.0


def test_biases_and_norms_have_no_weight_decay():
    model = classifier(weight_decay=0.3)
    optimizer = model.configure_optimizers()["optimizer"]
    decayed, free = optimizer.param_groups
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.3, 0.0)
    assert len(decayed["params"]) + len(free["params"]) == len(list(model.parameters()))
    norms = [p for m in model.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters()]
    assert all(any(p is q for q in free["params"]) for p in norms)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schedule": "step"}, "classifier.schedule=step: expected constant or cosine"),
        ({"lr": 0.0}, "classifier.lr=0.0"),
        ({"std": (0.0,)}, "classifier.std=0.0"),
        ({"mean": (0.1, 0.2)}, "expected 1 or 3 values"),
        ({"label_smoothing": 1.0}, "classifier.label_smoothing=1.0"),
        ({"class_weights": [1.0]}, "expected 3, found 1"),
        ({"num_classes": 1}, "at least two classes"),
    ],
)
def test_values_out_of_range_are_named(changes, words):
    with pytest.raises(ConfigError) as caught:
        classifier(**changes)
    assert words in str(caught.value)
