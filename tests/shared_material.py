"""Real input that is not part of the repository: a public access log and requests captured from real clients.

Looked for in `../shared` beside the checkout, or where SHARED_MATERIAL points.
"""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("SHARED_MATERIAL") or Path(__file__).parents[2] / "shared")


def shared(name: str) -> Path:
    """The path of a file or folder of the material; skips the test, loudly, where it is missing."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"NOT TESTED ON REAL INPUT: {path} is missing; set SHARED_MATERIAL to the folder that has it")
    return path
