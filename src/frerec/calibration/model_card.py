"""The model card of a saved calibrator: README.md as the Hugging Face Hub reads it."""

import json
from pathlib import Path
from typing import Any, Protocol

from frerec.calibration.bank import RealBank

CARD_FILE = "README.md"
MARK = "<!-- Written by frerec and written again at every save; remove this line to keep yours. -->"
TAGS = ("frerec", "medical-imaging", "data-augmentation", "frequency-calibration")
CITATION = """\
@inproceedings{liu2026frerec,
  title     = {Rethinking Bias in Generative Data Augmentation for Medical {AI}:
               a Frequency Recalibration Method},
  author    = {Liu, Chi and Liu, Jincheng and Zhu, Congcong and Wang, Minghao and Shen, Sheng and
               Gu, Jia and Zhu, Tianqing and Zhou, Wanlei},
  booktitle = {Proceedings of the AAAI Conference on Artificial Intelligence},
  year      = {2026},
  note      = {arXiv:2511.12301},
}"""


class Described(Protocol):
    """What a card tells of a calibrator."""

    @property
    def name(self) -> str:
        """Its name in the registry."""

    @property
    def report(self) -> dict[str, Any]:
        """Figures of its fit."""

    @property
    def input_shape(self) -> tuple[int, int, int] | None:
        """``(C, H, W)``, or None where it takes any size."""

    def config(self) -> dict[str, Any]:
        """Its constructor's arguments."""

    def modules(self) -> Any:
        """Itself and all modules within."""


def real_images_held(calibrator: Described) -> int:
    """How many real images of its fit a calibrator holds: those of all its banks."""
    return sum(len(module) for module in calibrator.modules() if isinstance(module, RealBank))


def model_card(calibrator: Described, source: str = "FOLDER") -> str:
    """The card's text: what it is, what it holds, how to load it, whom to cite.

    It names no licence: that of the real images decides, and is not known here.

    Args:
        calibrator: Any calibrator.
        source: What ``from_pretrained`` is called with: a folder or ``owner/name``.
    """
    held, shape = real_images_held(calibrator), calibrator.input_shape
    size = "any size" if shape is None else f"{shape[0]} channel(s), {shape[1]} x {shape[2]} pixels"
    lines = ["---", "library_name: frerec", "tags:", *(f"- {tag}" for tag in TAGS), "---", MARK, ""]
    lines += [
        f"# A `{calibrator.name}` calibrator",
        "",
        "It maps real and generated medical images onto the frequencies of the real images of its "
        "fit, before a classifier is trained on them or applied to them. Not a medical device.",
        "",
        "| | |",
        "| --- | --- |",
        f"| calibrator | `{calibrator.name}` |",
        f"| input | {size}, float values in [0, 1] |",
        f"| real images held | {held:,} |",
        "",
    ]
    if held:
        lines += [
            f"**This model holds {held:,} real images of its fit, as pixels**, because it searches "
            "among them, and a fingerprint of every image of the fit. Whoever has the model has "
            "the images: consent, licence and agreements on the images bind the model too.",
            "",
        ]
    lines += [
        "## Use",
        "",
        "```python",
        "from frerec.calibration import Calibrator",
        "",
        f"calibrator = Calibrator.from_pretrained({json.dumps(source)})",
        "calibrated = calibrator.transform(images)  # [N, C, H, W] in [0, 1]",
        "```",
        "",
        "## Configuration",
        "",
        "```json",
        json.dumps(calibrator.config(), indent=2, sort_keys=True),
        "```",
        "",
    ]
    figures = {key: value for key, value in calibrator.report.items() if _is_number(value)}
    if figures:
        lines += ["## Figures of the fit", "", "| | |", "| --- | ---: |"]
        lines += [f"| {key} | {value:g} |" for key, value in sorted(figures.items())] + [""]
    lines += ["## Citation", "", "```bibtex", CITATION, "```", ""]
    return "\n".join(lines)


def write_card(calibrator: Described, directory: Path, source: str = "FOLDER") -> None:
    """Write the card into ``directory``; a README.md that is not ours is left as it is."""
    path = directory / CARD_FILE
    if path.exists() and MARK not in path.read_text(encoding="utf-8", errors="replace"):
        return
    partial = directory / (CARD_FILE + ".partial")
    partial.write_text(model_card(calibrator, source), encoding="utf-8")
    partial.replace(path)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
