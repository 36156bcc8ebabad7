"""What a check found, and what to do about it."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`what` names the thing and its state; `fix` is what a person does about it, empty where all is well.

    `away`: a service that cannot be reached.
    """

    level: Level
    what: str
    fix: str = ""
    away: bool = False
