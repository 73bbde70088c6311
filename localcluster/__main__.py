"""`python -m localcluster up|down|status|demo|binaries`."""

from __future__ import annotations

import sys


def _main() -> int:
    try:
        # Here, since it takes most of a second, in which Ctrl-C is to be no traceback either.
        from localcluster.commands import main

        return main()
    except KeyboardInterrupt:
        print("Interrupted.")
        return 130


if __name__ == "__main__":
    sys.exit(_main())
