"""The description of the API, made from the routes that the functions declare."""

import sys
from pathlib import Path

FUNCTIONS = Path(__file__).resolve().parent.parent / "functions"

if str(FUNCTIONS) not in sys.path:  # Lambda's root is the folder of the functions
    sys.path.insert(0, str(FUNCTIONS))
