"""The command line: one file per command; ``output`` owns the terminal's rules.

Nothing here may import a framework at the top of a module: ``earmark --help`` must answer at once.
"""

from earmark.cli.app import main

__all__ = ["main"]
