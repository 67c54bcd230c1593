"""Broken files without an end for every parser: `python bench/fuzz.py --minutes 5 [--format gift]`.

Each format has so many minutes in a process of its own. A case is random bytes, or a good file that
has been cut, doubled, overwritten, encoded in another way, or blown up to a megabyte. Exits 1 when a
parser raises what it should not, says nothing of a record, crashes, takes too long, or takes
more memory than it may; the case is then kept, and its path printed.
"""

from __future__ import annotations

import argparse
import faulthandler
import io
import json
import multiprocessing
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from pathlib import Path

from webapp.bank import exports, imports
from webapp.bank.exports import ExportFormat
from webapp.bank.formats.parse_result import Accepted, UnreadableError
from webapp.bank.imports import Format
from webapp.bank.item_draft import ItemDraft, find_errors

PAGE = Path(__file__).resolve().parents[1] / "docs" / "formats.md"
LANGUAGES = {Format.MOODLE_XML: "xml"}
LARGE = 1024 * 1024
"""Bytes of a case that has been blown up; about one in two hundred is."""
HANGS_AFTER = 120.0
"""Seconds of processor time until the process is ended, with the traceback of where it was."""
MOST_SECONDS, FOR_EACH_RECORD = 20.0, 0.001
"""Of processor time for a case, and more for each record of it: watching its memory makes it four times as slow."""
MOST_MEMORY = 16 * 1024 * 1024
"""Bytes for a case, beside the file."""
LONGEST_REASON = 2000
ITEMS = [
    ItemDraft("single", 'Which "one" <flies>?\nNow = {a}', ("C#", "50 %", "-5; 'x'"), (1,), "Why, so", "Sea/Air"),
    ItemDraft("multiple", "Où?", ("là", "ici", "ça"), (0, 2), source="a--b", licence="CC0", original='{"a": "\\n"}'),
    ItemDraft("true_false", "Emus run.", ("True", "False"), (0,), difficulty="easy"),
]
TOKENS = [
    *(bytes([one]) for one in b"\r\n\t\x00\\:#={}~%[]()/><'\"&;,@+^AT1- \x93\xff"),
    *b"\n\n|//|::|####|->|%50%|$CATEGORY: |// poolproof: {|#Q |^ |ANSWER: |A. |[html]".split(b"|"),
    *b'choice_1|\n,,,\n|1; 2|[[|{"a":|"items"|\\u0000|\\ud800|NaN|1e999'.split(b"|"),
    *b"<quiz>|</quiz>|<question type='multichoice'>|</question>|<text>|</text>|<!--|-->|<![CDATA[|]]>".split(b"|"),
    *b"<!DOCTYPE a [<!ENTITY b 'c'>]>|&b;|&#0;|&#xffff;|<answer fraction='1e9'>|<?|?>".split(b"|"),
    *(text.encode("utf-16") for text in ("<quiz>", "#Q", "[{}]")),
    b"\xef\xbb\xbf",
    b"\xe2\x80\x3f",
    b"\xed\xa0\x80",
    b"1" * 5000,
]


class BrokenPromiseError(Exception):
    """A parser did what it should not; the text says what."""


def demand(*, told: object, that: bool) -> None:
    """Go on only when it is so.

    Raises:
        BrokenPromiseError: when not.
    """
    if not that:
        raise BrokenPromiseError(str(told)[:500])


def seeds_of(file_format: Format) -> list[bytes]:
    """Return good files: the page's example, and an export where there is one."""
    language = LANGUAGES.get(file_format, file_format.value)
    found = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    if file_format.value in set(ExportFormat):
        found.append("".join(exports.dump(ExportFormat(file_format.value), iter(ITEMS), lambda *_: None)))
    return [text.encode() for text in found]


def spot(choose: random.Random, content: bytes) -> slice:
    """Return a piece of a file; short ones are more likely."""
    start = choose.randrange(len(content) + 1)
    return slice(start, start + int(choose.expovariate(1 / choose.choice((2, 20, 200)))))


def edited(choose: random.Random, content: bytes) -> bytes:
    """Cut, double, move or overwrite a piece."""
    place = spot(choose, content)
    piece = content[place]
    new = choose.choice(
        [b"", piece * 2, content[spot(choose, content)], choose.choice(TOKENS), choose.randbytes(choose.randrange(8))]
    )
    return content[: place.start] + new + content[place.stop :]


