"""The corridor: data, samples, calibration, classification and evaluation, one cell at a time."""
