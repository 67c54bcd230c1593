"""Publishing: a draft is frozen into a version; its rules may be changed afterwards, and closing ends the window."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from random import Random, SystemRandom

from sqlalchemy import Connection, func, insert, select, update

from webapp.bank import items
from webapp.db.timestamps import database_now, utc_now
from webapp.errors import InvalidInputError, NotFoundError
from webapp.messages import message
from webapp.quizzes import catalog_version, documents, drafts, draws, join_code_store, published
from webapp.quizzes.documents import QuizDocument
from webapp.quizzes.drafts import Draft
from webapp.quizzes.draws import Chosen
from webapp.quizzes.models import Quiz, QuizVersion
from webapp.quizzes.published import PublishedVersion, QuizId
from webapp.quizzes.rules import AnswersShown, QuizRules, RuleChanges, apply_changes


def publish(
    connection: Connection,
    quiz_id: int,
    opens_at: datetime | None,
    closes_at: datetime | None,
    answers_shown: AnswersShown | None = None,
    *,
    is_unlisted: bool | None = None,
    other_rules: RuleChanges | None = None,
) -> PublishedVersion:
    """Freeze the draft as it is now into a new version and return it.

    A rule that is not given stays as it is; a quiz that was not published before, or has closed, opens at once and has
    no end. Times are compared with the database's clock. The rules are those of the quiz: attempts at former versions
    go on under them.

    Raises:
        NotFoundError: when there is no such quiz.
        InvalidInputError: when the draft has no items, too few match a draw, or a rule is not acceptable.
    """
    _lock_quiz(connection, quiz_id)
    draft = drafts.find(connection, quiz_id)
    if not draft.question_count:
        raise InvalidInputError("A quiz needs at least one item before it can be published.")
    now = database_now(connection)
    changes: RuleChanges = {**(other_rules or {}), "title": draft.title}
    if opens_at is not None:
        changes["opens_at"] = opens_at
    if closes_at is not None:
        changes["closes_at"] = closes_at
    if answers_shown is not None:
        changes["chosen_answers_shown"] = answers_shown
    if is_unlisted is not None:
        changes["is_unlisted"] = is_unlisted
    present = published.latest_summary(connection, quiz_id)
    rules = apply_changes(_rules_to_begin_with(present.rules if present else None, draft.title, now), changes, now)
    document = freeze_draft(connection, draft)
    latest = select(func.max(QuizVersion.number)).where(QuizVersion.quiz_id == quiz_id)
    result = connection.execute(
        insert(QuizVersion).values(
            quiz_id=quiz_id,
            number=(connection.execute(latest).scalar_one() or 0) + 1,
            question_count=document.question_count,
            document=documents.to_json(document),
            published_at=now,
            **published.rule_values(rules),
        )
    )
    join_code_store.get_or_create(connection, quiz_id)
    _store_rules(connection, quiz_id, rules)
    version_id: int = result.inserted_primary_key[0]  # type: ignore[index]
    return published.by_version(connection, version_id)


def freeze_draft(connection: Connection, draft: Draft, random: Random | None = None) -> QuizDocument:
    """Return the document that a publication makes of a draft; with `random`, its order of choices is from there."""
    by_id = items.find_many(connection, draft.item_ids)
    titles = {section.before: section.title for section in draft.sections}
    chosen: list[Chosen] = []
    section: str | None = None
    for position, item_id in enumerate(draft.item_ids):
        section = titles.get(position, section)
        chosen.append(Chosen(by_id[item_id], draft.points_of(item_id), section))
    selection = draws.select_questions(connection, chosen, draft.draws, random or SystemRandom())
    questions = [*selection.common, *selection.pooled]
    return documents.freeze(
        draft.title,
        draft.description,
        [each.item for each in questions],
        {position: each.section for position, each in enumerate(questions)},
        random or SystemRandom(),
        points={each.item.id: each.points for each in questions},
        pools=selection.pools,
    )


def change_rules(connection: Connection, quiz_id: int, changes: RuleChanges) -> PublishedVersion:
    """Change rules of a published quiz, for all of its versions; every worker sees it within a second.

    A new title becomes the draft's, too, so that the next version does not bring the former one back.

    Raises:
        NotFoundError: when the quiz was never published.
        InvalidInputError: when a value is not acceptable.
    """
    _lock_quiz(connection, quiz_id)
    present = published.current(connection, QuizId(quiz_id))
    if "title" in changes:
        changes = {**changes, "title": changes["title"].strip()}
        drafts.rename(connection, quiz_id, changes["title"])
    rules = apply_changes(present.rules, changes, database_now(connection))
    _store_rules(connection, quiz_id, rules)
    return published.by_version(connection, present.version_id)


def change_title(connection: Connection, quiz_id: int, title: str) -> None:
    """Give the published versions of a quiz the title that its draft has; there may be none."""
    other_title = update(QuizVersion).where(QuizVersion.quiz_id == quiz_id, QuizVersion.title != title)
    if connection.execute(other_title.values(title=title)).rowcount:
        catalog_version.bump(connection)


def close(connection: Connection, quiz_id: int) -> None:
    """End the windows of all versions of a quiz now; closing a closed one changes nothing.

    Raises:
        NotFoundError: when the quiz was never published.
    """
    of_this_quiz = QuizVersion.quiz_id == quiz_id
    still_open = update(QuizVersion).where(of_this_quiz, QuizVersion.closes_at > utc_now())
    if connection.execute(still_open.values(closes_at=utc_now())).rowcount == 0:
        published.current(connection, QuizId(quiz_id))
        return
    catalog_version.bump(connection)


def _lock_quiz(connection: Connection, quiz_id: int) -> None:
    # The lock has two concurrent publications get different numbers, and two changes of rules not lose each other.
    locked = connection.execute(select(Quiz.id).where(Quiz.id == quiz_id).with_for_update()).one_or_none()
    if locked is None:
        raise NotFoundError(message("There is no quiz %(quiz)s.", quiz=quiz_id))


def _rules_to_begin_with(present: QuizRules | None, title: str, now: datetime) -> QuizRules:
    if present is None:
        return QuizRules(title, now, None, None)
    if present.has_closed(now):
        return replace(present, title=title, opens_at=now, closes_at=None)
    return present


def _store_rules(connection: Connection, quiz_id: int, rules: QuizRules) -> None:
    connection.execute(update(QuizVersion).where(QuizVersion.quiz_id == quiz_id).values(**published.rule_values(rules)))
    catalog_version.bump(connection)
