"""pseudonyms: patients' names do not get past the manifest."""

from pathlib import Path

from frerec.data.manifest import Manifest
from frerec.data.pseudonyms import KEY_VARIABLE, pseudonym


def test_pseudonyms_are_equal_exactly_where_patients_are_and_depend_on_the_secret(
    monkeypatch,
) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    assert pseudonym("123") == pseudonym("123") != pseudonym("124")
    assert len({pseudonym(str(k)) for k in range(10_000)}) == 10_000
    assert all(len(pseudonym(name)) == 18 for name in ("1", "DOE^JANE", "x" * 1000))
    open_one = pseudonym("123")
    monkeypatch.setenv(KEY_VARIABLE, "secret")
    assert pseudonym("123") == pseudonym("123") != open_one


def test_a_manifest_never_holds_a_patients_name(tmp_path: Path) -> None:
    manifest = Manifest.build(
        tmp_path, images=["a", "b", "c"], labels=["x"] * 3, groups=["DOE^JANE", "DOE^JANE", ""]
    )
    codes = manifest.groups().tolist()
    assert codes[0] == codes[1] != codes[2]
    manifest.write(tmp_path / "m.parquet")
    assert b"DOE" not in (tmp_path / "m.parquet").read_bytes()
    assert "DOE" not in manifest.table.to_csv()
