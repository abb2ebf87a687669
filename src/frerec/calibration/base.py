"""The calibrator contract: fit on real images, map any image, save and load without pickle."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Self, overload

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from frerec.calibration.hub import HubMixin
from frerec.calibration.rows import ImageRows, as_rows, check_images, check_rows
from frerec.errors import ConfigError, DataError

__all__ = ["Calibrator", "Groups", "check_images", "group_codes", "load_calibrator"]

Groups = Sequence[int] | Sequence[str] | np.ndarray | Tensor | None
CONFIG_FILE = "calibrator.json"
WEIGHTS_FILE = "calibrator.safetensors"
FORMAT_VERSION = 2


class Calibrator(HubMixin, nn.Module, ABC):
    """Maps images to images of the same shape and range, after a fit on real training images.

    A calibrator sees images of the training split only, and never a label. Subclasses keep their
    state in registered buffers and parameters, and their arguments in :meth:`config`; they write
    ``_fit`` and ``forward``.

    Attributes:
        name: Its name in the registry and in a saved model; a class with a name is registered.
        uses_synthetic: Whether :meth:`fit` needs synthetic training images beside the real ones.
        report: Figures of the last fit, such as RHM's PSNR on held-out images; may be empty.
    """

    name: ClassVar[str]
    uses_synthetic: ClassVar[bool] = False
    _registry: ClassVar[dict[str, type["Calibrator"]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" in cls.__dict__:
            Calibrator._registry[cls.name] = cls

    def __init__(self) -> None:
        super().__init__()
        self.report: dict[str, Any] = {}
        self._unfinished = False

    def fit(
        self,
        images: ImageRows | np.ndarray,
        groups: Groups = None,
        *,
        synthetic: ImageRows | np.ndarray | None = None,
        directory: str | Path | None = None,
        progress: bool = False,
    ) -> Self:
        """Learn from real training images, and be ready for use (in evaluation mode).

        Args:
            images: ``[N, C, H, W]`` float in [0, 1]; a tensor, a NumPy array or anything else that
                hands out rows, such as an :class:`frerec.data.stack.ImageStack`.
            groups: A patient number or id per image; None treats every image as its own patient.
            synthetic: Synthetic training images of the same size; read only by calibrators with
                ``uses_synthetic``.
            directory: Where a long fit keeps checkpoints, to go on from after a kill.
            progress: Show progress bars.

        Raises:
            DataError: If images are not finite values in [0, 1], or differ in size.
            ConfigError: If there is not one group per image, or synthetic images are missing.
        """
        rows = as_rows(images)
        check_rows(rows, what="real images")
        codes = group_codes(groups, len(rows))
        others = None
        if self.uses_synthetic:
            if synthetic is None:
                raise ConfigError(
                    f"calibrator {self.name}: is fitted on synthetic images too; give synthetic="
                )
            others = as_rows(synthetic)
            check_rows(others, what="synthetic images")
            if tuple(others.shape[1:]) != tuple(rows.shape[1:]):
                raise DataError(
                    f"synthetic images of shape {tuple(others.shape[1:])}: the real ones have "
                    f"{tuple(rows.shape[1:])}; resize or convert them first"
                )
        self.report = {}
        self._unfinished = True  # until the end: half a fit must not be used
        self._fit(
            rows,
            codes,
            synthetic=others,
            directory=None if directory is None else Path(directory),
            progress=progress,
        )
        self._unfinished = False
        return self.eval()

    @abstractmethod
    def _fit(
        self,
        images: ImageRows,
        groups: Tensor,
        *,
        synthetic: ImageRows | None,
        directory: Path | None,
        progress: bool,
    ) -> None:
        """Learn from checked images; ``groups`` are int64 codes ``[N]``, equal for one patient."""

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Calibrate ``[B, C, H, W]`` in [0, 1]; the same shape and range come back."""

    @overload
    def transform(self, images: ImageRows, *, batch_size: int = 64) -> Tensor: ...
    @overload
    def transform(self, images: np.ndarray, *, batch_size: int = 64) -> np.ndarray: ...
    def transform(
        self, images: ImageRows | np.ndarray, *, batch_size: int = 64
    ) -> Tensor | np.ndarray:
        """Calibrate for inference: in evaluation mode, without gradients, batch by batch.

        Args:
            images: ``[N, C, H, W]`` float in [0, 1], on any device.
            batch_size: Images searched for and mapped at once; on a CPU it does not change a pixel.

        Returns:
            float32, as ``images``: a tensor on its device, or a NumPy array.

        Raises:
            DataError: If images are not finite values in [0, 1] of the size of the fit.
            ConfigError: If ``batch_size`` is below 1.
        """
        if batch_size < 1:
            raise ConfigError(f"batch_size={batch_size}: expected at least 1")
        self._check_finished()
        given = as_rows(images)
        training = self.training
        self.eval()
        try:
            with torch.no_grad():
                results = []
                for start in range(0, max(len(given), 1), batch_size):
                    part = given[start : start + batch_size]
                    mapped = self(part.to(self.device).contiguous())
                    results.append(mapped.float().to(part.device))
        finally:
            self.train(training)
        result = torch.cat(results)
        return result.numpy() if isinstance(images, np.ndarray) else result

    def fit_transform(self, images: Any, groups: Groups = None, **kwargs: Any) -> Any:
        """:meth:`fit`, then :meth:`transform` of the same images."""
        return self.fit(images, groups, **kwargs).transform(images)

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The constructor's arguments as plain values that JSON can hold."""

    @property
    def input_shape(self) -> tuple[int, int, int] | None:
        """``(C, H, W)`` of the images that it takes; None where it takes any."""
        return None

    @property
    def device(self) -> torch.device:
        """Where its state lies; the CPU where it has none."""
        for tensor in (*self.parameters(), *self.buffers()):
            return tensor.device
        return torch.device("cpu")

    def prepare_for_state(self, state: dict[str, Tensor]) -> None:
        """Make room for buffers whose size is known only after a fit, before a state is loaded."""

    def save(self, directory: str | Path) -> None:
        """Write ``calibrator.json`` and ``calibrator.safetensors`` into ``directory``.

        Raises:
            ConfigError: If the last fit did not finish.
            DataError: If ``directory`` is a file.
        """
        self._check_finished()
        directory = Path(directory)
        if directory.is_file():
            raise DataError(f"{directory}: is a file; expected a folder for the model")
        directory.mkdir(parents=True, exist_ok=True)
        state = {key: value.contiguous() for key, value in self.state_dict().items()}
        weights = directory / (WEIGHTS_FILE + ".partial")
        save_file(state, weights)
        weights.replace(directory / WEIGHTS_FILE)
        text = {"format": FORMAT_VERSION, "calibrator": self.name, "config": self.config()}
        partial = directory / (CONFIG_FILE + ".partial")
        partial.write_text(json.dumps(text, indent=2, sort_keys=True) + "\n")
        partial.replace(directory / CONFIG_FILE)  # last: its presence says the model is whole

    def half(self) -> Self:
        """Not to be had: images and spectra need float32.

        Raises:
            ConfigError: Always; RHM's network has ``inference_precision``.
        """
        raise ConfigError(
            "a calibrator computes in float32; RHM takes rhm.inference_precision=bf16-mixed"
        )

    double = bfloat16 = half

    def _check_finished(self) -> None:
        if self._unfinished:
            raise ConfigError("the calibrator's last fit did not finish: call fit again")

    @classmethod
    def load(cls, directory: str | Path) -> Self:
        """Read a calibrator that :meth:`save` wrote.

        Raises:
            DataError: If the folder holds no calibrator, or one of another class.
        """
        found = load_calibrator(directory)
        if not isinstance(found, cls):
            raise DataError(f"{directory}: holds a {found.name} calibrator, not {cls.__name__}")
        return found


