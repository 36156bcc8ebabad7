"""Model files as commands take them."""

from pathlib import Path

from processors.model import Checked, ModelErrors, check_model
from processors.models import load_shipped
from streams.cli.exits import WRONG_INPUT, CommandError
from streams.program import program


def read_model_file(file: str) -> str:
    """The text of a model file.

    Raises:
        CommandError: it cannot be read.
    """
    try:
        return Path(file).read_text("utf-8")
    except OSError as error:
        raise CommandError(
            f"{file}: {error.strerror}", f"Write one with: {program()} init", code=WRONG_INPUT
        ) from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{file}: not UTF-8 at byte {error.start}", code=WRONG_INPUT) from error


def check_model_text(text: str, file: str) -> Checked:
    """The model and its warnings.

    Raises:
        CommandError: with every problem, a line each.
    """
    try:
        return check_model(text, Path(file).name)
    except ModelErrors as errors:
        raise CommandError(
            "\n".join(["the model was not accepted", *map(str, errors.problems)]), code=WRONG_INPUT
        ) from errors


def model_or_shipped(file: str | None, shipped: str) -> tuple[str, str]:
    """(text, name) of the model that a command was given, checked, or of a shipped one."""
    if file is None:
        return load_shipped(shipped), f"{shipped}.yaml"
    text = read_model_file(file)
    check_model_text(text, file)
    return text, file
