"""How a command ends other than well."""

from streams.watchdog import EXIT_STUCK


class CommandError(Exception):
    """One line that says what is wrong, then what to do.

    Attributes:
        code: 1 a finding, 2 wrong input, 3 a service cannot be reached, 4 refused for safety.
    """

    def __init__(self, message: str, fix: str = "", *, code: int) -> None:
        super().__init__(f"{message}\n  {fix}" if fix else message)
        self.code = code


FINDING, WRONG_INPUT, UNREACHABLE, REFUSED = 1, 2, 3, 4
STOPPED = EXIT_STUCK  # a part that would do harm if it went on, or does not get on; a bug of any command
