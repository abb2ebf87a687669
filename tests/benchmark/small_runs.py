"""Overrides that make a benchmark a matter of seconds, and nothing of the showcase but its sets."""

from pathlib import Path

DATA = [
    "data=phantom_chest_xray",
    "data.count=60",
    "data.size=32",
]
GENERATOR = ["generator.width=4", "generator.latent_dim=4"]
QUIET = ["trainer.accelerator=cpu", "trainer.progress=false"]
BARE = [  # a showcase of the sets alone, and a report without figures
    "showcase.spectra=12",
    "showcase.embeddings=[]",
    "showcase.embedding_images=0",
    "showcase.inference_images=0",
    "report.figures=[]",
]
SMALL = [
    *DATA,
    *GENERATOR,
    *QUIET,
    "debug=fast",
    "features.name=resnet10t",
    "calibrator.shr.neighbours=6",
    "calibrator.training.steps=2",
    "classifier.batch_size=8",
    "classifier.steps=2",
    "quality.limit=12",
    *BARE,
]


def arguments(root: Path, *more: str) -> list[str]:
    """For a run below a root of its own."""
    return [*SMALL, f"paths.runs={root / 'runs'}", f"paths.store={root / 'store'}", *more]
