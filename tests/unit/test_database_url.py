from __future__ import annotations

import pytest

from webapp.database_url import normalize_url


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("mysql://ada:a%40b@db/quiz", "mysql+pymysql://ada:a%40b@db/quiz"),
        ("mariadb://db:3307/quiz?charset=utf8mb4", "mariadb+pymysql://db:3307/quiz?charset=utf8mb4"),
        (
            "mysql://ada@/quiz?unix_socket=/run/mysqld.sock",
            "mysql+pymysql://ada@/quiz?unix_socket=%2Frun%2Fmysqld.sock",
        ),
        ("sqlite:////var/quiz.sqlite", "sqlite:////var/quiz.sqlite"),
    ],
)
def test_the_driver_is_ours_to_choose_and_what_is_honoured_stays(given: str, used: str) -> None:
    assert normalize_url(given).render_as_string(hide_password=False) == used


@pytest.mark.parametrize(
    ("option", "remedy"),
    [
        ("ssl_ca=/no/such/file", "POOL_TLS_CA"),
        ("ssl=true", "POOL_TLS"),
        ("ssl-mode=REQUIRED", "POOL_TLS"),
        ("sslmode=require", "POOL_TLS"),
        ("useSSL=true", "POOL_TLS"),
        ("ssl_cert=client.pem", "not supported"),
        ("pool_recycle=3600", "POOL_RECYCLE"),
        ("charset=latin1", "utf8mb4"),
        ("charset=utf8mb4&charset=utf8mb4", "write it once"),
        ("Charset=utf8mb4", "write charset"),
        ("unix-socket=/run/mysqld.sock", "write unix_socket"),
        ("connect_timeout=3", "POOL_CONNECT_TIMEOUT"),
        ("read_timeout=3", "POOL_READ_TIMEOUT"),
        ("unix_socket=", "without a value"),
        ("ssl_ca=", "POOL_TLS_CA"),
        ("ssl_ca", "POOL_TLS_CA"),
        ("sslrootcert=ca.pem", "POOL_TLS_CA"),
        ("ssl=true&ssl=false", "POOL_TLS"),
        ("password=secret", "before the options"),
        ("autocommit=true", "remove it"),
        ("whatever=1", "remove it"),
    ],
)
def test_an_option_without_effect_is_refused_by_name_with_what_to_do(option: str, remedy: str) -> None:
    with pytest.raises(ValueError, match="DATABASE_URL has the option") as refusal:
        normalize_url(f"mysql://db/quiz?{option}")
    assert option.partition("=")[0] in str(refusal.value)
    assert len(str(refusal.value).splitlines()) == 1
    assert remedy in str(refusal.value)


def test_every_option_that_is_wrong_is_named() -> None:
    with pytest.raises(ValueError, match="POOL_TLS_CA") as refusal:
        normalize_url("mysql://db/quiz?ssl_ca=ca.pem&pool_size=9")
    assert len(str(refusal.value).splitlines()) == 2


@pytest.mark.parametrize("text", ["", "db/quiz", "mysql://db:port/quiz", "postgresql://db/quiz"])
def test_what_is_no_url_of_a_database_of_ours_is_one_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="DATABASE_URL"):
        normalize_url(text)


def test_an_option_of_sqlite_is_refused_too() -> None:
    with pytest.raises(ValueError, match="check_same_thread"):
        normalize_url("sqlite:///quiz.sqlite?check_same_thread=true")


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql+mysqldb://db/quiz", "names the driver mysqldb, which is not used: write mysql:// instead"),
        ("sqlite+pysqlcipher:///quiz.sqlite", "names the driver pysqlcipher"),
        ("sqlite://relative/quiz.sqlite", "write sqlite:////path/to/file"),
        ("sqlite://ada:secret@/quiz.sqlite", "write sqlite:////path/to/file"),
        ("mysql://db", "names no schema"),
        ("mysql://db/", "names no schema"),
        ("mysql://db:70000/quiz", "has a port that is not between 1 and 65535"),
        ("mysql://ada:secret@more@db/quiz", "write it as %40"),
        ("mysql://ada:secret@more?x=1@db/quiz", "write it as %40"),
    ],
)
def test_what_would_have_no_effect_is_refused_and_no_part_of_a_password_is_shown(url: str, sentence: str) -> None:
    with pytest.raises(ValueError, match="DATABASE_URL") as refusal:
        normalize_url(url)
    assert sentence in str(refusal.value)
    assert "secret" not in str(refusal.value)
    assert "more" not in str(refusal.value)
    assert refusal.value.__cause__ is None


def test_a_url_of_a_server_needs_no_schema_and_is_named_as_the_variable_that_has_it() -> None:
    server = normalize_url("mysql://root@127.0.0.1:3306/", "TEST_DATABASE_URL", needs_schema=False)
    assert server.drivername == "mysql+pymysql"
    with pytest.raises(ValueError, match="TEST_DATABASE_URL has the option ssl_ca"):
        normalize_url("mysql://root@127.0.0.1/?ssl_ca=ca.pem", "TEST_DATABASE_URL", needs_schema=False)
