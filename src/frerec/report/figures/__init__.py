"""The figures of the report, each in a light and a dark theme, as PNG, SVG and PDF."""

from frerec.report.figures.files import FORMATS, FigureFiles, check_formats, save_figure
from frerec.report.figures.writing import write_figures

__all__ = ["FORMATS", "FigureFiles", "check_formats", "save_figure", "write_figures"]
