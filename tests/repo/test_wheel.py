"""The connection layer is a distribution of its own: its wheel needs SQLAlchemy and nothing else."""

from __future__ import annotations

import email
import importlib.metadata
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support import PROJECT

NEEDED = ("sqlalchemy", "greenlet", "typing_extensions", "pytest", "pluggy", "iniconfig", "packaging", "pygments")
"""SQLAlchemy with what it needs itself, and what runs tests."""
CONTRACT = (
    "tests/unit/poolproof/core/test_pool_contract.py",
    "tests/unit/poolproof/core/test_queue_pool.py",
    "tests/unit/poolproof/waiting.py",
    "tests/support/waiting.py",
    "tests/support/narrowing.py",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, built from a copy: building leaves folders beside the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(PROJECT / "webapp" / "pooling", folder / "source", ignore=shutil.ignore_patterns("*.egg-info"))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(folder / "source")], check=True)
    (built,) = folder.glob("poolproof-*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of libraries that has the wheel, SQLAlchemy and pytest, and nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    for name in NEEDED:
        for file in importlib.metadata.files(name) or ():
            top = Path(file).parts[0]
            if top not in {"..", "__pycache__"} and not (folder / top).exists():
                (folder / top).symlink_to(Path(str(file.locate())).parents[len(Path(file).parts) - 1] / top)
    return folder


def run_python(environment: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python without its site-packages."""
    variables = {"PYTHONPATH": f"{environment}:{folder}", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-S", *arguments]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


def test_the_wheel_asks_for_sqlalchemy_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    required = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert [line.partition("<")[0] for line in required] == ["sqlalchemy"]


def test_nothing_in_the_wheel_imports_the_service(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        modules = [name for name in archive.namelist() if name.endswith(".py")]
        assert len(modules) > 40
        assert [name for name in modules if re.search(rb"(from|import) webapp", archive.read(name))] == []
        assert "poolproof/py.typed" in archive.namelist()


def test_every_module_that_needs_no_integration_is_imported_with_sqlalchemy_alone(
    environment: Path, tmp_path: Path
) -> None:
    flask = {f"poolproof.integrations.{name}" for name in ("flask_adopt", "flask_blueprints", "flask_cli", "flask_ext")}
    needs_more = {
        *flask,
        "poolproof.integrations.console_page",
        "poolproof.drivers.mysql.connection",
        "poolproof.drivers.postgresql.psycopg_connection",
        "poolproof.drivers.postgresql.psycopg2_connection",
    }
    modules = {
        ".".join(path.relative_to(environment).with_suffix("").parts).removesuffix(".__init__")
        for path in (environment / "poolproof").rglob("*.py")
    }
    # The lab is an extra, with libraries of its own.
    needs_more |= {name for name in modules if name.startswith("poolproof.lab.")}
    program = "import sys\nfor name in sys.argv[1:]: __import__(name)\n"
    absent = ("flask", "pydantic", "psycopg", "psycopg2", "pymysql", "gunicorn")
    program += f"print([name for name in {absent} if name in sys.modules])"
    done = run_python(environment, tmp_path, "-c", program, *sorted(modules - needs_more))
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_the_contract_of_the_pool_holds_from_the_wheel(environment: Path, tmp_path: Path) -> None:
    check_contract(environment, tmp_path)


@pytest.mark.soak
def test_the_contract_of_the_pool_holds_on_sqlalchemy_2_0_as_well(environment: Path, tmp_path: Path) -> None:
    other = tmp_path / "sqlalchemy"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(other), "sqlalchemy<2.1"]
    subprocess.run(command, check=True)
    for path in environment.iterdir():
        if not path.name.lower().startswith("sqlalchemy"):
            (other / path.name).symlink_to(path)
    check_contract(other, tmp_path)


def check_contract(environment: Path, tmp_path: Path) -> None:
    """Run the tests of the pool's contract with nothing but these libraries."""
    for name in CONTRACT:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, tmp_path / name)
    options = ["-q", "-p", "no:cacheprovider", "--import-mode=importlib", "-W", "error", "-m", "not soak"]
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    soak: long\n    slow: slow\n", encoding="utf-8")
    done = run_python(environment, tmp_path, "-m", "pytest", *options, "tests")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
