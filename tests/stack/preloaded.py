"""What the tests fork from: runs the Python text that it is given as its first argument, like a service."""

from __future__ import annotations

import sys

from greenpower.stack.fork_server import serve

if __name__ == "__main__":
    text, *rest = serve(int(sys.argv[1]))
    sys.argv = ["dummy", *rest]
    exec(text)
