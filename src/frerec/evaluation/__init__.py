"""What a result is worth: classification metrics and statistics over seeds and patients.

The modules are imported by name (`frerec.evaluation.metrics`, `frerec.evaluation.statistics`):
`statistics`, `bootstrap` and `effect_size` do without torch, and nobody waits for it who needs
those alone.
"""
