"""The sections of the page, in their order; each table and figure names the one it stands in."""

from collections.abc import Mapping

SECTIONS: Mapping[str, str] = {
    "run": "What was run",
    "results": "Results",
    "comparisons": "Paired comparisons",
    "ablation": "Ablation",
    "sensitivity": "Sensitivity",
    "classifiers": "Classifiers: ROC and calibration of probabilities",
    "images": "Images and spectra",
    "embedding": "Features of the classifier",
    "samples": "Sample quality",
    "fidelity": "Fidelity",
    "inference": "Inference time",
    "training": "Training",
    "cells": "Cells",
    "unfinished": "Cells without a result",
}
"""Key -> heading; a section without a table or figure is left out."""
