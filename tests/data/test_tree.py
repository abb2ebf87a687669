"""tree: the same names whether a data set lies in a folder or in an archive."""

import gzip
import zipfile
from pathlib import Path

import pytest

from frerec.data.address import parse_address
from frerec.data.sources.layout import by_filename, locate, one_of, require_some
from frerec.data.tree import Tree, entries, open_tree, read_table
from frerec.errors import ConfigError, DataError

FILES = {
    "b/2.PNG": b"2",
    "b/deep/1.jpg": b"1",
    "a/3.tif": b"3",
    "a/notes.txt": b"n",
    "a/.hidden.png": b"h",
    "__MACOSX/a/3.tif": b"m",
    "labels.csv": "\ufeff Image name , grade,\r\n 1 ,NA,\r\n2,,x\r\n".encode(),
    "empty.csv": b"",
    "zipped.csv.gz": gzip.compress(b"k,v\n1,2\n"),
}


@pytest.fixture(params=["folder", "zip", "inner"])
def tree(request, tmp_path: Path) -> Tree:
    """The same files on disk, at an archive's top, and in a folder of an archive."""
    if request.param == "folder":
        for name, data in FILES.items():
            (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "set" / name).write_bytes(data)
        return open_tree(tmp_path / "set")
    prefix = "data set/" if request.param == "inner" else ""
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("other/9.png", b"9") if prefix else None
        for name, data in FILES.items():
            archive.writestr(prefix + name, data)
    return open_tree(f"{tmp_path / 'set.zip'}::data set" if prefix else tmp_path / "set.zip")


def test_images_are_listed_and_read_by_the_same_names(tree: Tree) -> None:
    assert tree.files() == ["a/3.tif", "b/2.PNG", "b/deep/1.jpg"]
    assert tree.files("b") == ["b/2.PNG", "b/deep/1.jpg"]
    assert tree.files("a", (".txt",)) == ["a/notes.txt"]
    assert tree.files("gone") == []
    assert tree.folders() == ["a", "b"]
    assert tree.folders("b") == ["b/deep"]
    assert entries(tree) == "a, b, empty.csv, labels.csv, zipped.csv.gz"
    assert "a/3.tif" in tree
    assert "a/4.tif" not in tree
    for name in tree.files():
        address = parse_address(tree.root, tree.address(name))
        assert address.blob == tree.blob(name)
        assert address.blob.read() == FILES[name]


def test_tables_are_text_without_blanks_around_it(tree: Tree) -> None:
    table = read_table(tree, "labels.csv", ["Image name", "grade"])
    assert table["Image name"].tolist() == ["1", "2"]
    assert table["grade"].tolist() == ["NA", ""]
    assert read_table(tree, "zipped.csv.gz")["v"].tolist() == ["2"]
    with pytest.raises(DataError, match=r"labels\.csv: no column label; it has Image name, grade"):
        read_table(tree, "labels.csv", ["label"])
    with pytest.raises(DataError, match=r"gone\.csv: no such file; get it from X"):
        read_table(tree, "gone.csv", hint="get it from X")
    with pytest.raises(DataError, match="cannot be read as a CSV table"):
        read_table(tree, "empty.csv")


def test_helpers_find_files_and_say_what_they_expected(tree: Tree) -> None:
    assert locate(tree, "1.jpg", "b/deep/1.jpg", "URL") == "b/deep/1.jpg"
    assert locate(tree, "labels.csv", "labels.csv", "URL") == "labels.csv"
    with pytest.raises(DataError, match=r"no x\.csv; expected x\.csv and more, found a, b.* URL"):
        locate(tree, "x.csv", "x.csv and more", "URL")
    assert by_filename(tree)["2.PNG"] == "b/2.PNG"
    require_some(tree, ["gone.png", "a/3.tif"], "images", "URL")
    with pytest.raises(DataError, match=r"no gone\.png \(nor any other listed image\).* URL"):
        require_some(tree, ["gone.png"], "images", "URL")
    one_of("view", "PA", ("PA", "AP"))
    with pytest.raises(ConfigError, match=r"data\.view=LL: expected one of PA, AP"):
        one_of("view", "LL", ("PA", "AP"))


def test_linked_folders_are_followed_once(tmp_path: Path) -> None:
    (tmp_path / "set/a").mkdir(parents=True)
    (tmp_path / "set/a/1.png").write_bytes(b"1")
    (tmp_path / "set/a/loop").symlink_to(tmp_path / "set", target_is_directory=True)
    assert open_tree(tmp_path / "set").files() == ["a/1.png"]


@pytest.mark.parametrize(
    "member", ["../out.png", "/etc/out.png", "a/../../out.png", "a\\..\\b.png"]
)
def test_archives_whose_members_lead_out_are_refused(tmp_path: Path, member: str) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("ok.png", b"1")
        archive.writestr(zipfile.ZipInfo(member), b"2")
    with pytest.raises(DataError, match=r"absolute path|may not lead out"):
        open_tree(tmp_path / "evil.zip").files()


def test_roots_that_are_not_there_or_something_else(tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("x")
    with pytest.raises(DataError, match=r"data\.root=.*gone: no such folder; give the folder"):
        open_tree(tmp_path / "gone")
    with pytest.raises(DataError, match="neither a folder nor a zip archive"):
        open_tree(tmp_path / "file.txt")
    (tmp_path / "no.zip").write_text("x")
    with pytest.raises(DataError, match=r"no\.zip: cannot be read as a zip archive"):
        open_tree(tmp_path / "no.zip").files()
