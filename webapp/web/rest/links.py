"""Where an answer leads: the links of the OpenAPI document, from what makes a thing to what can be done with it."""

from __future__ import annotations

from typing import Any, NamedTuple


class Way(NamedTuple):
    """From a response to operations that take something from its body."""

    status: str
    parameter: str
    member: str
    """Of the response's body; its value is the parameter."""
    targets: tuple[str, ...]


_WITH_ITEM = ("readItem", "changeItem", "deleteItem", "listItemVersions")
_WITH_DRAFT = ("readDraft", "changeDraft", "publishQuiz", "deleteQuiz")
_WITH_QUIZ = ("readQuiz", "changeRules", "closeQuiz", "startAttempt", "readLeaderboard", "readResults")
_WITH_IMPORT = ("readImport", "carryOutImport", "undoImport")

WAYS: dict[str, tuple[Way, ...]] = {
    "createItem": (Way("201", "item_id", "/id", _WITH_ITEM),),
    "createQuiz": (Way("201", "quiz_id", "/id", _WITH_DRAFT),),
    "publishQuiz": (Way("201", "quiz_id", "/id", _WITH_QUIZ),),
    "startAttempt": (Way("201", "token", "/token", ("readAttempt", "finishAttempt", "putAnswer")),),
    "importItems": (Way("200", "import_id", "/id", _WITH_IMPORT), Way("201", "import_id", "/id", _WITH_IMPORT)),
    "startCollection": (Way("201", "run_id", "/id", ("readCollectionRun", "cancelCollection", "resumeCollection")),),
}
"""By the operation whose response it is."""


def links_of(operation_id: str, status: str) -> dict[str, Any]:
    """Return the links of a response, by their names."""
    return {
        f"{target}By{way.parameter.title().replace('_', '')}": {
            "operationId": target,
            "parameters": {way.parameter: f"$response.body#{way.member}"},
        }
        for way in WAYS.get(operation_id, ())
        if way.status == status
        for target in way.targets
    }
