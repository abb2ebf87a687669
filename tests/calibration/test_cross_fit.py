"""Cross-fitting: no image of the fit goes through an RHM that saw it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fixtures import textured_images
from frerec.calibration import FreRec, load_calibrator
from frerec.calibration.cross_fit import folds_of, map_by_fold, patient_folds
from frerec.calibration.rhm_pairs import DegradedPairs
from frerec.errors import ConfigError, DataError
from frerec.training_tools import Draw

QUICK = {"steps": 2, "batch_size": 4, "eval_every": 1, "accelerator": "cpu"}
GROUPS = [n // 2 for n in range(24)]


@pytest.fixture(scope="module")
def real() -> torch.Tensor:
    return textured_images(24, seed=1)


@pytest.fixture(scope="module")
def fitted(real: torch.Tensor) -> FreRec:
    torch.set_num_threads(1)
    model = FreRec(shr={"neighbours": 4}, rhm={"learning_rate": 1e-2}, training=QUICK, cross_fit=3)
    return model.fit(real, GROUPS)


class Add(nn.Module):
    """Adds a number, and counts the images that it saw."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self.number, self.seen = number, 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """``images`` plus the number."""
        self.seen += len(images)
        return images + self.number


@settings(deadline=None, max_examples=40)
@given(
    groups=st.lists(st.integers(0, 30), min_size=40, max_size=80),
    count=st.integers(2, 4),
    seed=st.integers(0, 5),
)
def test_patients_stay_whole_and_every_rhm_has_two_to_train_on(
    groups: list[int], count: int, seed: int
) -> None:
    patients = torch.tensor(groups)
    keys = torch.arange(len(groups))
    if len(set(groups)) < 2 * count:
        return
    folds = patient_folds(patients, keys, count, seed=seed)
    for patient in set(groups):
        assert len(folds[patients == patient].unique()) == 1
    assert folds.unique().tolist() == list(range(count))
    for fold in range(count):
        assert len(patients[folds != fold].unique()) >= 2
    assert torch.equal(folds, patient_folds(patients, keys, count, seed=seed))


def test_folds_hold_about_the_same_number_of_images() -> None:
    folds = patient_folds(torch.arange(60) // 2, torch.arange(60), 4, seed=0)
    sizes = folds.bincount()
    assert sizes.max() - sizes.min() <= 2


def test_patients_who_share_an_image_share_a_fold() -> None:
    patients, keys = torch.arange(40), torch.arange(40)
    keys[[3, 17, 31]] = 99
    for seed in range(10):
        folds = patient_folds(patients, keys, 4, seed=seed)
        assert folds[3] == folds[17] == folds[31]


def test_too_few_patients_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"cross_fit=4.*8 patients.*found 6"):
        patient_folds(torch.arange(12) // 2, torch.arange(12), 4, seed=0)


@pytest.mark.parametrize("unseen", ["mean", "first"])
def test_images_go_through_the_model_of_their_fold_and_through_no_other(unseen: str) -> None:
    models = nn.ModuleList([Add(1.0), Add(2.0), Add(6.0)])
    images = torch.rand(6, 1, 3, 3)
    fold = torch.tensor([0, 2, -1, 1, 2, -1])
    out = map_by_fold(models, images, fold, unseen=unseen)  # type: ignore[arg-type]
    other = 3.0 if unseen == "mean" else 1.0
    added = torch.tensor([1.0, 6.0, other, 2.0, 6.0, other])
    torch.testing.assert_close(out, images + added[:, None, None, None])
    expected = [3, 3, 4] if unseen == "mean" else [3, 1, 2]
    assert [model.seen for model in models] == expected  # type: ignore[attr-defined]


def test_an_image_of_the_fit_is_recognised_and_others_are_not(
    fitted: FreRec, real: torch.Tensor
) -> None:
    bank = fitted.shr.bank
    assert torch.equal(folds_of(bank.known(real), fitted.folds), fitted.folds)
    others = textured_images(3, seed=9)
    assert folds_of(bank.known(others), fitted.folds).tolist() == [-1, -1, -1]


def test_no_rhm_is_trained_on_an_image_of_its_fold(real: torch.Tensor) -> None:
    seen: list[set[bytes]] = []
    original = DegradedPairs.__init__

    def watched(self: DegradedPairs, shr: object, images: object, rows: object, *args: object,
                **kwargs: object) -> None:  # fmt: skip
        seen.append({image.numpy().tobytes() for image in images[rows]})  # type: ignore[index]
        original(self, shr, images, rows, *args, **kwargs)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DegradedPairs, "__init__", watched)
        training = {**QUICK, "steps": 1}
        model = FreRec(shr={"neighbours": 4}, training=training, cross_fit=3).fit(real, GROUPS)
    assert len(seen) == 3
    for fold, images in enumerate(seen):
        for row in range(len(real)):
            if model.folds[row] == fold:
                assert real[row].numpy().tobytes() not in images


def test_a_training_image_gets_its_own_folds_rhm(fitted: FreRec, real: torch.Tensor) -> None:
    with torch.no_grad():
        coarse = fitted.shr(real[:6])
        expected = torch.cat(
            [
                fitted.rhms[int(fold)](image[None])
                for fold, image in zip(fitted.folds[:6], coarse, strict=True)
            ]
        )
    assert torch.equal(fitted.transform(real[:6]), expected)


def test_an_unseen_image_gets_the_first_or_the_mean(fitted: FreRec) -> None:
    images = textured_images(3, seed=9)
    with torch.no_grad():
        outputs = torch.stack([rhm(fitted.shr(images)) for rhm in fitted.rhms])
    assert torch.equal(fitted.transform(images), outputs[0])
    mean = FreRec(**{**fitted.config(), "unseen": "mean"})
    state = dict(fitted.state_dict())
    mean.prepare_for_state(state)
    mean.load_state_dict(state)
    torch.testing.assert_close(mean.transform(images), outputs.mean(0), atol=1e-6, rtol=0)


def test_an_image_gives_the_same_pixels_alone_and_in_any_batch(
    fitted: FreRec, real: torch.Tensor
) -> None:
    images = torch.cat([real[:5], textured_images(3, seed=9)])
    together = fitted.transform(images)
    alone = torch.cat([fitted.transform(image[None]) for image in images])
    assert torch.equal(together, alone)
    assert torch.equal(fitted.transform(images.flip(0), batch_size=3).flip(0), together)


def test_a_saved_model_holds_all_rhms_and_the_folds(
    fitted: FreRec, real: torch.Tensor, tmp_path: Path
) -> None:
    fitted.save(tmp_path)
    loaded = load_calibrator(tmp_path)
    assert isinstance(loaded, FreRec)
    assert len(loaded.rhms) == 3
    assert torch.equal(loaded.folds, fitted.folds)
    assert torch.equal(loaded.transform(real), fitted.transform(real))


def test_the_report_has_every_fold_and_their_mean(fitted: FreRec) -> None:
    folds = fitted.report["folds"]
    assert len(folds) == 3
    assert fitted.report["psnr"] == pytest.approx(np.mean([fold["psnr"] for fold in folds]))


def test_a_killed_fit_goes_on_in_its_fold(
    fitted: FreRec, real: torch.Tensor, tmp_path: Path
) -> None:
    calls = 0
    original = DegradedPairs.__getitem__

    def dying(self: DegradedPairs, draw: Draw) -> tuple[torch.Tensor, torch.Tensor]:
        nonlocal calls
        calls += 1
        if calls > 3 * 4:  # in the second step of the second fold
            raise KeyboardInterrupt
        return original(self, draw)

    def model() -> FreRec:
        return FreRec(
            shr={"neighbours": 4}, rhm={"learning_rate": 1e-2}, training=QUICK, cross_fit=3
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DegradedPairs, "__getitem__", dying)
        with pytest.raises(KeyboardInterrupt):
            model().fit(real, GROUPS, directory=tmp_path)
    assert (tmp_path / "fold-1" / "last.ckpt").exists()
    assert (tmp_path / "fold-2" / "last.ckpt").exists()
    assert not (tmp_path / "fold-3").exists()
    resumed = model().fit(real, GROUPS, directory=tmp_path)
    for (name, a), b in zip(
        fitted.state_dict().items(), resumed.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b), name


def test_without_cross_fitting_there_is_one_rhm(real: torch.Tensor) -> None:
    assert len(FreRec().rhms) == len(FreRec(cross_fit=1).rhms) == 1
    assert FreRec().config()["cross_fit"] == 1


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ConfigError, match="cross_fit=0"):
        FreRec(cross_fit=0)
    with pytest.raises(ConfigError, match="unseen=last"):
        FreRec(cross_fit=2, unseen="last")  # type: ignore[arg-type]
    with pytest.raises((ConfigError, DataError), match="cross_fit=9"):
        FreRec(shr={"neighbours": 4}, training=QUICK, cross_fit=9).fit(
            textured_images(12), list(range(12))
        )
