from __future__ import annotations

from webapp.settings import ServiceSettings
from webapp.web.server.limits import LINGER_TIMEOUT, ClientTimeouts


def test_the_times_without_settings_are_the_defaults_of_the_settings() -> None:
    settings, times = ServiceSettings.model_validate({}), ClientTimeouts()
    assert (settings.head_timeout, settings.body_timeout) == (times.head, times.body)
    assert (settings.upload_timeout, settings.keep_alive) == (times.upload, times.keep_alive)


def test_a_connection_that_is_closed_is_kept_for_less_time_than_any_other() -> None:
    times = ClientTimeouts()
    assert min(times.head, times.body, times.upload, times.keep_alive) > LINGER_TIMEOUT
