"""The word that was probably meant, where a wrong one was written: of commands, settings, model files and events.

Imports nothing heavy: the command line names the nearest command before it loads anything.
"""

from collections.abc import Iterable
from difflib import get_close_matches

_MAX_CHARACTERS = 100  # who writes more has not mistyped one of our words, and comparing takes longer the longer it is


def nearest(word: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """The known word that was probably meant, in whatever case; None where none is so alike."""
    if len(word) > _MAX_CHARACTERS:
        return None
    spelt = {each.casefold(): each for each in known}
    return next((spelt[near] for near in get_close_matches(word.casefold(), spelt, n=1, cutoff=likeness)), None)


def did_you_mean(word: str, known: Iterable[str], *, prefix: str = "", likeness: float = 0.6) -> str:
    """` Did you mean "verify"?`, or nothing where no known word is near.

    `prefix` begins all words and is no reason to call two of them near.
    """
    near = nearest(word.removeprefix(prefix), [each.removeprefix(prefix) for each in known], likeness)
    return f' Did you mean "{prefix}{near}"?' if near else ""
