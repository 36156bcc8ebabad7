"""What stands in the `context` of a dead letter: who writes it and who puts a letter back agree on this."""

from typing import Final

HEADER: Final = "header."  # begins the names of kept headers
MAX_HEADER_CHARACTERS: Final = 1_000

# Only in letters that were too large to be kept whole; each says how large the original was.
VALUE_BYTES: Final = "value_bytes"
KEY_BYTES: Final = "key_bytes"
CUT: Final = "cut"
CUT_MARKS: Final = (VALUE_BYTES, KEY_BYTES, CUT)
