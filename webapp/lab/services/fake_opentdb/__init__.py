"""A stand-in for Open Trivia DB over real HTTP that follows its contract in every point.

To run it by hand: `python -m webapp.lab.services.fake_opentdb --port 8765 --questions 5250 --spacing 5`.
"""

from webapp.lab.services.fake_opentdb.contract import ContractOptions, Fault
from webapp.lab.services.fake_opentdb.questions import CATEGORIES, dedupe_keys, make_questions, unique_questions
from webapp.lab.services.fake_opentdb.server import FakeOpenTdb, FaultPlan

__all__ = [
    "CATEGORIES",
    "ContractOptions",
    "FakeOpenTdb",
    "Fault",
    "FaultPlan",
    "dedupe_keys",
    "make_questions",
    "unique_questions",
]
