"""Generators that make labelled samples when the user has none, behind one contract."""

from frerec.generators.base import Generator
from frerec.generators.learned import LearnedGenerator
from frerec.generators.registry import load_generator
from frerec.generators.training import fit_generator
from frerec.generators.vae import ConditionalVAE

__all__ = ["ConditionalVAE", "Generator", "LearnedGenerator", "fit_generator", "load_generator"]
