"""`python -m greenpower`: the command line, for a supervisor that must not depend on PATH."""

from __future__ import annotations

from greenpower.cli.main import main

if __name__ == "__main__":
    main()
