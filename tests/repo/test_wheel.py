"""The connection layer is a distribution of its own: its wheel needs SQLAlchemy and nothing else."""

from __future__ import annotations

import email
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.support import PROJECT
from webapp.lab.services.database_server import new_server
from webapp.lab.services.postgresql_server import start_postgresql

NEEDED = ("sqlalchemy", "greenlet", "typing_extensions", "pytest", "pluggy", "iniconfig", "packaging", "pygments")
"""SQLAlchemy with what it needs itself, and what runs tests."""
LAB_NEEDED = (
    "click", "jinja2", "markupsafe", "matplotlib", "contourpy", "cycler", "fonttools", "kiwisolver", "numpy", "pillow",
    "pyparsing", "python-dateutil", "six", "pydantic", "pydantic_core", "annotated-types", "typing-inspection", "scipy",
)  # fmt: skip
"""The extra `lab` with what its libraries need."""
CONTRACT = (
    "tests/unit/poolproof/core/test_pool_contract.py",
    "tests/unit/poolproof/core/test_queue_pool.py",
    "tests/unit/poolproof/waiting.py",
    "tests/support/waiting.py",
    "tests/support/narrowing.py",
)
PYTEST_OPTIONS = ("-q", "-p", "no:cacheprovider", "--import-mode=importlib", "-W", "error", "-m", "not soak")


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
    link_libraries(folder, NEEDED)
    return folder


def link_libraries(folder: Path, names: Sequence[str]) -> None:
    """Make the installed files of these distributions importable from a folder, and no other's."""
    for name in names:
        for file in importlib.metadata.files(name) or ():
            top = Path(file).parts[0]
            if top not in {"..", "__pycache__"} and not (folder / top).exists():
                (folder / top).symlink_to(Path(str(file.locate())).parents[len(Path(file).parts) - 1] / top)


