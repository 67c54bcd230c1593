from __future__ import annotations

from datetime import UTC, datetime

from webapp.messages import join_messages, message, translate_message

GERMAN = {
    "Item %(item)s is gone.": "%(item)s fehlt.",
    "100 % right": "100 % richtig",
    "in %(time)s": "seit %(time)s",
    "a day": "einem Tag",
}


def in_german(text: str) -> str:
    return translate_message(text, lambda template: GERMAN.get(template, template), "%d.%m.%Y")


def test_a_message_is_its_english_text_and_can_be_said_otherwise() -> None:
    text = message("Item %(item)s is gone.", item=7)
    assert (text, in_german(text)) == ("Item 7 is gone.", "7 fehlt.")


def test_a_sentence_without_values_is_no_template() -> None:
    assert in_german(message("100 % right")) == in_german("100 % right") == "100 % richtig"


def test_messages_stand_in_messages_and_after_another() -> None:
    text = join_messages(message("in %(time)s", time=message("a day")), "", "100 % right", "unknown")
    assert (text, in_german(text)) == ("in a day 100 % right unknown", "seit einem Tag 100 % richtig unknown")


def test_a_time_is_written_as_the_language_has_it() -> None:
    text = message("in %(time)s", time=datetime(2026, 11, 20, 22, 30, 5, tzinfo=UTC))
    assert (text, in_german(text)) == ("in 20 Nov 2026 at 22:30:05 UTC", "seit 20.11.2026")


def test_what_is_not_known_to_the_language_stays_as_it_is() -> None:
    assert (in_german("What? 7 %"), in_german("")) == ("What? 7 %", "")
