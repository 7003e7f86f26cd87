# SPDX-License-Identifier: Apache-2.0
"""``python -m bench.report``: every search beside its peers and the ceilings of the machine."""
