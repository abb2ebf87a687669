"""The numbers that the paper printed, to stand beside ours (arXiv 2511.12301, AAAI 2026)."""

from collections.abc import Mapping
from dataclasses import dataclass

CITATION = (
    "Chi Liu, Jincheng Liu, Congcong Zhu, Minghao Wang, Sheng Shen, Jia Gu, Tianqing Zhu, "
    "Wanlei Zhou: Rethinking Bias in Generative Data Augmentation for Medical AI: a Frequency "
    "Recalibration Method. AAAI 2026, arXiv 2511.12301."
)
BIBTEX = """@inproceedings{liu2026frerec,
  title     = {Rethinking Bias in Generative Data Augmentation for Medical {AI}:
               a Frequency Recalibration Method},
  author    = {Liu, Chi and Liu, Jincheng and Zhu, Congcong and Wang, Minghao and
               Shen, Sheng and Gu, Jia and Zhu, Tianqing and Zhou, Wanlei},
  booktitle = {Proceedings of the AAAI Conference on Artificial Intelligence},
  year      = {2026},
  note      = {arXiv:2511.12301}
}"""

CLASSIFIERS = ("DenseNet", "ResNet50", "ViT-B/16")
DATASETS: Mapping[str, str] = {
    "cardiomegaly": "cardiomegaly (chest X-ray)",
    "brain_tumor": "brain tumour (MRI)",
    "retinopathy": "diabetic retinopathy (fundus)",
}
ARMS: Mapping[str, str] = {"raw": "RAW", "gda": "GDA", "frerec": "GDA + FreRec"}

_SHIPPED = {"kaggle_cardiomegaly": "cardiomegaly"}

# AUC by data set, arm, and classifier in the order of CLASSIFIERS.
_MAIN: Mapping[str, Mapping[str, tuple[float, float, float]]] = {
    "cardiomegaly": {
        "raw": (0.842, 0.834, 0.832),
        "gda": (0.871, 0.834, 0.848),
        "frerec": (0.899, 0.888, 0.888),
    },
    "brain_tumor": {
        "raw": (0.840, 0.793, 0.753),
        "gda": (0.794, 0.783, 0.758),
        "frerec": (0.855, 0.843, 0.787),
    },
    "retinopathy": {
        "raw": (0.840, 0.843, 0.834),
        "gda": (0.863, 0.848, 0.834),
        "frerec": (0.879, 0.878, 0.852),
    },
}

# Our backbone names that are the paper's classifiers. [ours] The paper says "DenseNet" without
# its depth; 121 is the one that nearly all work on chest X-rays means.
_COUNTERPARTS: Mapping[str, str] = {
    "densenet121": "DenseNet",
    "resnet50": "ResNet50",
    "vit_base_patch16_224": "ViT-B/16",
}


@dataclass(frozen=True)
class PublishedAUC:
    """The paper's AUCs for one data set and arm.

    `by_classifier` has all three; `classifier` is the one that ours is, None where ours is
    another, and then `auc` is None too.
    """

    dataset: str
    arm: str
    by_classifier: Mapping[str, float]
    classifier: str | None

    @property
    def auc(self) -> float | None:
        """The number of the paper's classifier that ours is, None where it is another."""
        return None if self.classifier is None else self.by_classifier[self.classifier]


@dataclass(frozen=True)
class Ablation:
    """A row of the paper's ablation on cardiomegaly; PSNR in dB."""

    configuration: str
    auc: float
    accuracy: float
    psnr: float
    ssim: float


@dataclass(frozen=True)
class InferenceTime:
    """Milliseconds an image on an RTX 4090, as a range; `approximate` where it says "about"."""

    method: str
    low: float
    high: float
    approximate: bool = False


ABLATION: Mapping[str, Ablation] = {
    "shr": Ablation("SHR only", 0.81, 0.79, 25.10, 0.76),
    "rhm_no_fesa": Ablation("RHM without FESA", 0.85, 0.79, 36.44, 0.98),
    "rhm": Ablation("RHM with FESA", 0.87, 0.82, 35.51, 0.96),
    "frerec": Ablation("full FreRec", 0.89, 0.84, 35.62, 0.95),
}
# The paper's ablation is on this data set alone; it does not say with which classifier.
ABLATION_DATASET = "cardiomegaly"
# What the paper's main results are with; its own numbers for other values are not known to us.
RATIO, NEIGHBOURS = 0.5, 200
SHR_AXES: Mapping[str, tuple[tuple[str, ...], float]] = {
    "ratio": (("calibrator.shr.ratio", "calibrator.ratio"), RATIO),
    "neighbours": (("calibrator.shr.neighbours", "calibrator.neighbours"), NEIGHBOURS),
}
"""SHR's settings -> the axes that vary them, of FreRec and of SHR by itself; the paper's value."""
INFERENCE_DEVICE = "RTX 4090"
INFERENCE = (InferenceTime("FreRec", 15.0, 18.0), InferenceTime("DoGE", 33.0, 33.0, True))


def counterpart(classifier: str) -> str | None:
    """The paper's name of our classifier, None where the paper has no such one.

    timm's pretraining tag ("resnet50.a1_in1k"), a library prefix ("monai/DenseNet121") and
    the case do not matter.
    """
    return _COUNTERPARTS.get(classifier.rsplit("/", 1)[-1].split(".", 1)[0].lower())


def dataset_of(name: str) -> str | None:
    """The paper's data set that one of this name is, None where that is not known [ours].

    Only the Kaggle set of cardiomegaly is very probably the paper's. It does not say which sets its
    brain tumours and fundus images are of: the shipped ones are claimed to be none of them, unless
    a run says so by `published`.
    """
    return _SHIPPED.get(name, name if name in DATASETS else None)


def lookup(dataset: str | None, arm: str, classifier: str) -> PublishedAUC | None:
    """The paper's AUCs beside one of our rows.

    Args:
        dataset: a key of DATASETS, or None for a data set that the paper does not have.
        arm: our arm; the paper has raw, gda and frerec.
        classifier: our classifier's name.

    Returns:
        None where the paper has no such data set or arm.
    """
    values = _MAIN.get(dataset or "", {}).get(arm)
    if dataset is None or values is None:
        return None
    return PublishedAUC(
        dataset, arm, dict(zip(CLASSIFIERS, values, strict=True)), counterpart(classifier)
    )
