"""How the shell that started this program can call it again."""

import os
import shlex
import shutil
import sysconfig
from pathlib import Path

_NAME = "leadstream"


def program(folder: Path | None = None) -> str:
    """`leadstream` where the shell finds it, else the script of this installation, such as `.venv/bin/leadstream`.

    Said from `folder`, by default the working directory.
    """
    script = str(Path(sysconfig.get_path("scripts"), _NAME))
    if shutil.which(_NAME) or not Path(script).is_file():
        return _NAME
    return shlex.quote(min(os.path.relpath(script, folder), script, key=len))
