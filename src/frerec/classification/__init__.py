"""Classifiers: timm and MONAI backbones, a fixed number of steps, the best by validation AUC."""

from frerec.classification.backbones import MONAI_BACKBONES, create_backbone
from frerec.classification.classifier import Classifier, balanced_class_weights
from frerec.classification.restore import PenultimateFeatures, load_classifier
from frerec.classification.training import (
    TrainingRecord,
    predict,
    restore_best,
    train_classifier,
)

__all__ = [
    "MONAI_BACKBONES",
    "Classifier",
    "PenultimateFeatures",
    "TrainingRecord",
    "balanced_class_weights",
    "create_backbone",
    "load_classifier",
    "predict",
    "restore_best",
    "train_classifier",
]
