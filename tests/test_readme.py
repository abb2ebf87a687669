"""The README's Python example does what it says, with tensors and with arrays."""

import re
from pathlib import Path

import numpy as np
import pytest

from fixtures import textured_images

README = Path(__file__).parents[1] / "README.md"


def example() -> str:
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    # Smaller than for real: four neighbours, three steps.
    return str(code).replace('"neighbours": 200', '"neighbours": 4').replace("1000", "3")


@pytest.mark.parametrize("arrays", [False, True])
def test_the_example_runs(
    arrays: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    real, held, synthetic = (textured_images(n, seed=n) for n in (30, 6, 5))
    names = {
        "real": real.numpy() if arrays else real,
        "real_validation": held.numpy() if arrays else held,
        "synthetic": synthetic.numpy() if arrays else synthetic,
        "patients": [f"patient {i // 2}" for i in range(30)],
    }
    exec(example(), names)
    repaired = names["repaired"]
    assert isinstance(repaired, np.ndarray) == arrays
    assert tuple(repaired.shape) == (5, 1, 32, 32)
    again = names["frerec"].transform(names["synthetic"])  # loaded from the folder
    np.testing.assert_array_equal(np.asarray(again), np.asarray(repaired))
    assert "ReconstructionGap" in capsys.readouterr().out
