"""Models from and to the Hugging Face Hub; the Hub is a server on the loopback, never the real one.

The client is the real `huggingface_hub`, so what it asks for and sends is what users' clients do.
"""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from fake_hub import FakeHub

from fixtures import textured_images
from frerec.calibration import Calibrator, Identity, StatisticalHighFrequencyReplacement
from frerec.calibration.model_card import MARK, real_images_held
from frerec.errors import ConfigError, DataError

pytest.importorskip("huggingface_hub", reason="needs frerec[hub]")

NAME = "clinic/model"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    """The only Hub there is, with an empty cache and no stored token."""
    import huggingface_hub.constants as constants

    official, resolve = constants.ENDPOINT, socket.getaddrinfo

    def loopback_only(host: str, *rest: Any, **more: Any) -> Any:
        assert host == "127.0.0.1", f"a test asked for {host}"
        return resolve(host, *rest, **more)

    fake = FakeHub()
    with fake.serve() as address:
        monkeypatch.setattr(constants, "ENDPOINT", address)
        template = address + constants.HUGGINGFACE_CO_URL_TEMPLATE.removeprefix(official)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr("socket.getaddrinfo", loopback_only)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield fake


@pytest.fixture(scope="module")
def fitted() -> StatisticalHighFrequencyReplacement:
    shr = StatisticalHighFrequencyReplacement(neighbours=2)
    return shr.fit(textured_images(12, seed=3))


def pushed(hub: FakeHub, model: Calibrator, name: str = NAME) -> FakeHub:
    model.push_to_hub(name, share_real_images=True)
    hub.asked.clear()
    return hub


def test_a_folder_is_loaded_and_gives_the_same_pixels(
    fitted: StatisticalHighFrequencyReplacement, tmp_path: Path
) -> None:
    fitted.save_pretrained(tmp_path / "model")
    images = textured_images(2, seed=4)
    found = StatisticalHighFrequencyReplacement.from_pretrained(str(tmp_path / "model"))
    assert torch.equal(found.transform(images), fitted.transform(images))


def test_what_was_pushed_comes_back_with_the_same_state_and_settings(
    hub: FakeHub, fitted: StatisticalHighFrequencyReplacement
) -> None:
    address = fitted.push_to_hub(NAME, share_real_images=True)
    assert address.endswith(hub.commit(NAME))
    found = Calibrator.from_pretrained(NAME)
    assert found.config() == fitted.config()
    assert found.state_dict().keys() == fitted.state_dict().keys()
    for key, value in fitted.state_dict().items():
        assert torch.equal(found.state_dict()[key], value), key


def test_only_the_two_model_files_are_fetched_whatever_a_repository_holds(
    hub: FakeHub, tmp_path: Path
) -> None:
    pushed(hub, Identity()).files[NAME]["weights.pkl"] = b"cos\nsystem\n"
    Calibrator.from_pretrained(NAME, cache_dir=tmp_path / "here")
    fetched = {path.name for path in (tmp_path / "here").glob("*/snapshots/*/*")}
    assert fetched == {"calibrator.json", "calibrator.safetensors"}
    assert not any("pkl" in request for request in hub.asked)


