"""What is wrong with a model file, where, and what to write instead. All of it at once."""

from dataclasses import dataclass
from typing import Literal

Path = tuple[str | int, ...]
MAX_PROBLEMS = 200
_MAX_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. `line` and `column` count from 1; `key` is empty for what concerns the whole file."""

    file: str
    line: int
    column: int
    key: str
    message: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        key = f"{self.key}: " if self.key else ""
        return f"{self.file}:{self.line}:{self.column}: {key}{self.message}"


class ModelErrors(ValueError):  # noqa: N818 - it carries all errors of a file, and its name says so
    """The file is no scoring model; `problems` holds every error, in the order of the file."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class Findings:
    """Collects problems of one file, and knows where in the file each path of the model stands."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._places: dict[Path, tuple[int, int]] = {}
        self._problems: list[Problem] = []

    def place(self, path: Path, line: int, column: int) -> None:
        self._places[path] = (line, column)

    def knows(self, path: Path) -> bool:
        """Is the path written in the file, rather than a default?"""
        return path in self._places

    def line_of(self, path: Path) -> int:
        return self._place_of(path)[0]

    def error(self, path: Path, message: str, at: tuple[int, int] | None = None) -> None:
        self._add(path, message, at, "error")

    def warn(self, path: Path, message: str) -> None:
        self._add(path, message, None, "warning")

    def _add(self, path: Path, message: str, at: tuple[int, int] | None, severity: Literal["error", "warning"]) -> None:
        if len(self._problems) == MAX_PROBLEMS:
            path, message = (), f"more than {MAX_PROBLEMS} problems; the rest is not listed. Mend these first."
        if len(self._problems) <= MAX_PROBLEMS:
            line, column = at or self._place_of(path)
            self._problems.append(Problem(self._file, line, column, path_text(path), message, severity))

    def _place_of(self, path: Path) -> tuple[int, int]:
        """The place of the path, else of what it lies in."""
        for length in range(len(path), 0, -1):
            if path[:length] in self._places:
                return self._places[path[:length]]
        return 1, 1

    @property
    def errors(self) -> list[Problem]:
        return self._of("error")

    @property
    def warnings(self) -> list[Problem]:
        return self._of("warning")

    def _of(self, severity: str) -> list[Problem]:
        found = [problem for problem in self._problems if problem.severity == severity]
        return sorted(found, key=lambda problem: (problem.line, problem.column))


def path_text(path: Path) -> str:
    """`("rules", 3, "points")` -> `rules[3].points`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{shown(part)}" if text else shown(part)
    return text


def shown(text: str) -> str:
    """Text of the file as a message may show it: one short printable line."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text[: _MAX_SHOWN + 1])
    return plain if len(plain) <= _MAX_SHOWN else plain[:_MAX_SHOWN] + "..."
