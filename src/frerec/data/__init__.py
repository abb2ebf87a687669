"""Real images: sources, readers, splits, the decoded cache and the Lightning datamodules."""
