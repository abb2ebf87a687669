"""Hyperparameter search over the benchmark: Optuna, asked and told, over Hydra overrides."""
