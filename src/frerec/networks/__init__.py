"""Networks in plain PyTorch."""

from frerec.networks.fet_restormer import FETRestormer

__all__ = ["FETRestormer"]