@pytest.fixture(scope="module")
def lab_environment(environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with the libraries of the extra `lab`."""
    folder = tmp_path_factory.mktemp("lab")
    for path in environment.iterdir():
        (folder / path.name).symlink_to(path)
    link_libraries(folder, LAB_NEEDED)
    return folder


def run_python(environment: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python without its site-packages."""
    variables = {"PYTHONPATH": f"{environment}:{folder}", "PYTHONDONTWRITEBYTECODE": "1"}
    # Matplotlib keeps a list of the fonts there, which it makes in many seconds.
    variables |= {name: os.environ[name] for name in ("HOME", "XDG_CACHE_HOME") if name in os.environ}
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


def test_the_extra_has_what_the_lab_imports_and_no_more(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
        sources = [archive.read(name).decode() for name in archive.namelist() if name.startswith("poolproof/lab/")]
    extra = {
        re.split(r"[<>=;\[ ]", line)[0]
        for line in metadata.get_all("Requires-Dist", [])
        if re.search(r"extra == .lab.$", line)
    }
    imported = {
        name for source in sources for name in re.findall(r"^(?:from|import) (\w+)", source, re.MULTILINE)
    } - sys.stdlib_module_names
    assert imported - {"poolproof", "sqlalchemy"} == extra


def test_the_program_of_the_wheel_says_what_it_needs_without_the_extra(environment: Path, tmp_path: Path) -> None:
    done = run_python(environment, tmp_path, "-m", "poolproof", "lab", "size")
    assert (done.returncode, done.stderr) == (1, "python -m poolproof needs click: pip install poolproof[lab]\n")


@pytest.mark.slow(reason="it imports scipy and matplotlib anew")
def test_the_lab_works_from_the_wheel_alone(lab_environment: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/app.sqlite"
    done = run_python(lab_environment, tmp_path, "-m", "poolproof", "doctor", "--url", url, "--max-overflow", "0")
    assert (done.returncode, "A fair pool of 5 connections" in done.stdout) == (0, True), done.stderr
    incident = ("-m", "poolproof", "lab", "incident", "--url", url, "--seconds", "0.5", "--threads", "4", "--json")
    done = run_python(lab_environment, tmp_path, *incident)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["data"]["fair"]["served"] > 0
    assert "<svg" in unquote(Path(tmp_path / report["page"]).read_text())


@pytest.mark.soak
def test_a_pool_size_is_found_from_the_wheel_alone(lab_environment: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/app.sqlite"
    size = ("lab", "size", "--url", url, "--workload", "waiting", "--minutes", "0.1", "--repetitions", "2")
    done = run_python(lab_environment, tmp_path, "-m", "poolproof", *size, "--largest", "4")
    assert done.returncode == 0, done.stderr
    assert "SQLALCHEMY_ENGINE_OPTIONS" in done.stdout
    shutil.copy(PROJECT / "tests" / "apps" / "stdlib_app.py", tmp_path / "app.py")
    page = (PROJECT / "docs" / "your-app" / "measure.md").read_text()
    (tmp_path / "shop.toml").write_text(page.split("```toml\n")[2].split("```")[0])
    start = f"{sys.executable} -S app.py {url} {{port}} {{pool}}"
    load = ("lab", "load", "--scenario", "shop.toml", "--start", start, "--minutes", "0.1", "--repetitions", "2")
    done = run_python(lab_environment, tmp_path, "-m", "poolproof", *load, "--largest", "4")
    assert done.returncode == 0, done.stderr
    assert "SQLALCHEMY_ENGINE_OPTIONS" in done.stdout


def test_the_contract_of_the_pool_holds_from_the_wheel(environment: Path, tmp_path: Path) -> None:
    check_contract(environment, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("version", ["sqlalchemy>=2.0,<2.1", "sqlalchemy>=2.1,<2.2"])
def test_the_wheel_adds_sqlalchemy_alone_and_keeps_its_contract_on_every_server(
    wheel: Path, tmp_path: Path, version: str
) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    before = installed(python)
    pip_install(python, version, str(wheel))
    assert {name for name in installed(python) - before if name != "greenlet"} == {
        "sqlalchemy",
        "typing_extensions",
        "poolproof",
    }
    pip_install(python, f"poolproof[flask,mysql,postgresql,psycopg2] @ {wheel.as_uri()}", "pytest", "cryptography")
    copy_contract(tmp_path)
    for database in ("sqlite", "mysql", "mariadb", "postgresql"):
        with database_urls(database, tmp_path / database) as urls:
            for url in urls:
                variables = {"POOL_CONTRACT_URL": url} if url else {}
                command = [str(python), "-m", "pytest", *PYTEST_OPTIONS, "tests"]
                done = subprocess.run(
                    command,
                    cwd=tmp_path,
                    env={**variables, "PYTHONPATH": "."},
                    capture_output=True,
                    text=True,
                    check=False,
                )
                assert done.returncode == 0, f"{version} on {url}\n{done.stdout}{done.stderr}"


def installed(python: Path) -> set[str]:
    listed = subprocess.run([str(python), "-m", "pip", "list", "--format=json"], capture_output=True, check=True)
    return {package["name"].lower().replace("-", "_") for package in json.loads(listed.stdout)}


def pip_install(python: Path, *requirements: str) -> None:
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", *requirements], check=True)


@contextmanager
def database_urls(database: str, folder: Path) -> Iterator[list[str]]:
    """Yield the URLs of a server that runs meanwhile, one for each driver; "" is SQLite, in the tests' own files."""
    if database == "sqlite":
        yield [""]
    elif database == "postgresql":
        postgresql = start_postgresql(folder)
        try:
            yield [postgresql.url(driver=driver) for driver in ("psycopg", "psycopg2")]
        finally:
            postgresql.kill()
    else:
        server = new_server("mariadb" if database == "mariadb" else "mysql", folder)
        try:
            server.create_database("contract")
            yield [server.url("contract")]
        finally:
            server.kill()


def check_contract(environment: Path, tmp_path: Path) -> None:
    """Run the tests of the pool's contract with nothing but these libraries."""
    copy_contract(tmp_path)
    done = run_python(environment, tmp_path, "-m", "pytest", *PYTEST_OPTIONS, "tests")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def copy_contract(folder: Path) -> None:
    for name in CONTRACT:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, folder / name)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    soak: long\n    slow: slow\n", encoding="utf-8")
