"""A fixed number of steps, the best weights by AUC, and a kill that changes nothing."""

import json
import multiprocessing
import os
import signal

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from torch import nn
from torch.utils.data import TensorDataset

from frerec.classification import Classifier, predict, restore_best, train_classifier
from frerec.data.transforms import training_augmentation
from frerec.errors import ConfigError, DataError
from frerec.training_tools import load_checkpoint


def images_of_two_classes(count: int, seed: int, classes: int = 2) -> TensorDataset:
    """Noise with a brighter centre, the brighter the higher the class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    pixels = rng.uniform(0, 0.6, (count, 1, 16, 16)).astype(np.float32)
    pixels[:, :, 4:12, 4:12] += 0.12 * labels[:, None, None, None]
    return TensorDataset(torch.from_numpy(pixels), torch.from_numpy(labels))


TRAIN, VAL = images_of_two_classes(50, 0), images_of_two_classes(30, 1)


def classifier(**changes) -> Classifier:
    arguments = {
        "library": "timm", "name": "resnet10t", "num_classes": 2, "in_channels": 1,
        "image_size": 32, "lr": 1e-2, "schedule": "cosine", "warmup_steps": 2,
    } | changes  # fmt: skip
    model = Classifier(**arguments)
    # A small network with dropout and running statistics: all that a resume could get wrong.
    torch.manual_seed(0)
    model.backbone = nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(),
        nn.Dropout(0.3), nn.Linear(196, arguments["num_classes"]),
    )  # fmt: skip
    return model


def train(directory, model=None, train_set=TRAIN, val_set=VAL, **changes):
    model = classifier() if model is None else model
    arguments = {"steps": 7, "batch_size": 8, "seed": 4, "eval_every": 3} | changes
    record = train_classifier(
        model, train_set, val_set, directory=directory, accelerator="cpu",
        transform=training_augmentation("brain_mri"), **arguments,
    )  # fmt: skip
    return model, record


def log(directory) -> pd.DataFrame:
    return pd.read_json(directory / "log.jsonl", lines=True)


class Power:
    """A data set whose power fails after some images."""

    def __init__(self, images, left, failure):
        self.images, self.left, self.failure = images, left, failure

    def __len__(self):
        return len(self.images)

    def __getitem__(self, row):
        self.left -= 1
        if self.left < 0:
            self.failure()
        return self.images[row]


def cut() -> None:
    raise OSError("power cut")


def same_weights(first, second) -> bool:
    mine, theirs = first.state_dict(), second.state_dict()
    return all(torch.equal(mine[key], theirs[key]) for key in mine)


@pytest.mark.parametrize("images_before_the_cut", [5, 30, 49])
def test_an_interrupted_training_ends_where_an_uninterrupted_one_does(
    tmp_path, images_before_the_cut
):
    whole, record = train(tmp_path / "whole")
    with pytest.raises(OSError, match="power cut"):
        train(tmp_path / "cut", train_set=Power(TRAIN, images_before_the_cut, cut))
    torch.manual_seed(123)  # nothing may depend on the process's random numbers
    resumed, again = train(tmp_path / "cut")
    assert same_weights(whole, resumed)
    assert again.best_val_auc == record.best_val_auc
    assert again.best_step == record.best_step
    left, right = log(tmp_path / "whole"), log(tmp_path / "cut")
    pd.testing.assert_frame_equal(left.drop(columns="time"), right.drop(columns="time"))


def test_a_training_killed_by_the_system_ends_the_same(tmp_path):
    whole, _ = train(tmp_path / "whole")

    def train_and_die() -> None:
        torch.set_num_threads(1)
        train(
            tmp_path / "killed",
            train_set=Power(TRAIN, 52, lambda: os.kill(os.getpid(), signal.SIGKILL)),
        )

    child = multiprocessing.get_context("fork").Process(target=train_and_die)
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    assert load_checkpoint(tmp_path / "killed" / "last.ckpt")["callbacks"]["_Loop"]["step"] == 6
    resumed, _ = train(tmp_path / "killed")
    assert same_weights(whole, resumed)


def test_a_kill_while_a_checkpoint_is_written_leaves_the_former(tmp_path, monkeypatch):
    whole, _ = train(tmp_path / "whole")
    save, calls = torch.save, []

    def half_a_save(content, path):
        calls.append(path)
        if len([p for p in calls if p.name.startswith("last")]) == 2:
            path.write_bytes(b"half a checkpoint")
            cut()
        save(content, path)

    with monkeypatch.context() as patched:
        patched.setattr("frerec.training_tools.checkpoints.torch.save", half_a_save)
        with pytest.raises(OSError, match="power cut"):
            train(tmp_path / "cut")
    resumed, _ = train(tmp_path / "cut")
    assert same_weights(whole, resumed)


def test_a_finished_training_is_not_redone(tmp_path):
    trained, record = train(tmp_path)
    stamp = (tmp_path / "last.ckpt").stat().st_mtime_ns
    again, record_again = train(tmp_path, train_set=Power(TRAIN, 0, cut))
    assert same_weights(trained, again)
    assert record_again == record
    assert (tmp_path / "last.ckpt").stat().st_mtime_ns == stamp


def test_workers_do_not_change_the_result(tmp_path):
    alone, _ = train(tmp_path / "alone")
    helped, _ = train(tmp_path / "helped", num_workers=2)
    assert same_weights(alone, helped)


def test_the_process_random_numbers_are_left_alone(tmp_path):
    model = classifier()
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    train(tmp_path, model)
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize(("steps", "evaluations"), [(2, [2]), (6, [3, 6]), (7, [3, 6, 7])])
def test_steps_are_exact_and_evaluations_come_on_time_and_at_the_end(tmp_path, steps, evaluations):
    _, record = train(tmp_path, steps=steps)
    assert (record.steps, record.images_seen) == (steps, 8 * steps)
    lines = log(tmp_path)
    assert lines[lines["val/auc"].notna()]["step"].tolist() == evaluations
    moments = load_checkpoint(tmp_path / "last.ckpt")["optimizer_states"][0]["state"]
    assert {int(moment["step"]) for moment in moments.values()} == {steps}
    assert record.seconds > 0


def test_the_best_weights_are_those_of_the_best_evaluation(tmp_path):
    model, record = train(tmp_path, steps=30)
    curve = log(tmp_path).dropna(subset="val/auc").set_index("step")["val/auc"]
    assert record.best_val_auc == pytest.approx(curve.max(), abs=1e-6)
    assert record.best_step == curve[curve >= curve.max() - 1e-9].index[0]  # ties: the earliest
    probabilities = predict(restore_best(model, record), VAL, 8, accelerator="cpu")
    labels = VAL.tensors[1].numpy()
    expected = roc_auc_score(labels, probabilities[:, 1])
    assert record.best_val_auc == pytest.approx(expected, abs=1e-6)
    assert expected > 0.7
    assert [p.name for p in tmp_path.glob("best*")] == [record.best_checkpoint.name]


def test_of_equal_evaluations_the_earliest_is_the_best(tmp_path):
    model = classifier(lr=1e-12)
    model.backbone = nn.Sequential(nn.Flatten(), nn.Linear(256, 2))
    _, record = train(tmp_path, model)
    assert log(tmp_path)["val/auc"].dropna().nunique() == 1
    assert record.best_step == 3


@pytest.mark.parametrize("classes", [2, 4])
def test_validation_metrics_agree_with_scikit_learn(tmp_path, classes):
    val_set = images_of_two_classes(37, 2, classes)
    model = classifier(num_classes=classes)
    train_set = images_of_two_classes(40, 3, classes)
    model, _ = train(tmp_path, model, train_set, val_set, steps=3)
    logged = log(tmp_path).dropna(subset="val/auc").iloc[-1]
    probabilities = predict(model, val_set, 10, accelerator="cpu").astype(np.float64)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    labels = val_set.tensors[1].numpy()
    score = probabilities[:, 1] if classes == 2 else probabilities
    auc = roc_auc_score(labels, score, multi_class="ovr")
    assert logged["val/auc"] == pytest.approx(auc, abs=1e-5)
    accuracy = accuracy_score(labels, probabilities.argmax(1))
    assert logged["val/accuracy"] == pytest.approx(accuracy, abs=1e-6)
    assert logged["val/loss"] == pytest.approx(log_loss(labels, probabilities), abs=1e-4)


def test_predictions_are_in_order_and_repeatable(tmp_path):
    model = classifier()
    first = predict(model, VAL, 7, accelerator="cpu")
    assert first.shape == (30, 2)
    np.testing.assert_allclose(first.sum(1), 1, atol=1e-6)
    np.testing.assert_array_equal(first, predict(model, VAL, 7, accelerator="cpu"))
    with torch.no_grad():
        alone = model.eval()(VAL.tensors[0][11:12]).softmax(1).numpy()
    np.testing.assert_allclose(first[11:12], alone, atol=1e-6)


def test_checkpoints_hold_plain_values_only(tmp_path):
    model = Classifier(
        library="timm", name="resnet10t", num_classes=2, in_channels=1, image_size=32,
        mean=(0.4,), class_weights=[0.7, 1.3], checkpoint_path=None,
    )  # fmt: skip
    _, record = train(tmp_path, model, steps=1)
    for path in (record.best_checkpoint, tmp_path / "last.ckpt"):
        torch.load(path, weights_only=True)
    loaded = Classifier.load_from_checkpoint(record.best_checkpoint, weights_only=True)
    assert loaded.hparams["class_weights"] == [0.7, 1.3]
    ours = predict(restore_best(model, record), VAL, 8, accelerator="cpu")
    np.testing.assert_array_equal(predict(loaded, VAL, 8, accelerator="cpu"), ours)


def test_the_log_has_one_json_object_a_line(tmp_path):
    train(tmp_path, steps=24, eval_every=6)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert all({"step", "time"} <= line.keys() for line in lines)
    losses = [line["step"] for line in lines if "train/loss" in line]
    assert losses == [6, 10, 12, 18, 20, 24]
    assert len({(line["step"], tuple(line)) for line in lines}) == len(lines)


def test_what_a_kill_made_obsolete_leaves_the_log(tmp_path):
    plan = {"steps": 24, "eval_every": 12}
    train(tmp_path / "whole", **plan)
    with pytest.raises(OSError, match="power cut"):
        train(tmp_path / "cut", train_set=Power(TRAIN, 22 * 8, cut), **plan)
    assert log(tmp_path / "cut")["step"].tolist()[-1] == 20  # beyond the checkpoint at 12
    with (tmp_path / "cut" / "log.jsonl").open("a") as file:
        file.write('{"step": 2')  # the kill came in the middle of a line
    train(tmp_path / "cut", **plan)
    left, right = log(tmp_path / "whole"), log(tmp_path / "cut")
    pd.testing.assert_frame_equal(left.drop(columns="time"), right.drop(columns="time"))


def test_another_plan_in_the_same_folder_is_refused(tmp_path):
    train(tmp_path, steps=2)
    with pytest.raises(ConfigError, match="another steps and seed"):
        train(tmp_path, steps=3, seed=9)
    with pytest.raises(ConfigError, match="another model"):
        train(tmp_path, classifier(lr=1e-3), steps=2)


def test_bad_sets_and_numbers_are_one_line_errors(tmp_path):
    empty = TensorDataset(torch.zeros(0, 1, 16, 16), torch.zeros(0, dtype=torch.int64))
    one_class = TensorDataset(VAL.tensors[0], torch.ones(30, dtype=torch.int64))
    for error, words, changes in (
        (DataError, "training set is empty", {"train_set": empty}),
        (DataError, "validation set is empty", {"val_set": empty}),
        (DataError, "validation set has images of class number 1 only", {"val_set": one_class}),
        (ConfigError, "steps=0: expected an integer", {"steps": 0}),
        (ConfigError, "batch_size=0", {"batch_size": 0}),
        (ConfigError, "eval_every=0", {"eval_every": 0}),
    ):
        with pytest.raises(error, match=words) as caught:
            train(tmp_path, **changes)
        assert "\n" not in str(caught.value)


def test_a_damaged_checkpoint_is_named(tmp_path):
    train(tmp_path, steps=2)
    (tmp_path / "last.ckpt").write_bytes(b"PK half")
    with pytest.raises(DataError, match=r"last\.ckpt: not a readable checkpoint"):
        train(tmp_path, steps=2)


def test_divergence_is_an_error_that_names_the_learning_rate(tmp_path):
    with pytest.raises(ConfigError, match=r"training diverged.*lower the learning rate"):
        train(tmp_path, classifier(lr=1e30, warmup_steps=0), steps=30)
