"""Setting up: what is missing is said in one line with its remedy, and the lock is cut into sections that agree."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "environment.sh"
LOCK = ROOT / "requirements.lock"
CLIENT_LOCK = ROOT / "tests" / "tutorials" / "openai-2023.lock"


def set_up(folder: Path, *sections: str, lock: Path = LOCK, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", SCRIPT, folder, lock, *sections],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | environment,
        cwd=ROOT,
    )


def fake_python(path: Path, *, has_venv: bool, name: str = "") -> str:
    """A program that passes for Python 3.12, with or without the venv module; its version has its name."""
    path.write_text(
        "#!/bin/sh\n"
        'case "$2" in\n'
        f"*'import venv'*) exit {0 if has_venv else 1} ;;\n"
        "*python%d*) echo python3.12 ;;\n"
        "esac\n"
        f'[ "$1" = --version ] && echo "Python 3.12 {name}"\n'
        "exit 0\n"
    )
    path.chmod(0o755)
    return str(path)


def old_python(path: Path) -> str:
    """A program that passes for a Python before 3.11: what asks for the version gets no."""
    path.write_text("#!/bin/sh\nexit 1\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("python", ["missing", "old"])
def test_a_wrong_python_is_said_in_one_line_with_the_command_that_mends_it(tmp_path: Path, python: str) -> None:
    name = old_python(tmp_path / "python") if python == "old" else "python-nonesuch"
    done = set_up(tmp_path / "environment", "serve", PYTHON=name)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "Python 3.11 or newer" in line
    assert "apt-get install python3.11 python3.11-venv" in line
    assert not (tmp_path / "environment").exists()


def test_a_missing_venv_module_is_said_in_one_line_with_the_command_that_mends_it(tmp_path: Path) -> None:
    done = set_up(tmp_path / "environment", "serve", PYTHON=fake_python(tmp_path / "python", has_venv=False))
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.endswith("apt-get install python3.12-venv")


@pytest.mark.parametrize(
    ("system_has_venv", "named", "taken"),
    [(True, None, "system"), (False, None, "path"), (True, "named", "named")],
    ids=["the system's", "the one on the path where the system's has no venv", "the one that is named"],
)
def test_the_python_that_is_taken(tmp_path: Path, *, system_has_venv: bool, named: str | None, taken: str) -> None:
    found = tmp_path / "path"
    found.mkdir()
    system = fake_python(tmp_path / "system", has_venv=system_has_venv, name="system")
    fake_python(found / "python3.11", has_venv=True, name="path")
    # Empty is not named: `make test PYTHON=...` has it in the environment.
    python = "" if named is None else fake_python(tmp_path / named, has_venv=True, name=named)
    path = f"{found}:{os.environ['PATH']}"
    done = set_up(tmp_path / "environment", "serve", PATH=path, SYSTEM_PYTHON=system, PYTHON=python)
    assert f"Making {tmp_path / 'environment'} with Python 3.12 {taken}" in done.stdout


def test_an_altered_package_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text(f"#: section serve\niniconfig==2.3.1 --hash=sha256:{'0' * 64}\n")
    done = set_up(
        tmp_path / "environment", "serve", lock=lock, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(wheel_folder(tmp_path))
    )
    assert done.returncode == 1
    assert "DO NOT MATCH THE HASHES" in done.stderr


def wheel_folder(folder: Path) -> Path:
    """A folder with a file that passes for the package that the lock names."""
    wheels = folder / "wheels"
    wheels.mkdir()
    (wheels / "iniconfig-2.3.1-py3-none-any.whl").write_bytes(b"not what was locked")
    return wheels


def test_a_section_that_is_not_in_the_lock_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "environment" / "bin").mkdir(parents=True)
    done = set_up(tmp_path / "environment", "nonesuch")
    assert done.returncode == 1
    assert "nonesuch" in done.stderr.splitlines()[-1]


def test_every_package_is_pinned_and_hashed_and_stands_in_one_section() -> None:
    for lock in (LOCK, CLIENT_LOCK):
        requirements = re.split(r"^(?=[A-Za-z0-9])", lock.read_text(), flags=re.MULTILINE)[1:]
        assert len(requirements) > 10
        for requirement in requirements:
            assert re.match(r"[a-z0-9._-]+==\S+", requirement), requirement[:60]
            assert "--hash=sha256:" in requirement, requirement[:60]
        heads = [requirement.partition(" \\")[0] for requirement in requirements]
        assert len(set(heads)) == len(heads)


def test_the_lock_holds_what_the_project_asks_for() -> None:
    section = LOCK.read_text().partition("#: section serve")[2].partition("#: section ")[0]
    locked = {name.lower() for name in re.findall(r"^([A-Za-z0-9._-]+)==", section, flags=re.MULTILINE)}
    project = (ROOT / "pyproject.toml").read_text()
    [dependencies] = re.findall(r"^dependencies = \[(.*?)^\]", project, flags=re.MULTILINE | re.DOTALL)
    asked = {name.lower() for name in re.findall(r'"([A-Za-z0-9._-]+)[>=<~!]', dependencies)}
    assert len(asked) > 8
    assert asked <= locked


def test_serving_and_testing_need_no_torch() -> None:
    before_training = LOCK.read_text().partition("#: section train")[0]
    assert not re.search(r"^(torch|nvidia|triton)", before_training, flags=re.MULTILINE)
