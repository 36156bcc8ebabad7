"""The built wheel holds every data file, and works with the runtime dependencies alone."""

import os
import re
import subprocess
import sys
import zipfile
from importlib.metadata import Distribution, distributions, packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("streams", "schemas", "processors", "sources", "sinks")
DATA = {".avsc", ".yaml", ".toml", ".lua", ".js", ".html", ".json"}

# Run where only the wheel is on the path: refuses what is no runtime dependency, then imports every module.
IMPORT_EVERYTHING = """
import importlib, pkgutil, sys, warnings
blocked = set(sys.argv[1].split(","))
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"{name} is no runtime dependency")
sys.meta_path.insert(0, Refuse())
count = 0
for package in sys.argv[2].split(","):
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
            count += 1
print(count, importlib.import_module("schemas").__file__)
sys.argv = ["leadstream", "--version"]
importlib.import_module("streams.cli").main()
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the tracked files' folders, so that nothing left over from earlier builds gets in."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in (*PACKAGES, "pyproject.toml", "README.md", "LICENSE"):
        subprocess.run(["cp", "-R", ROOT / name, source / name], check=True)
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*build, "--wheel-dir", out, source], capture_output=True, text=True, check=False)
    if done.returncode != 0 and re.search("setuptools|connection|network", done.stderr, re.IGNORECASE):
        reason = f"THE WHEEL WAS NOT BUILT: its build backend cannot be installed here\n{done.stderr[-500:]}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    assert done.returncode == 0, done.stderr
    (built,) = out.glob("leadstream-*.whl")
    return built


def test_every_data_file_is_in_the_wheel(wheel: Path) -> None:
    wanted = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.suffix in DATA and "__pycache__" not in path.parts
    }
    assert {Path(name).suffix for name in wanted} >= {".avsc", ".yaml", ".lua", ".js"}
    assert wanted <= set(zipfile.ZipFile(wheel).namelist())


def test_no_test_and_nothing_else_is_in_the_wheel(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)


def test_the_wheel_starts_with_its_runtime_dependencies_alone(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    needed = _closure(Distribution.at(next((tmp_path / "site").glob("*.dist-info"))))
    blocked = {
        module for module, names in packages_distributions().items() if not {_plain(name) for name in names} & needed
    }
    assert {"pytest", "hypothesis", "mypy"} <= blocked
    done = subprocess.run(
        [sys.executable, "-P", "-c", IMPORT_EVERYTHING, ",".join(sorted(blocked)), ",".join(PACKAGES)],
        env={"PATH": os.defpath, "PYTHONPATH": str(tmp_path / "site"), "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    imported, version = done.stdout.splitlines()
    assert imported.endswith(f"{tmp_path / 'site' / 'schemas' / '__init__.py'}")
    assert int(imported.split()[0]) > 100
    assert version == f"leadstream {wheel.name.split('-')[1]}"


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _required(found: Distribution) -> list[str]:
    """Names of what is always required: no extras, whatever other markers say."""
    lines = [re.match(r"[\w.-]+", line) for line in found.requires or () if "extra ==" not in line]
    return [_plain(line[0]) for line in lines if line]


def _closure(built: Distribution) -> set[str]:
    """The distribution and all that comes with it, as far as it is installed."""
    installed = {_plain(each.name): each for each in distributions()}
    found, waiting = {_plain(built.name)}, _required(built)
    while waiting:
        name = waiting.pop()
        if name not in found and name in installed:
            found.add(name)
            waiting += _required(installed[name])
    return found
