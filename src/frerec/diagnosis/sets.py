"""One pass over a set of images: measured as they are and, with a calibrator, after it."""

import sys
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from frerec.calibration import Calibrator
from frerec.calibration.bank import RealBank, content_keys
from frerec.data.components import connected
from frerec.diagnosis.images import Files, Reading, read_batches
from frerec.diagnosis.measuring import Spectra, SpectraMeter
from frerec.errors import DataError
from frerec.evaluation.image_quality import psnr, ssim


@dataclass(frozen=True)
class Measured:
    """A set of N images, measured.

    Attributes:
        rows: which of the set's files they are; fewer where some could not be read.
        raw: spectra of the images as they are.
        calibrated: of the images after the calibrator, None without one.
        keys: a number for each image's content, int64 ``[N]``.
        fit_groups: the group that each image had when the calibrator was fitted, -1 where it took
            no part in that; int64 ``[N]``.
        psnr, ssim: of each calibrated image against itself before (dB, and -1 to 1), or None.
        before, after: a few images ``[n, C, H, W]`` in [0, 1] to be shown; `after` may be None.
    """

    rows: NDArray[np.int64]
    raw: Spectra
    calibrated: Spectra | None
    keys: NDArray[np.int64]
    fit_groups: NDArray[np.int64]
    psnr: NDArray[np.float64] | None
    ssim: NDArray[np.float64] | None
    before: Tensor
    after: Tensor | None

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Pass:
    """How a set is gone through.

    Attributes:
        reading: channels and size.
        size: height and width of every image.
        calibrator: what is diagnosed, or None.
        bits: calibrated images are rounded to so many, as `frerec calibrate` writes them.
        batch_size: images held at once.
        skip: leave images out that cannot be read.
        shown: how many images are kept to be shown, spread over the set.
        progress: show a bar on a terminal.
    """

    reading: Reading
    size: tuple[int, int]
    calibrator: Calibrator | None
    bits: int = 8
    batch_size: int = 32
    skip: bool = False
    shown: int = 4
    progress: bool = True


def measure_set(files: Files, how: Pass) -> Measured:
    """Go through a set once, in bounded memory.

    Raises:
        DataError: If an image cannot be read (unless such images are skipped), or none can.
    """
    raw, calibrated = SpectraMeter(), SpectraMeter()
    rows: list[int] = []
    keys, groups, fidelity = [], [], []
    before, after = [], []
    wanted = set(np.linspace(0, len(files) - 1, min(how.shown, len(files))).astype(int).tolist())
    hidden = not (how.progress and sys.stderr.isatty())
    with tqdm(total=len(files), desc=files.key, unit="image", disable=hidden) as bar:
        batches = read_batches(
            files, how.reading, how.size, batch_size=how.batch_size, skip=how.skip
        )
        for numbers, images in batches:
            if not numbers:
                continue
            raw.add(images)
            rows += numbers
            keys.append(content_keys(images))
            groups.append(groups_of_fit(how.calibrator, images))
            show = [k for k, number in enumerate(numbers) if number in wanted]
            before.append(images[show])
            if how.calibrator is not None:
                mended = calibrate(how.calibrator, images, how.bits)
                calibrated.add(mended)
                fidelity.append((psnr(mended, images), ssim(mended, images).double()))
                after.append(mended[show])
            bar.update(len(numbers))
    if not rows:
        raise DataError(f"{files.key}={files.root}: none of its images can be read; replace them")
    has = how.calibrator is not None
    return Measured(
        rows=np.array(rows, dtype=np.int64),
        raw=raw.spectra(),
        calibrated=calibrated.spectra() if has else None,
        keys=torch.cat(keys).numpy(),
        fit_groups=torch.cat(groups).numpy(),
        psnr=torch.cat([p for p, _ in fidelity]).numpy() if has else None,
        ssim=torch.cat([s for _, s in fidelity]).numpy() if has else None,
        before=torch.cat(before),
        after=torch.cat(after) if has else None,
    )


def calibrate(calibrator: Calibrator, images: Tensor, bits: int) -> Tensor:
    """Calibrated images ``[B, C, H, W]`` on the CPU, rounded to 8 or 16 bits."""
    largest = 2**bits - 1
    mended = calibrator.transform(images.to(calibrator.device)).cpu()
    rounded: Tensor = (mended.clamp(0, 1) * largest).round() / largest
    return rounded


def groups_of_fit(calibrator: Calibrator | None, images: Tensor) -> Tensor:
    """Each image's group in the fit, by its content; int64 ``[B]``, -1 for images unknown to it."""
    groups = torch.full((len(images),), -1, dtype=torch.long)
    banks = [m for m in calibrator.modules() if isinstance(m, RealBank)] if calibrator else []
    for bank in banks:
        if len(bank) and tuple(bank.shape[1:]) == tuple(images.shape[1:]):
            query, member = bank.known(images).cpu().nonzero(as_tuple=True)
            groups[query] = bank.known_groups.cpu()[member]
    return groups


def join_groups(
    real: Measured, synthetic: Measured, patients: list[str] | None
) -> tuple[NDArray[np.int64], str]:
    """Which images must stay together when sets are cut or drawn from.

    Real images of one patient belong together, by the table of patients or else by the
    calibrator's fit; so do images of the same content, in whichever set they are.

    Args:
        real: N images.
        synthetic: M images.
        patients: of the real images' files, or None.

    Returns:
        int64 ``[N + M]``, equal within a group, and in words where the groups are from.
    """
    count = len(real) + len(synthetic)
    own = [f"image {k}" for k in range(count)]
    source = "every image by itself"
    if patients is not None:
        own[: len(real)] = [f"patient {patients[row]}" for row in real.rows]
        source = "the table of patients"
    elif (real.fit_groups >= 0).any():
        known = enumerate(real.fit_groups.tolist())
        own[: len(real)] = [f"fit {code}" if code >= 0 else own[k] for k, code in known]
        source = "the model's fit"
    keys = [f"content {key}" for part in (real, synthetic) for key in part.keys.tolist()]
    codes = {name: count + k for k, name in enumerate(dict.fromkeys(own + keys))}
    edges = [(k, codes[name]) for names in (own, keys) for k, name in enumerate(names)]
    return connected(np.array(edges), count + len(codes))[:count], source
