"""The tables of the report in their order; each is text for a reader and numbers for a program."""

from frerec.report.ablation_table import ablation_table
from frerec.report.comparison_table import comparison_table
from frerec.report.context_tables import fidelity_table, sample_table
from frerec.report.inference_table import inference_table
from frerec.report.main_tables import main_table, overview_table
from frerec.report.quality_table import quality_table
from frerec.report.results import unfinished_table
from frerec.report.run import Run
from frerec.report.sensitivity_table import sensitivity_table
from frerec.report.tabular import Table
from frerec.report.training_table import training_table

_ALWAYS = ("table", "comparisons")


def all_tables(run: Run) -> list[Table]:
    """Every table of a run in the order of the report; those that have nothing are left out."""
    tables = [
        overview_table(run),
        main_table(run),
        comparison_table(run),
        ablation_table(run),
        sensitivity_table(run),
        quality_table(run),
        sample_table(run),
        fidelity_table(run),
        inference_table(run),
        training_table(run),
        unfinished_table(run),
    ]
    return [table for table in tables if table.rows or table.key in _ALWAYS]
