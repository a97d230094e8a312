"""Conditions and formulas: CEL, its costs and limits, and simple ones as plain functions."""

import sys
from types import ModuleType

# The package cel imports its own command line, and with it a terminal toolkit that nothing here needs: a tenth of the
# time of a start.
sys.modules.setdefault("cel.cli", ModuleType("cel.cli"))
