"""A trained classifier back from its checkpoint, and the features it computes."""

from pathlib import Path

import torch
from torch import Tensor, nn

from frerec.classification.classifier import Classifier
from frerec.errors import DataError
from frerec.training_tools import load_checkpoint


def load_classifier(path: Path) -> Classifier:
    """The classifier of a checkpoint, in evaluation mode; nothing is fetched.

    Raises:
        DataError: If the file is missing, damaged, or no classifier's.
    """
    checkpoint = load_checkpoint(path)
    try:
        arguments = {**checkpoint["hyper_parameters"], "pretrained": False, "checkpoint_path": None}
        model = Classifier(**arguments)
        model.load_state_dict(checkpoint["state_dict"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise DataError(f"{path}: not a classifier's checkpoint ({error})") from error
    return model.eval()


class PenultimateFeatures(nn.Module):
    """Images ``[B, C, H, W]`` in [0, 1] to the input of a classifier's last linear layer.

    Raises:
        DataError: If the backbone has no linear layer.
    """

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier.eval()
        linear = [m for m in classifier.backbone.modules() if isinstance(m, nn.Linear)]
        if not linear:
            raise DataError(f"{classifier.hparams['name']}: no linear layer to take features of")
        self._head = linear[-1]

    def forward(self, images: Tensor) -> Tensor:
        """Features ``[B, D]``."""
        seen: list[Tensor] = []
        hook = self._head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        try:
            with torch.no_grad():
                self.classifier(images)
        finally:
            hook.remove()
        return seen[0].flatten(1)
