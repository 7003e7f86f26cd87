# SPDX-License-Identifier: Apache-2.0
"""How fast bitsift is, one file per question; ``README.md`` has the method."""