def test_a_cached_model_needs_no_network(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    pushed(hub, Identity())
    Calibrator.from_pretrained(NAME)
    hub.asked.clear()
    assert isinstance(Calibrator.from_pretrained(NAME, local_files_only=True), Identity)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert isinstance(Calibrator.from_pretrained(NAME), Identity)
    assert hub.asked == []


@pytest.mark.parametrize("how", ["argument", "environment", "no server"])
def test_without_cache_and_network_one_line_says_so(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    pushed(hub, Identity())
    if how == "environment":
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    if how == "no server":
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DataError, match="not in the cache, and the Hub was not reached") as caught:
        Calibrator.from_pretrained(NAME, local_files_only=how == "argument")
    assert "\n" not in str(caught.value)
    assert hub.asked == []


def test_hf_hub_offline_is_obeyed_by_a_fresh_process(tmp_path: Path) -> None:
    code = f"from frerec.calibration import Calibrator; Calibrator.from_pretrained({NAME!r})"
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1
    assert re.search(r"DataError: clinic/model: not in the cache", last)


def test_a_missing_repository_a_missing_revision_and_a_missing_file_are_named(
    hub: FakeHub, fitted: StatisticalHighFrequencyReplacement
) -> None:
    with pytest.raises(DataError, match="clinic/model: no such repository"):
        Calibrator.from_pretrained(NAME)
    pushed(hub, fitted)
    with pytest.raises(DataError, match="clinic/model: has no revision v9"):
        Calibrator.from_pretrained(NAME, revision="v9")
    del hub.files[NAME]["calibrator.safetensors"]
    with pytest.raises(DataError, match=r"clinic/model: calibrator\.safetensors is missing"):
        Calibrator.from_pretrained(NAME)


def test_another_class_than_the_one_asked_for_is_refused(hub: FakeHub) -> None:
    pushed(hub, Identity())
    with pytest.raises(DataError, match="identity calibrator, not Statistical"):
        StatisticalHighFrequencyReplacement.from_pretrained(NAME)


@pytest.mark.parametrize(
    "name", ["model", "a/b/c", "../up", "a/..", "/no/where", "a b/c", "", "~x"]
)
def test_a_name_that_is_neither_folder_nor_repository_is_refused_saying_both(name: str) -> None:
    with pytest.raises(ConfigError, match="neither an existing folder nor a repository") as caught:
        Identity.from_pretrained(name)
    assert "\n" not in str(caught.value)


def test_a_path_object_is_never_taken_for_a_repository(hub: FakeHub) -> None:
    pushed(hub, Identity())
    with pytest.raises(ConfigError, match="neither an existing folder"):
        Identity.from_pretrained(Path(NAME))
    assert hub.asked == []


def test_a_revision_of_a_folder_is_refused(tmp_path: Path) -> None:
    Identity().save(tmp_path)
    with pytest.raises(ConfigError, match="revision=v1"):
        Identity.from_pretrained(tmp_path, revision="v1")


def test_without_the_extra_a_folder_loads_and_a_repository_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    Identity().save_pretrained(tmp_path)
    assert isinstance(Identity.from_pretrained(tmp_path), Identity)
    for call in (Identity.from_pretrained, Identity().push_to_hub):
        with pytest.raises(ConfigError, match=r"pip install 'frerec\[hub\]'"):
            call(NAME)


@pytest.mark.parametrize("private", [True, False])
def test_real_images_leave_only_when_asked(
    hub: FakeHub, fitted: StatisticalHighFrequencyReplacement, private: bool
) -> None:
    with pytest.raises(ConfigError, match=r"12 real images .* share_real_images=True"):
        fitted.push_to_hub(NAME, private=private)
    assert hub.asked == []
    fitted.push_to_hub(NAME, private=private, share_real_images=True)
    assert hub.private[NAME] is private


def test_a_model_without_images_needs_no_consent(hub: FakeHub) -> None:
    Identity().push_to_hub(NAME)
    assert hub.private[NAME]


def test_nothing_goes_to_a_repository_that_is_public_already_unless_public_was_meant(
    hub: FakeHub, fitted: StatisticalHighFrequencyReplacement
) -> None:
    hub.create(NAME, private=False)
    with pytest.raises(ConfigError, match="clinic/model: exists and is public"):
        fitted.push_to_hub(NAME, share_real_images=True)
    assert hub.files[NAME] == {}
    fitted.push_to_hub(NAME, share_real_images=True, private=False)
    assert set(hub.files[NAME]) == {"README.md", "calibrator.json", "calibrator.safetensors"}


def test_a_push_makes_its_branch_and_a_pushed_branch_can_be_loaded(hub: FakeHub) -> None:
    Identity().push_to_hub(NAME, revision="v2")
    assert "v2" in hub.branches[NAME]
    assert isinstance(Identity.from_pretrained(NAME, revision="v2"), Identity)


def test_a_refused_upload_is_one_line(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DataError, match="clinic/model: uploading failed") as caught:
        Identity().push_to_hub(NAME)
    assert "\n" not in str(caught.value)


def test_the_card_tells_what_the_model_is_and_how_many_images_it_holds(
    fitted: StatisticalHighFrequencyReplacement, tmp_path: Path
) -> None:
    fitted.report = {"psnr": 31.25, "steps": 500, "note": "text"}
    fitted.save_pretrained(tmp_path)
    text = (tmp_path / "README.md").read_text()
    front = yaml.safe_load(text.split("---")[1])
    assert front["library_name"] == "frerec"
    assert "frequency-calibration" in front["tags"]
    assert "license" not in front
    assert "| real images held | 12 |" in text
    assert "1 channel(s), 32 x 32 pixels" in text
    assert "| psnr | 31.25 |" in text
    assert "2511.12301" in text
    config = re.search(r"```json\n(.*?)```", text, re.DOTALL)
    assert config is not None
    assert json.loads(config[1]) == fitted.config()
    fitted.report = {}


def test_the_cards_example_loads_the_model_that_was_pushed(hub: FakeHub) -> None:
    Identity().push_to_hub(NAME)
    card = hub.files[NAME]["README.md"].decode()
    example = re.search(r"```python\n(.*?)```", card, re.DOTALL)
    assert example is not None
    scope: dict[str, object] = {"images": textured_images(2, seed=5)}
    exec(example[1], scope)
    assert torch.equal(scope["calibrated"], scope["images"])  # type: ignore[arg-type]


def test_a_card_of_ones_own_is_kept_and_one_of_ours_is_renewed(
    fitted: StatisticalHighFrequencyReplacement, tmp_path: Path
) -> None:
    card = tmp_path / "README.md"
    Identity().save_pretrained(tmp_path)
    fitted.save_pretrained(tmp_path)
    assert "| real images held | 12 |" in card.read_text()
    card.write_text(card.read_text().replace(MARK, "") + "my words")
    Identity().save_pretrained(tmp_path)
    assert card.read_text().endswith("my words")


def test_a_push_without_a_card_leaves_the_repositorys_own(hub: FakeHub) -> None:
    hub.create(NAME, private=True)
    hub.files[NAME]["README.md"] = b"mine"
    Identity().push_to_hub(NAME, card=False)
    assert hub.files[NAME]["README.md"] == b"mine"


def test_images_are_counted_in_every_bank_of_a_calibrator(
    fitted: StatisticalHighFrequencyReplacement,
) -> None:
    outer = Identity()
    outer.inner = torch.nn.ModuleList([fitted, fitted.bank])
    assert real_images_held(outer) == 12
    assert real_images_held(Identity()) == 0
