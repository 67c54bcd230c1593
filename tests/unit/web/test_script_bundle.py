from __future__ import annotations

import re
from collections import Counter

import pytest

from webapp.web import script_bundle


@pytest.mark.parametrize("name", sorted(script_bundle.ENTRY_POINTS))
def test_modules_that_meet_in_one_file_have_no_name_in_common(name: str) -> None:
    names = re.findall(r"^(?:async )?(?:function|class|const|let) (\w+)", script_bundle.bundle(name), re.MULTILINE)
    assert len(names) > 1
    assert {top_level: count for top_level, count in Counter(names).items() if count > 1} == {}


def test_a_module_runs_once_and_after_those_that_it_needs() -> None:
    order = script_bundle.resolve_modules("play.js")
    assert sorted(order) == sorted(set(order))
    assert order.index("backoff.js") < order.index("sender.js") < order.index("play.js")
