"""A stand-in for Open Trivia DB over real HTTP, true to its contract in every point.

By hand: `python -m webapp.lab.services.fake_opentdb --port 8765 --questions 5250 --spacing 5`.
"""

from webapp.lab.services.fake_opentdb.contract import Fault, Switches
from webapp.lab.services.fake_opentdb.questions import CATEGORIES, keys, questions, records
from webapp.lab.services.fake_opentdb.server import Plan, StandIn

__all__ = ["CATEGORIES", "Fault", "Plan", "StandIn", "Switches", "keys", "questions", "records"]
