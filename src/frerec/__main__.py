"""``python -m frerec`` is the ``frerec`` command."""

from frerec.cli import console

console()
