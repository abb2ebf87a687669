"""Sources: one small class per layout that a data set is published in, all read to a Manifest."""

from frerec.data.sources.csv import CsvSource
from frerec.data.sources.folder import FolderSource, Source
from frerec.data.sources.kaggle_cardiomegaly import KaggleCardiomegalySource
from frerec.data.sources.phantom import PhantomSource

__all__ = ["CsvSource", "FolderSource", "KaggleCardiomegalySource", "PhantomSource", "Source"]
