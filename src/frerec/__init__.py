"""FreRec: frequency recalibration for generative data augmentation (arXiv 2511.12301)."""

__version__ = "0.1.0"
