"""What is installed: from a clone that is worked on, and from a wheel."""

import email
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

import archzoo

ROOT = Path(__file__).parents[1]
NEEDED_TO_BUILD = ("archzoo", "pyproject.toml", "README.md", "LICENSE")
# The builds take setuptools from where the tests run, and no network.
PIP_OFFLINE = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("packaging")]


def files_of_a_clone() -> list[Path]:
    """What git keeps or would add: what .gitignore swallows is missing in a clone. Without git, what a build needs."""
    git = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        files = [ROOT / name for name in listed.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        files = [file for name in NEEDED_TO_BUILD for file in (ROOT / name, *(ROOT / name).rglob("*"))]
    return [file for file in files if file.is_file() and "__pycache__" not in file.parts]


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """What a command prints, run where PYTHONPATH does not lend it this working copy."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MYPY"))}
    done = subprocess.run(command, cwd=cwd, env=inherited | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy in a folder that has the package's own name, as ``git clone`` makes it."""
    folder = tmp_path_factory.mktemp("parent") / "archzoo"
    for file in files_of_a_clone():
        copy = folder / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    return folder


@pytest.fixture(scope="module")
def python(clone: Path) -> Path:
    """The interpreter of an environment in the clone that has the clone installed, and nothing else."""
    run(sys.executable, "-m", "venv", "--without-pip", ".venv", cwd=clone)
    interpreter = clone / ".venv/bin/python"
    pip = (sys.executable, "-m", "pip", "--python", interpreter, "install", *PIP_OFFLINE, "--ignore-installed")
    run(*pip, "--editable", ".", cwd=clone, PYTHONPATH=sysconfig.get_path("purelib"))
    return interpreter


@pytest.fixture(scope="module")
def wheel(clone: Path) -> zipfile.ZipFile:
    run(sys.executable, "-m", "pip", "wheel", *PIP_OFFLINE, "--wheel-dir", "wheels", ".", cwd=clone)
    (path,) = (clone / "wheels").glob("archzoo-*.whl")
    return zipfile.ZipFile(path)


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> email.message.Message:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return email.message_from_bytes(wheel.read(name))


@pytest.mark.parametrize("where", [".", "..", "../elsewhere"])
def test_an_editable_install_is_imported_from_any_folder(where: str, clone: Path, python: Path) -> None:
    (clone.parent / "elsewhere").mkdir(exist_ok=True)
    printed = run(python, "-c", "import archzoo; archzoo.build; print(archzoo.__file__)", cwd=clone / where)
    assert Path(printed) == clone / "archzoo/__init__.py"


def test_a_type_checker_finds_the_types_of_an_editable_install(tmp_path: Path, python: Path) -> None:
    (tmp_path / "theirs.py").write_text("import archzoo\n\nreveal_type(archzoo.names())\n")
    mypy = (sys.executable, "-m", "mypy", "--strict", "--cache-dir", "cache", "--python-executable", python)
    assert 'Revealed type is "list[str]"' in run(*mypy, "theirs.py", cwd=tmp_path).replace("builtins.", "")


def test_a_wheel_has_all_of_the_package_and_nothing_else(clone: Path, wheel: zipfile.ZipFile) -> None:
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    written = {file.relative_to(clone).as_posix() for file in (clone / "archzoo").rglob("*") if file.is_file()}
    assert packed == {name for name in written if "__pycache__" not in name}
    assert {"archzoo/py.typed", "archzoo/__init__.py"} < packed


def test_what_is_required_is_pinned(metadata: email.message.Message) -> None:
    required = {re.split(r"[^\w.-]", line)[0].lower() for line in metadata.get_all("Requires-Dist", [])}
    pins = {line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    assert {"torch", "numpy", "pytest"} < required
    assert required - {"archzoo"} <= {name.replace("_", "-") for name in pins} | pins


def test_the_metadata_say_who_and_where(metadata: email.message.Message) -> None:
    assert metadata["Version"] == archzoo.__version__
    assert metadata["Author"] == "archzoo developers"
    addresses = dict(line.split(", ") for line in metadata.get_all("Project-URL", []))
    assert {"Homepage", "Documentation", "Issues", "Changelog"} <= set(addresses)


def test_every_place_has_the_same_version_and_date() -> None:
    version, date = re.findall(r"^## \[(\d.+?)\] - (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.M)[0]
    citation = (ROOT / "CITATION.cff").read_text()
    assert version == archzoo.__version__
    assert re.findall(r"^version: (.+)$", citation, re.M) == [version]
    assert re.findall(r"^date-released: (.+)$", citation, re.M) == [f'"{date}"']


def test_the_hooks_have_the_ruff_of_ci() -> None:
    (pin,) = re.findall(r"^ruff==\S+$", (ROOT / "constraints.txt").read_text(), re.M)
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    assert set(re.findall(r"ruff==[\d.]+", hooks)) == {pin}


def test_make_help_names_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.+)$", makefile, re.M)
    assert re.findall(r"^([a-z-]+):.*  ## \w", makefile, re.M) == phony.split()
