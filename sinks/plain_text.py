"""Text from outside, made harmless for terminals, chats and mail. Pure."""

import re
import unicodedata

MAX_CHARACTERS = 120
# What chats and mail programs read as markup, a mention or a link, and what stands in its place.
_HARMLESS = str.maketrans({"<": "‹", ">": "›", "`": "'", "*": "∗", "[": "(", "]": ")", "|": "¦", "~": "∼"})
_MENTION = re.compile(r"(?<!\w)@(?=\w)")


def plain(text: str, limit: int = MAX_CHARACTERS) -> str:
    """One line without control characters, markup, mentions or links, cut to `limit` characters.

    An e-mail address stays as it is: its `@` follows a word.
    """
    visible = "".join(" " if unicodedata.category(each)[0] in "CZ" else each for each in text[: 8 * limit])
    calm = _MENTION.sub("＠", visible.replace("://", ": ").translate(_HARMLESS))
    line = " ".join(calm.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
