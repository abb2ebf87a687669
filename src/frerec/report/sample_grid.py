"""The sample grid: images at each stage, each beside its two-dimensional spectrum."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from frerec.report.showcase import SET_TITLES, Showcase
from frerec.report.style import Theme, bare

_COLUMNS = 4
_HIGH_BAND = 0.5


def log_amplitude(image: np.ndarray) -> np.ndarray:
    """Centred natural-log amplitude spectrum, mean over the channels, for viewing.

    Args:
        image: [C, H, W], values in 0 .. 255.

    Returns:
        [H, W], ln(|F| + 1e-3) of the image in [0, 1], orthonormal FFT, DC at (H//2, W//2).
    """
    spectrum = np.fft.fft2(image.astype(np.float64) / 255, norm="ortho")
    amplitude = np.abs(np.fft.fftshift(spectrum, axes=(-2, -1)))
    return np.asarray(np.log(amplitude + 1e-3).mean(axis=0))


def choose(show: Showcase, columns: int = _COLUMNS) -> dict[str, list[int]]:
    """Which images to show: the same positions in every synthetic set, classes in turn.

    Returns:
        Set -> positions, at most `columns`; real images are of the class of their column as
        far as the labels and images allow.
    """
    synthetic = [name for name in show.images if name.startswith("synthetic")]
    available = min((len(show.images[name]) for name in synthetic), default=0)
    labels = show.labels.get("synthetic", np.zeros(available, dtype=np.int64))[:available]
    positions = _in_turn(labels, columns)
    chosen = dict.fromkeys(synthetic, positions)
    if "real" in show.images:
        count = len(show.images["real"])
        real_labels = show.labels.get("real", np.zeros(count, dtype=np.int64))
        wanted = [int(labels[i]) for i in positions]
        chosen["real"] = (
            _of_classes(real_labels, wanted) if wanted else _in_turn(real_labels, columns)
        )
    return {name: chosen[name] for name in SET_TITLES if chosen.get(name)}


def _in_turn(labels: np.ndarray, columns: int) -> list[int]:
    """The first images of each class in turn: class 0, 1, ..., 0, 1, ..."""
    queues = [np.flatnonzero(labels == value).tolist() for value in np.unique(labels)]
    picked: list[int] = []
    while len(picked) < columns and any(queues):
        picked += [queue.pop(0) for queue in queues if queue]
    return picked[:columns]


def _of_classes(labels: np.ndarray, wanted: Sequence[int]) -> list[int]:
    """An unused image of each wanted class, or else any unused one."""
    unused = list(range(len(labels)))
    picked = []
    for value in wanted[: len(labels)]:
        fitting = [i for i in unused if labels[i] == value]
        picked.append((fitting or unused)[0])
        unused.remove(picked[-1])
    return picked


def sample_grid(show: Showcase, classes: Sequence[str], theme: Theme) -> Figure:
    """Draw the grid: a row a set, a pair of image and spectrum a column."""
    chosen = choose(show)
    rows, columns = len(chosen), max(map(len, chosen.values()))
    figure = Figure(figsize=(0.45 + 2.36 * columns, 0.35 + 1.2 * rows))
    left, right, top, bottom = 0.45, 0.04, 0.31, 0.04
    width, height = figure.get_size_inches()
    outer = figure.add_gridspec(
        rows, columns, wspace=0.05, hspace=0.06,
        left=left / width, right=1 - right / width, top=1 - top / height, bottom=bottom / height,
    )  # fmt: skip
    spectra = {
        name: [log_amplitude(show.images[name][i]) for i in positions]
        for name, positions in chosen.items()
    }
    values = np.concatenate([s.ravel() for group in spectra.values() for s in group])
    scale = np.percentile(values, [1, 99.8])
    for r, (name, positions) in enumerate(chosen.items()):
        for c, position in enumerate(positions):
            pair = outer[r, c].subgridspec(1, 2, wspace=0.03)
            image_panel, spectrum_panel = figure.add_subplot(pair[0]), figure.add_subplot(pair[1])
            show_image(image_panel, show.images[name][position])
            _show_spectrum(spectrum_panel, spectra[name][c], scale)
            if c == 0:
                label = SET_TITLES[name].replace(", ", ",\n")
                image_panel.set_ylabel(label, fontsize=9.5, color=theme.text)
            if r == 0:
                image_panel.set_title(
                    _column_title(show, chosen, c, classes),
                    fontsize=9.5,
                    fontweight="normal",
                    pad=4,
                )
    return figure


def show_image(panel: Axes, image: np.ndarray) -> None:
    """Show an image [C, H, W] with values in 0 .. 255, pixel by pixel and without axes."""
    pixels = image[0] if len(image) == 1 else np.moveaxis(image, 0, -1)
    panel.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    bare(panel)


def _show_spectrum(panel: Axes, spectrum: np.ndarray, scale: np.ndarray) -> None:
    panel.imshow(spectrum, cmap="cividis", vmin=scale[0], vmax=scale[1], interpolation="nearest")
    height, width = spectrum.shape
    panel.add_patch(
        Ellipse((width // 2, height // 2), _HIGH_BAND * width, _HIGH_BAND * height, fill=False,
                ec="white", lw=0.7, ls=(0, (3, 3)), alpha=0.8)
    )  # fmt: skip
    bare(panel)


def _column_title(
    show: Showcase, chosen: Mapping[str, list[int]], column: int, classes: Sequence[str]
) -> str:
    """The class of a column; both where no real image of the synthetic one's class is there."""
    found = {}
    for name, positions in chosen.items():
        source = "real" if name.startswith("real") else "synthetic"
        labels = show.labels.get(source)
        if labels is not None and column < len(positions):
            label = int(labels[positions[column]])
            found[source] = classes[label] if 0 <= label < len(classes) else f"class {label}"
    if len(set(found.values())) == 2:
        return f"{found['real']} / {found['synthetic']}"
    return next(iter(found.values()), "")
