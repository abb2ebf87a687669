"""What a result is worth: classification metrics and statistics over seeds.

The modules are imported by name (`frerec.evaluation.metrics`, `frerec.evaluation.statistics`):
the report needs the statistics alone, and must not wait for torch.
"""
