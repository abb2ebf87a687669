"""``frerec diagnose`` on folders, through the command line."""

import json
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from fixtures import textured_images, write_tree
from frerec.cli import main
from frerec.diagnosis import Settings
from frerec.diagnosis import diagnose as compute
from frerec.diagnosis.run import strict

COUNT = 24


def weakened(images: torch.Tensor, factor: float = 0.3) -> torch.Tensor:
    """Their high band (rho >= 0.5) attenuated."""
    spectrum = torch.fft.fft2(images)
    rows, columns = (torch.fft.fftfreq(n) / 0.5 for n in images.shape[-2:])
    high = torch.hypot(rows[:, None], columns[None, :]) >= 0.5
    return torch.fft.ifft2(torch.where(high, factor * spectrum, spectrum)).real.clamp(0, 1)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real images, samples with a weak high band, and a calibrator fitted on the real ones."""
    root = tmp_path_factory.mktemp("diagnose")
    names = [f"{'ab'[i % 2]}/{i:02}.png" for i in range(COUNT)]
    write_tree(root / "real", textured_images(COUNT, seed=1), names)
    write_tree(root / "synthetic", weakened(textured_images(COUNT, seed=2)), names)
    fit = ["calibrator=shr", "calibrator.neighbours=4", f"paths.store={root / 'store'}"]
    where = [f"data.root={root / 'real'}", f"out={root / 'model'}"]
    assert main(["fit", "data=folder", *where, *fit]) == 0
    return root


def diagnose(root: Path, out: Path, *more: str) -> int:
    sets = [f"real={root / 'real'}", f"synthetic={root / 'synthetic'}"]
    keys = {o.partition("=")[0] for o in more}
    kept = [o for o in sets if o.partition("=")[0] not in keys]
    return main(["diagnose", *kept, f"out={out}", *more])


def numbers(out: Path):
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no strict JSON")

    return json.loads((out / "diagnosis.json").read_text(), parse_constant=refuse)


def measured(root: Path, **settings: Any) -> dict[str, Any]:
    """The numbers alone, without figures and page."""
    given = {"real": str(root / "real"), "synthetic": str(root / "synthetic")} | settings
    found: dict[str, Any] = strict(compute(Settings(**given), progress=False).numbers)
    return found


def failure(capsys: pytest.CaptureFixture[str]) -> str:
    text = capsys.readouterr().err
    assert "Traceback" not in text
    lines = [line for line in text.splitlines() if line.startswith("frerec: error: ")]
    assert len(lines) == 1
    return lines[0]


@pytest.fixture(scope="module")
def diagnosed(folders: Path) -> Path:
    assert diagnose(folders, folders / "out", f"model={folders / 'model'}") == 0
    return folders / "out"


def test_a_weak_high_band_is_found_and_a_calibrator_mends_it(diagnosed: Path) -> None:
    found = numbers(diagnosed)["comparisons"]
    before, after = found["before"], found["after_against_calibrated_real"]
    assert before["power_high_db"]["high"] < -3
    assert before["detectors"]["trained_anew"]["logistic"]["value"] > 0.95
    assert after["lsd_high_db"]["value"] < 0.5 * before["lsd_high_db"]["value"]
    assert abs(after["power_high_db"]["value"]) < 0.5 * abs(before["power_high_db"]["value"])
    assert set(after["detectors"]) == {"trained_anew", "trained_before"}
    assert after["real"] == "real_calibrated"
    assert found["after_against_raw_real"]["real"] == "real"


def test_the_numbers_have_their_keys_and_name_what_was_compared(diagnosed: Path) -> None:
    found = numbers(diagnosed)
    assert found["image_shape"] == [1, 32, 32]
    assert found["sets"]["real"]["took_part_in_fit"] == COUNT
    assert found["groups"] == {"source": "the model's fit", "real": COUNT}
    assert found["model"]["calibrator"] == "shr"
    assert set(found["fidelity"]["real"]) == {"psnr_db", "ssim"}
    assert len(found["radial"]["rho"]) == len(found["radial"]["synthetic_calibrated"]["mean"])
    assert found["warnings"] == []


def test_every_figure_of_the_verdict_is_a_number_of_the_file(diagnosed: Path) -> None:
    found = numbers(diagnosed)
    before = found["comparisons"]["before"]
    assert f"{abs(before['power_high_db']['value']):.2f} dB" in found["verdict"][0]
    assert (
        f"AUC {before['detectors']['trained_anew']['logistic']['value']:.3f}"
        in (found["verdict"][1])
    )


class Page(HTMLParser):
    """Tags with their attributes, and whether they nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.sound = True
        self.feed(text)

    def handle_starttag(self, tag, attrs):  # noqa: D102
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "img", "source", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag):  # noqa: D102
        self.sound &= bool(self.open) and self.open.pop() == tag


