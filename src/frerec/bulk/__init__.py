"""Calibrating many images: what there is to do, reading, engines, and an output that resumes."""