def case_of(choose: random.Random, seeds: list[bytes]) -> bytes:
    """Return the next file to try."""
    if choose.random() < 0.05:  # noqa: PLR2004 - one in twenty
        return choose.randbytes(choose.randrange(2000))
    content = choose.choice(seeds)
    for _ in range(choose.randrange(8)):
        content = edited(choose, content)
    if choose.random() < 0.005:  # noqa: PLR2004 - one in two hundred
        place = spot(choose, content)
        piece = choose.choice([content[place], choose.choice(TOKENS), b"x"]) or b" "
        content = content[: place.start] + piece * (LARGE // len(piece)) + content[place.start :]
    if choose.random() < 0.03:  # noqa: PLR2004 - one in thirty
        content = content.decode(errors="replace").encode(choose.choice(["utf-16", "utf-16-be", "cp1252"]), "replace")
    return content


def outcome_of(file_format: Format, content: bytes) -> Counter[str]:
    """Read a file and count what became of it.

    Raises:
        BrokenPromiseError: when a record has no line or is neither a good item nor has a reason.
    """
    counts = Counter({"cases": 1})
    try:
        for record in imports.parse(file_format, io.BytesIO(content), None):
            demand(that=record.line >= 1, told=record)
            if isinstance(record, Accepted):
                counts["accepted"] += 1
                demand(that=not find_errors(record.draft), told=record)
            else:
                counts["rejected"] += 1
                demand(that=0 < len(record.reason) <= LONGEST_REASON, told=record)
    except UnreadableError as error:
        counts["unreadable"] += 1
        demand(that=0 < len(str(error)) <= LONGEST_REASON, told=error)
    return counts


def fuzz(file_format: Format, minutes: float, seed: int, folder: Path) -> None:
    """Try files until the time is over; the case at hand and the numbers so far are always in `folder`."""
    choose, seeds, counts = random.Random(seed), seeds_of(file_format), Counter[str]()
    worst_seconds, worst_memory, ends_at = 0.0, 0, time.monotonic() + minutes * 60
    case, numbers = folder / f"{file_format}.case", folder / f"{file_format}.json"
    # Processor time, as a busy machine is slow; after the traceback the signal ends the process.
    faulthandler.register(signal.SIGVTALRM, chain=True)
    tracemalloc.start()
    while time.monotonic() < ends_at:
        content = case_of(choose, seeds)
        case.write_bytes(content)
        signal.setitimer(signal.ITIMER_VIRTUAL, HANGS_AFTER)
        tracemalloc.reset_peak()
        before, began = tracemalloc.get_traced_memory()[0], time.process_time()
        outcome = outcome_of(file_format, content)
        counts += outcome
        seconds, memory = time.process_time() - began, tracemalloc.get_traced_memory()[1] - before
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        worst_seconds, worst_memory = max(worst_seconds, seconds), max(worst_memory, memory)
        numbers.write_text(json.dumps({**counts, "seconds": worst_seconds, "memory": worst_memory}))
        # JSON is read whole: a megabyte of empty lists becomes many times as many bytes.
        allowed = MOST_MEMORY + (100 * len(content) if file_format is Format.JSON else 0)
        records = outcome["accepted"] + outcome["rejected"]
        demand(that=seconds <= MOST_SECONDS + FOR_EACH_RECORD * records, told=f"{seconds:.1f} s")
        demand(that=memory <= allowed, told=f"{memory / 2**20:.1f} MiB")
    case.unlink(missing_ok=True)


def main() -> None:
    """Try every format, and judge."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--minutes", type=float, default=5.0, help="for each format")
    arguments.add_argument("--format", choices=[one.value for one in Format], help="default: all")
    arguments.add_argument("--seed", type=int, default=random.randrange(10**6), help="default: another one each time")
    given = arguments.parse_args()
    folder, failed = Path(tempfile.mkdtemp(prefix="fuzz-")), False
    spawn = multiprocessing.get_context("spawn")
    print(f"seed {given.seed}")
    for file_format in [Format(given.format)] if given.format else Format:
        process = spawn.Process(target=fuzz, args=(file_format, given.minutes, given.seed, folder))
        process.start()
        process.join()
        numbers = folder / f"{file_format}.json"
        counts = json.loads(numbers.read_text()) if numbers.exists() else {}
        told = [f"{counts.get(name, 0)} {name}" for name in ("cases", "accepted", "rejected", "unreadable")]
        slowest, largest = counts.get("seconds", 0), counts.get("memory", 0)
        print(f"{file_format:<13}{', '.join(told)}; worst {slowest:.2f} s, peak {largest / 2**20:.1f} MiB", flush=True)
        if process.exitcode:
            failed = True
            print(f"{file_format:<13}FAILED (exit {process.exitcode}); the case: {folder / f'{file_format}.case'}")
    if failed:
        sys.exit(1)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