def test_the_page_is_sound_self_contained_and_described(diagnosed: Path) -> None:
    text = (diagnosed / "index.html").read_text()
    page = Page(text)
    assert page.sound
    assert page.open == []
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) == 4
    assert all(len(image["alt"] or "") > 40 for image in images)
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        for name in ("src", "srcset", "href"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert "prefers-color-scheme: dark" in text
    tables = [tag for tag, _ in page.tags if tag in ("table", "caption")]
    assert tables.count("table") == tables.count("caption") == 3
    for sentence in numbers(diagnosed)["verdict"]:
        assert sentence.replace("'", "&#39;") in text


def test_figures_are_written_as_png_and_svg_in_both_themes(diagnosed: Path) -> None:
    stems = ("radial", "planes", "detectors", "samples")
    expected = {f"{s}{t}.{k}" for s in stems for t in ("", "_dark") for k in ("png", "svg")}
    assert {p.name for p in (diagnosed / "figures").iterdir()} == expected
    assert Image.open(diagnosed / "figures" / "planes.png").format == "PNG"


def test_without_a_model_only_the_sets_themselves_are_compared(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert diagnose(folders, tmp_path / "out", "limit=20", "seed=3", "shown=2") == 0
    found = numbers(tmp_path / "out")
    assert list(found["comparisons"]) == ["before"]
    assert found["fidelity"] is None
    assert found["sets"]["real"]["found"] == COUNT
    assert found["sets"]["real"]["images"] == 20
    printed = capsys.readouterr().out
    assert "20 of 24 real images were drawn at random (seed 3)" in printed
    assert str(tmp_path / "out" / "index.html") in printed


def test_a_set_against_itself_is_at_distance_zero_and_not_told_apart(folders: Path) -> None:
    found = measured(folders, synthetic=str(folders / "real"))
    before = found["comparisons"]["before"]
    assert before["lsd_db"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    for kind in ("logistic", "rbf_svm"):
        assert before["detectors"]["trained_anew"][kind]["value"] == pytest.approx(0.5, abs=0.02)
    assert found["shared_images"] == COUNT
    assert any("same pixels" in line for line in found["warnings"])


def test_one_image_a_set_has_distances_but_no_interval_and_no_detector(
    folders: Path, tmp_path: Path
) -> None:
    for name, seed in (("r", 1), ("s", 2)):
        write_tree(tmp_path / name, textured_images(1, seed=seed), ["one.png"])
    sets = [f"real={tmp_path / 'r'}", f"synthetic={tmp_path / 's'}"]
    assert diagnose(folders, tmp_path / "out", *sets) == 0
    assert not (tmp_path / "out" / "figures" / "detectors.png").exists()
    before = numbers(tmp_path / "out")["comparisons"]["before"]
    assert before["lsd_high_db"]["value"] > 0
    assert before["lsd_high_db"]["low"] is None
    linear = before["detectors"]["trained_anew"]["logistic"]
    assert linear["value"] is None
    assert "at least 20" in linear["reason"]


@pytest.mark.parametrize("level", [0.0, 0.5])
def test_black_and_constant_images_work_and_are_named(
    folders: Path, tmp_path: Path, level: float
) -> None:
    names = [f"{i}.png" for i in range(22)]
    write_tree(tmp_path / "s", torch.full((22, 1, 32, 32), level), names)
    more = [f"synthetic={tmp_path / 's'}", f"model={folders / 'model'}", "shown=1"]
    assert diagnose(folders, tmp_path / "out", *more) == 0
    found = numbers(tmp_path / "out")
    assert any("22 of 22 synthetic images are of one colour" in w for w in found["warnings"])


def test_a_zip_gives_the_numbers_of_its_folder(folders: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        for path in sorted((folders / "synthetic").rglob("*.png")):
            archive.write(path, path.relative_to(folders / "synthetic").as_posix())
    zipped = measured(folders, synthetic=str(tmp_path / "s.zip"))
    assert zipped["comparisons"] == measured(folders)["comparisons"]


def test_differences_of_format_size_and_colour_are_warned_of(folders: Path, tmp_path: Path) -> None:
    colour = textured_images(COUNT, channels=3, height=48, width=48, seed=3)
    write_tree(tmp_path / "s", colour, [f"{i}.jpg" for i in range(COUNT)])
    found = measured(folders, synthetic=str(tmp_path / "s"), image_size=32)
    text = " ".join(found["warnings"])
    for part in ("compression: JPEG is 100 %", "in size", "in colour mode", "0 real and 24 synth"):
        assert part in text
    assert found["image_shape"] == [1, 32, 32]
    enlarged = measured(folders, synthetic=str(tmp_path / "s"), image_size=40)["warnings"]
    assert any("24 real images were enlarged" in line for line in enlarged)


def test_a_table_of_patients_keeps_them_together(folders: Path, tmp_path: Path) -> None:
    names = sorted(p.relative_to(folders / "real") for p in (folders / "real").rglob("*.png"))
    lines = [f"{name.as_posix()},p{k // 3}" for k, name in enumerate(names)]
    table = tmp_path / "groups.csv"
    table.write_text("\n".join(["image,group", *lines]) + "\n")
    found = measured(folders, groups=str(table))
    assert found["groups"] == {"source": "the table of patients", "real": 8}


def test_an_old_diagnosis_is_replaced_only_when_asked_and_nothing_else_ever(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    quick = ["limit=3", "shown=1"]
    assert diagnose(folders, out, *quick) == 0
    first = (out / "diagnosis.json").read_bytes()
    assert diagnose(folders, out) == 2
    assert "overwrite=true" in failure(capsys)
    assert diagnose(folders, out, "overwrite=true", "limit=4", "shown=1") == 0
    assert (out / "diagnosis.json").read_bytes() != first
    (out / "figures" / "mine.png").write_bytes(b"mine")
    assert diagnose(folders, out, "overwrite=true") == 2
    assert "mine.png" in failure(capsys)
    assert (out / "figures" / "mine.png").read_bytes() == b"mine"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["real=nowhere"], "real=nowhere: no such folder"),
        (["synthetic={root}/empty"], "no images"),
        (["out={root}/real/new"], "must not lie in real"),
        (["model={root}/real"], "no calibrator here"),
        (["channels=2"], "expected auto, 1 or 3"),
        (["model={root}/model", "channels=3"], "the model takes images of 1"),
        (["model={root}/model", "image_size=16"], "the model was fitted on 32x32"),
        (["synthetic={root}/wide"], "wide.png: 48x32 pixels"),
        (["synthetic={root}/broken"], "broken.png"),
        (["limit=0"], "limit=0: expected at least 1"),
        (["bits=12"], "expected 8 or 16"),
        (["image_size=8"], "at least 16 a side"),
        (["groups={root}/few.csv"], "no group for the image"),
        (["fitt=crop"], "did you mean fit"),
    ],
)
def test_mistakes_get_one_line_and_write_nothing(
    folders: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    expected: str,
) -> None:
    (folders / "empty").mkdir(exist_ok=True)
    write_tree(folders / "wide", textured_images(1, width=48), ["wide.png"])
    write_tree(folders / "broken", textured_images(1), ["broken.png"])
    (folders / "broken" / "broken.png").write_bytes(b"no image")
    (folders / "few.csv").write_text("image,group\na/00.png,p1\n")
    given = [argument.format(root=folders) for argument in arguments]
    out = [f"out={tmp_path / 'out'}"] if not given[0].startswith("out=") else []
    sets = {"real": folders / "real", "synthetic": folders / "synthetic"}
    keys = {o.partition("=")[0] for o in given}
    rest = [f"{k}={v}" for k, v in sets.items() if k not in keys]
    assert main(["diagnose", *rest, *out, *given]) == 2
    assert expected in failure(capsys)
    assert not list(tmp_path.iterdir())


def test_an_unreadable_image_is_left_out_and_counted_where_asked(
    folders: Path, tmp_path: Path
) -> None:
    write_tree(tmp_path / "s", textured_images(3, seed=4), ["0.png", "1.png", "2.png"])
    whole = (tmp_path / "s" / "1.png").read_bytes()
    (tmp_path / "s" / "1.png").write_bytes(whole[: len(whole) // 2])
    found = measured(folders, synthetic=str(tmp_path / "s"), on_error="skip")
    assert found["sets"]["synthetic"]["images"] == 2
    assert found["sets"]["synthetic"]["skipped"] == 1
    assert any("1 synthetic images could not be read" in w for w in found["warnings"])
