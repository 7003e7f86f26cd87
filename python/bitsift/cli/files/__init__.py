# SPDX-License-Identifier: Apache-2.0
"""The files that commands read and write."""
