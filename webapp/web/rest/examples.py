"""One example of each body that operations take or answer with, by the name of its schema in the OpenAPI document."""

from __future__ import annotations

from typing import Any

_WHEN = "2026-11-27T09:30:00+00:00"
_LATER = "2026-12-04T09:30:00+00:00"
_TOKEN = "eyJhdHRlbXB0IjoiMDE5M2IifQ.Z0b2mA.c2lnbmF0dXJl"  # noqa: S105 - of nobody

_ITEM_CONTENT = {
    "kind": "single",
    "stem": "What holds connections?",
    "choices": ["A pool", "A pond", "A puddle"],
    "right": [0], "pinned": [2],
    "explanation": "A pool lends them, and takes them back.",
    "category": "Databases", "difficulty": "easy",
    "source": "A lecture",
    "licence": "CC BY-SA 4.0",
    "address": "https://questions.example/7",
}  # fmt: skip
_ITEM_IN = _ITEM_CONTENT | {"tags": ["lecture 3"]}
_ITEM = _ITEM_IN | {"id": 7, "collected_at": None, "version": 1, "created_at": _WHEN, "changed_at": _WHEN}
_ITEM_VERSION = _ITEM_CONTENT | {"version": 1, "changed_at": _WHEN, "import_id": None}
_SECTIONS = [{"before": 0, "title": "Vocabulary"}]
_DRAW = {
    "position": 1, "size": 5, "category": "Databases", "difficulty": "easy", "tag": None, "points": 1,
    "for_each_player": True,
}  # fmt: skip
_DRAFT_IN = {
    "title": "Pools",
    "description": "Ten questions about pools.",
    "slug": "pools",
    "items": [7],
    "sections": _SECTIONS,
    "points": {"7": 2},
    "draws": [_DRAW],
}
_DRAFT = _DRAFT_IN | {"id": 3, "version": 1, "changed_at": _WHEN}
_QUIZ_LINE = {
    "id": 3,
    "slug": "pools",
    "title": "Pools",
    "number": 1,
    "question_count": 1,
    "opens_at": _WHEN,
    "closes_at": _LATER,
    "answers_shown": "after_closing",
    "unlisted": False,
    "keep_days": 90,
    "time_limit": 900,
    "shuffles_questions": False,
    "shuffles_choices": True,
    "max_attempts": 1,
    "counted_attempt": "best",
    "attempt_pause": 0,
    "state": "open",
}
_QUESTION = {
    "item": 7,
    "kind": "single",
    "stem": "What holds connections?",
    "section": "Vocabulary",
    "choices": ["A pool", "A pond", "A puddle"],
    "points": 1,
}
_ORIGIN = {"category": "Databases", "difficulty": "easy", "source": "A lecture", "licence": "CC BY-SA 4.0"}
_ANSWERED = {"order": [2, 0, 1], "chosen": [0], "right": [0], "is_right": True, "explanation": "A pool lends them."}
_IMPORT_SUMMARY = {
    "id": 12,
    "at": _WHEN,
    "account": "ada",
    "file_name": "pools.gift",
    "file_format": "gift",
    "category": "Databases",
    "state": "done",
    "records": 3,
    "new": 2,
    "changed": 0,
    "duplicate": 0,
    "possible": 1,
    "repaired": 0,
    "rejected": 1,
    "removed": 0,
    "restored": 0,
}
_RUN = {
    "id": 5,
    "source": "opentdb",
    "status": "running",
    "ordered_by": "ada",
    "ordered_at": _WHEN,
    "began_at": _WHEN,
    "ended_at": None,
    "resumes_at": None,
    "expected": 4500,
    "returned": 50,
    "new": 49,
    "changed": 0,
    "duplicate": 1,
    "rejected": 0,
    "calls": 2,
    "error": None,
}

