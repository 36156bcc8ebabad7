"""The word that was probably meant, where a wrong one was written: of commands, settings and variables.

That of a model file is in `processors/model/problems.py`, which this module does not import: the command line names the
nearest command before it loads anything.
"""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(word: str, known: Iterable[str], *, prefix: str = "") -> str:
    """` Did you mean "verify"?`, or nothing where no known word is near.

    `prefix` begins all words and is no reason to call two of them near.
    """
    near = nearest(word.removeprefix(prefix), [each.removeprefix(prefix) for each in known])
    return f' Did you mean "{prefix}{near}"?' if near else ""


def nearest(word: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """The known word that was probably meant; None where none is so alike."""
    return next(iter(get_close_matches(word, list(known), n=1, cutoff=likeness)), None)