def load_calibrator(directory: str | Path) -> Calibrator:
    """Read any calibrator from its folder, in evaluation mode.

    Raises:
        DataError: If the folder holds no complete calibrator of a known class and format.
    """
    directory = Path(directory)
    config_path, weights_path = directory / CONFIG_FILE, directory / WEIGHTS_FILE
    for path in (config_path, weights_path):
        if not path.is_file():
            raise DataError(
                f"{directory}: no calibrator here ({path.name} is missing); "
                "expected a folder that `frerec fit out=DIR` wrote"
            )
    try:
        text = json.loads(config_path.read_text())
        kind, version, config = text["calibrator"], text["format"], text["config"]
        if not isinstance(kind, str) or not isinstance(config, dict):
            raise TypeError("calibrator is no name, or config no mapping")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{config_path}: not a calibrator's description ({error})") from error
    if kind not in Calibrator._registry:  # not imported before, because it needs Lightning
        import_module("frerec.calibration.frerec")
    if version != FORMAT_VERSION or kind not in Calibrator._registry:
        raise DataError(
            f"{config_path}: calibrator {kind!r} of format {version}: this version reads "
            f"{', '.join(sorted(Calibrator._registry))} of format {FORMAT_VERSION}; fit it again"
        )
    try:
        state = load_file(weights_path)
    except Exception as error:
        raise DataError(f"{weights_path}: unreadable ({error}); fit the model again") from error
    try:
        calibrator = Calibrator._registry[kind](**config)
        calibrator.prepare_for_state(state)
        # The file's own memory map becomes the state: a large bank is read as it is needed.
        for key, own in calibrator.state_dict().items():
            if key in state and state[key].dtype != own.dtype:
                raise ValueError(f"{key} is {state[key].dtype}, expected {own.dtype}")
        calibrator.load_state_dict(state, assign=True)
    except (RuntimeError, TypeError, KeyError, ValueError) as error:
        reason = " ".join(" ".join(str(error).splitlines()[:2]).split())
        raise DataError(f"{directory}: weights and description do not match ({reason})") from error
    return calibrator.eval()


def group_codes(groups: Groups, count: int) -> Tensor:
    """Patients as numbers: int64 ``[count]``, equal where the patient is equal.

    Raises:
        ConfigError: If there is not one group per image.
    """
    if groups is None:
        return torch.arange(count)
    names = groups.tolist() if isinstance(groups, Tensor | np.ndarray) else groups
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise ConfigError(f"groups={groups!r}: expected one number or id for each image")
    if len(names) != count:
        raise ConfigError(f"groups: {len(names)} given for {count} images")
    for name in names:
        if not isinstance(name, str | int | float) or name != name:
            raise ConfigError(f"groups: {name!r} is no patient; expected numbers or ids")
    codes = {name: code for code, name in enumerate(dict.fromkeys(names))}
    return torch.tensor([codes[name] for name in names], dtype=torch.long)
