"""Where an answer leads: the links of the OpenAPI document, from what makes a thing to what can be done with it."""

from __future__ import annotations

from typing import Any, NamedTuple


class LinkRule(NamedTuple):
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
_WITH_RUN = ("readCollectionRun", "cancelCollection", "resumeCollection")

LINK_RULES: dict[str, tuple[LinkRule, ...]] = {
    "createItem": (LinkRule("201", "item_id", "/id", _WITH_ITEM),),
    "createQuiz": (LinkRule("201", "quiz_id", "/id", _WITH_DRAFT),),
    "publishQuiz": (LinkRule("201", "quiz_id", "/id", _WITH_QUIZ),),
    "startAttempt": (LinkRule("201", "token", "/token", ("readAttempt", "finishAttempt", "putAnswer")),),
    "importItems": (
        LinkRule("200", "import_id", "/id", _WITH_IMPORT),
        LinkRule("201", "import_id", "/id", _WITH_IMPORT),
    ),
    "startCollection": (
        LinkRule("201", "run_id", "/id", ("readCollectionRun", "cancelCollection", "resumeCollection")),
    ),
}
"""By the operation whose response it is."""


def links_of(operation_id: str, status: str) -> dict[str, Any]:
    """Return the links of a response, by their names."""
    return {
        f"{target}By{rule.parameter.title().replace('_', '')}": {
            "operationId": target,
            "parameters": {rule.parameter: f"$response.body#{rule.member}"},
        }
        for rule in LINK_RULES.get(operation_id, ())
        if rule.status == status
        for target in rule.targets
    }
