"""A lock that was held at a fork is never released in the child: each is made anew there."""

from __future__ import annotations

import ast
from pathlib import Path

import poolproof

ROOT = Path(poolproof.__path__[0])
LOCKS = {"Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore"}
ELSEWHERE = {
    "lab/drills/faults.py": "its threads are of one command, which forks nothing",
    "core/slots.py": "a child's engines have new pools",
    "transactions/commit_queue.py": "a child's group commit begins with a new queue",
    "core/wait_queue.py": "it belongs to one waiter, whose thread the child does not have",
}


def makes_locks(tree: ast.AST) -> bool:
    """Say whether a module names a kind of lock, called there or later, as a default factory is."""
    named = {(node.value.id, node.attr) for node in ast.walk(tree) if is_name(node)}  # type: ignore[attr-defined]
    return bool(named & {("threading", lock) for lock in LOCKS})


def renews(tree: ast.AST) -> bool:
    names = {f"{node.value.id}.{node.attr}" for node in ast.walk(tree) if is_name(node)}  # type: ignore[attr-defined]
    return bool(names & {"fork.track", "fork.register"})


def is_name(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)


def test_every_module_that_makes_locks_renews_them_after_a_fork() -> None:
    trees = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in ROOT.rglob("*.py")}
    with_locks = {name for name, tree in trees.items() if makes_locks(tree)}
    assert with_locks >= set(ELSEWHERE)
    assert {name for name in with_locks - set(ELSEWHERE) if not renews(trees[name])} == set()