EXAMPLES: dict[str, Any] = {
    "Problem": {
        "type": "/problems#not-found",
        "title": "There is no such thing here.",
        "status": 404,
        "detail": "There is no item 7.",
        "instance": "urn:request:0f8fad5bd9cb469fa16570867728950e",
    },
    "Root": {
        "version": "0.1.0",
        "links": {
            "openapi": "/api/v1/openapi.json",
            "documentation": "/docs",
            "problems": "/problems",
            "quizzes": "/api/v1/quizzes",
            "tokens": "/api/v1/tokens",
        },
    },
    "SignIn": {"name": "ada", "password": "correct horse battery staple"},
    "Token": {"token": "eyJ1c2VyIjo3fQ.Z0b2mA.c2lnbmF0dXJl", "expires_in": 43200, "role": "author"},
    "ItemIn": _ITEM_IN,
    "ItemOut": _ITEM,
    "ItemPage": {"items": [_ITEM], "next": "Nw"},
    "ItemVersionsOut": {"versions": [_ITEM_VERSION]},
    "ImportOut": _IMPORT_SUMMARY
    | {
        "reasons": [{"line": 9, "reason": "No answer is right."}],
        "resembling": [{"line": 4, "stem": "What holds connections?", "item": 7}],
        "stayed": [{"item": 7, "reason": "A quiz uses it."}],
    },
    "ImportPage": {"imports": [_IMPORT_SUMMARY], "next": None},
    "DraftIn": _DRAFT_IN,
    "DraftOut": _DRAFT,
    "DraftLines": {
        "quizzes": [
            {"id": 3, "slug": "pools", "title": "Pools", "version": 1, "published": True, "changed_at": _WHEN},
        ],
        "next": None,
    },
    "Publication": {"opens_at": _WHEN, "closes_at": _LATER, "answers_shown": "after_closing", "unlisted": True},
    "RulesIn": {"title": "Pools", "closes_at": _LATER, "keep_days": 90, "time_limit": 900},
    "QuizLine": _QUIZ_LINE,
    "QuizLines": {"quizzes": [_QUIZ_LINE], "next": None},
    "PublicQuiz": _QUIZ_LINE
    | {
        "description": "Ten questions about pools.",
        "out_of": 6,
        "questions": [_QUESTION | _ORIGIN],
        "draws": [{"position": 1, "size": 5, "points": 1}],
    },
    "StartIn": {"name": "Grace"},
    "StartOut": {
        "token": _TOKEN,
        "player": _TOKEN,
        "started_at": _WHEN,
        "expires_in": 86400,
        "seconds_left": 895,
        "number": 1,
        "items": [7],
    },
    "AnswerIn": {"choices": [0], "sequence": 1},
    "JoinCodeOut": {"code": "K7M2XF", "address": "https://quiz.example/join/K7M2XF"},
    "AnswerOut": {"item": 7, "choices": [0], "saved": True},
    "AttemptOut": {
        "quiz": 3,
        "slug": "pools",
        "title": "Pools",
        "player_name": "Grace",
        "state": "open",
        "closes_at": _LATER,
        "answers_shown": "after_finishing",
        "started_at": _WHEN,
        "finished_at": _WHEN,
        "score": 1,
        "out_of": 1,
        "milliseconds": 5400,
        "number": 1,
        "ends_at": _LATER,
        "seconds_left": 0,
        "rank": 1,
        "questions": [_QUESTION | _ANSWERED],
    },
    "StoredDataOut": {
        "quiz": 3,
        "title": "Pools",
        "attempt": "00000000-0003-8c2a-9d6e-5b1f7a2c4e8d",
        "player": "7d444840-9dc0-11d1-b245-5ffdce74fad2",
        "player_name": "Grace",
        "started_at": _WHEN,
        "finished_at": _WHEN,
        "score": 1,
        "milliseconds": 5400,
        "kept_days": 90,
        "answers": [
            {
                "item": 7,
                "stem": "What holds connections?",
                "choices": [0],
                "texts": ["A pool"],
                "sequence": 1,
                "answered_at": _WHEN,
            }
        ],
    },
    "LeaderboardOut": {
        "quiz": 3,
        "out_of": 1,
        "finished": 1,
        "places": [{"rank": 1, "player_name": "Grace", "score": 1, "milliseconds": 5400}],
    },
    "ResultsOut": {
        "quiz": 3,
        "number": 1,
        "begun": 2,
        "finished": 1,
        "mean_score": 1.0,
        "mean_milliseconds": 5400.0,
        "deleted": None,
        "questions": [
            {
                "item": 7,
                "stem": "What holds connections?",
                "answered": 40,
                "right": 30,
                "share_right": 0.75,
                "facility": 0.72,
                "discrimination": 0.41,
                "better_choice": None,
                "choices": [{"text": "A pool", "right": True, "count": 30, "correlation": 0.41}],
            }
        ],
    },
    "PlayersOut": {
        "players": [
            {
                "name": "Grace",
                "started_at": _WHEN,
                "finished_at": _WHEN,
                "score": 1,
                "milliseconds": 5400,
                "number": 1,
                "counts": True,
                "answers": [{"item": 7, "chosen": [0], "mark": "right"}],
            }
        ],
        "next": None,
    },
    "SourceList": {
        "sources": [
            {
                "name": "opentdb",
                "title": "Open Trivia DB",
                "address": "https://opentdb.com",
                "licence": "CC BY-SA 4.0",
                "limits": {"concurrency": 1, "spacing": 5.0, "daily": None},
            }
        ]
    },
    "RunIn": {"source": "opentdb"},
    "RunOut": _RUN,
    "RunPage": {"runs": [_RUN], "next": None},
    "RunDetails": _RUN
    | {
        "parts": [{"title": "Animals", "expected": 80, "returned": 50, "is_done": False}],
        "events": [{"at": _WHEN, "kind": "rejected", "text": "Animals: no answer is right."}],
    },
    "Pools": {
        "machine": "quiz-1",
        "used": 3,
        "open": 6,
        "at_most": 24,
        "processes": [
            {
                "key": "4711-1",
                "label": "worker 1",
                "pid": 4711,
                "silent_for": 0.4,
                "lanes": [
                    {
                        "name": "interactive",
                        "used": 2,
                        "idle": 1,
                        "size": 2,
                        "most": 2,
                        "waiting": 0,
                        "oldest": 0.0,
                        "is_slow": False,
                        "is_paused": False,
                    }
                ],
            }
        ],
    },
}
