# SPDX-License-Identifier: Apache-2.0
"""``python -m bitsift``: the command line."""

from bitsift.cli import main

if __name__ == "__main__":
    main()
