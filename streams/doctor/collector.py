"""What a collector needs beside the broker: its secret, and the disk of its spool."""

import os
import shutil
import tempfile
from pathlib import Path

from sources.spool.files import SET_ASIDE_SUFFIX, SUFFIX
from streams.finding import Finding

_SHORT = 16  # characters
_MIB = 1 << 20


def check_key_secret(secret: str) -> list[Finding]:
    if not secret:
        what = "collector: no key_secret: leads known by an e-mail alone have no key, and `leadstream collector` would not start"
        return [Finding("warn", what, "openssl rand -hex 32 > key; LEADSTREAM_COLLECTOR_KEY_SECRET_FILE=key; keep it")]
    if len(secret) < _SHORT:
        what = f"collector: key_secret has {len(secret)} characters: who knows a lead key could try out e-mails"
        return [Finding("warn", what, "before the first event: openssl rand -hex 32; a new one starts new rows")]
    return [Finding("ok", "collector: key_secret is set")]


def check_spool(directory: str, max_bytes: int) -> list[Finding]:
    """Nothing to say where there is none. Opens no segment and takes no lock; makes one file for a moment, without a name
    where the disk can do that.
    """
    if not directory:
        return []
    path = Path(directory)
    fix = "a directory of its own, writable for the collector's user: collector.spool_dir"
    existing = next(each for each in (path.absolute(), *path.absolute().parents) if os.path.exists(each))  # noqa: PTH110 - raises nothing
    if existing != path.absolute():
        if not (existing.is_dir() and os.access(existing, os.W_OK)):
            return [Finding("fail", f"spool: {path} is not there and cannot be made in {existing}", fix)]
        return [_room(path, existing, max_bytes, 0)]
    try:
        with tempfile.TemporaryFile(dir=path):
            pass
        held = {each: each.stat().st_size for each in path.iterdir() if each.suffix in (SUFFIX, SET_ASIDE_SUFFIX)}
    except OSError as error:
        return [Finding("fail", f"spool: {path} cannot be written: {error.strerror}", fix)]
    findings = [_room(path, path, max_bytes, sum(held.values()))]
    damaged = [each.name for each in held if each.suffix == SET_ASIDE_SUFFIX]
    if damaged:
        what = f"spool: {path} holds {len(damaged)} damaged segments, {damaged[0]} first"
        findings.append(Finding("warn", what, "look at them, then delete them: docs/runbook.md, `spool: segment`"))
    return findings


def _room(path: Path, on: Path, max_bytes: int, held_bytes: int) -> Finding:
    free_bytes, wanted_bytes = shutil.disk_usage(on).free, max(0, max_bytes - held_bytes)
    where = f"spool: {path}, {held_bytes / _MIB:,.0f} MiB held, {free_bytes / _MIB:,.0f} MiB free"
    if free_bytes < wanted_bytes:
        what = f"{where}, and collector.spool_max_bytes lets it take {wanted_bytes / _MIB:,.0f} MiB more"
        return Finding("warn", what, "a larger disk, or a smaller collector.spool_max_bytes")
    return Finding("ok", where)
