"""``python -m samari`` is the command line."""

from __future__ import annotations

from samari.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
