# SPDX-License-Identifier: Apache-2.0
"""A roofline report: every search beside its peers and beside what the machine could do at most."""
