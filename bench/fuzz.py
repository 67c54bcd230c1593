"""Fuzz every parser with broken files: `python bench/fuzz.py --minutes 5 [--format gift]`.

Each format is fuzzed for so many minutes in a process of its own. A case is random bytes, or a valid
file with pieces deleted, repeated or overwritten, with another encoding, or enlarged to a megabyte.
Exits 1 when a parser raises an unexpected exception, gives no reason for a rejection, crashes, or
exceeds its time or memory; the case is then kept, and its path printed.
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

FORMATS_PAGE = Path(__file__).resolve().parents[1] / "docs" / "formats.md"
LANGUAGES = {Format.MOODLE_XML: "xml"}
LARGE_CASE_BYTES = 1024 * 1024
"""Bytes of an enlarged case; about one in two hundred is enlarged."""
HANG_TIMEOUT = 120.0
"""Seconds of processor time after which the process is ended with a traceback."""
MAX_SECONDS, SECONDS_PER_RECORD = 20.0, 0.001
"""Processor time of a case, and more for each record; tracing its memory makes a parser four times as slow."""
MAX_MEMORY = 16 * 1024 * 1024
"""Bytes of a case, without the file."""
MAX_REASON_LENGTH = 2000
ITEMS = [
    ItemDraft("single", 'Which "one" <flies>?\nNow = {a}', ("C#", "50 %", "-5; 'x'"), (1,), "Why, so", "Sea/Air"),
    ItemDraft("multiple", "Où?", ("là", "ici", "ça"), (0, 2), source="a--b", licence="CC0", original='{"a": "\\n"}'),
    ItemDraft("true_false", "Emus run.", ("True", "False"), (0,), difficulty="easy"),
]
TOKENS = [
    *(bytes([byte]) for byte in b"\r\n\t\x00\\:#={}~%[]()/><'\"&;,@+^AT1- \x93\xff"),
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


class ContractViolationError(Exception):
    """A parser has violated its contract; the text says how."""


def require(condition: bool, *, details: object) -> None:  # noqa: FBT001 - reads as an assertion
    """Check a condition.

    Raises:
        ContractViolationError: with the details, when it does not hold.
    """
    if not condition:
        raise ContractViolationError(str(details)[:500])


def make_seeds(file_format: Format) -> list[bytes]:
    """Return valid files: the documentation's example, and an export where the format can be exported."""
    language = LANGUAGES.get(file_format, file_format.value)
    seeds: list[str] = re.findall(rf"```{language}\n(.*?)```", FORMATS_PAGE.read_text(), re.DOTALL)
    if file_format.value in set(ExportFormat):
        seeds.append("".join(exports.dump(ExportFormat(file_format.value), iter(ITEMS), lambda *_: None)))
    return [text.encode() for text in seeds]


def random_slice(chance: random.Random, content: bytes) -> slice:
    """Return a random slice of a file; short ones are more likely."""
    start = chance.randrange(len(content) + 1)
    return slice(start, start + int(chance.expovariate(1 / chance.choice((2, 20, 200)))))


def mutate(chance: random.Random, content: bytes) -> bytes:
    """Delete, repeat, move or overwrite a piece."""
    position = random_slice(chance, content)
    piece = content[position]
    new = chance.choice(
        [
            b"",
            piece * 2,
            content[random_slice(chance, content)],
            chance.choice(TOKENS),
            chance.randbytes(chance.randrange(8)),
        ]
    )
    return content[: position.start] + new + content[position.stop :]


def make_case(chance: random.Random, seeds: list[bytes]) -> bytes:
    """Return the next case."""
    if chance.random() < 0.05:  # noqa: PLR2004 - one in twenty
        return chance.randbytes(chance.randrange(2000))
    content = chance.choice(seeds)
    for _ in range(chance.randrange(8)):
        content = mutate(chance, content)
    if chance.random() < 0.005:  # noqa: PLR2004 - one in two hundred
        position = random_slice(chance, content)
        piece = chance.choice([content[position], chance.choice(TOKENS), b"x"]) or b" "
        content = content[: position.start] + piece * (LARGE_CASE_BYTES // len(piece)) + content[position.start :]
    if chance.random() < 0.03:  # noqa: PLR2004 - one in thirty
        content = content.decode(errors="replace").encode(chance.choice(["utf-16", "utf-16-be", "cp1252"]), "replace")
    return content


def parse_case(file_format: Format, content: bytes) -> Counter[str]:
    """Parse a file and count the outcomes of its records.

    Raises:
        ContractViolationError: when a record has no line, or is neither a valid item nor has a reason.
    """
    counts = Counter({"cases": 1})
    try:
        for record in imports.parse(file_format, io.BytesIO(content), None):
            require(record.line >= 1, details=record)
            if isinstance(record, Accepted):
                counts["accepted"] += 1
                require(not find_errors(record.draft), details=record)
            else:
                counts["rejected"] += 1
                require(0 < len(record.reason) <= MAX_REASON_LENGTH, details=record)
    except UnreadableError as error:
        counts["unreadable"] += 1
        require(0 < len(str(error)) <= MAX_REASON_LENGTH, details=error)
    return counts


def fuzz(file_format: Format, minutes: float, seed: int, folder: Path) -> None:
    """Parse cases until the time is over; the present case and the numbers so far are always in `folder`."""
    chance, seeds, counts = random.Random(seed), make_seeds(file_format), Counter[str]()
    worst_seconds, worst_memory, ends_at = 0.0, 0, time.monotonic() + minutes * 60
    case, numbers = folder / f"{file_format}.case", folder / f"{file_format}.json"
    # Processor time, because a busy machine is slow; after the traceback the signal ends the process.
    faulthandler.register(signal.SIGVTALRM, chain=True)
    tracemalloc.start()
    while time.monotonic() < ends_at:
        content = make_case(chance, seeds)
        case.write_bytes(content)
        signal.setitimer(signal.ITIMER_VIRTUAL, HANG_TIMEOUT)
        tracemalloc.reset_peak()
        memory_before, started_at = tracemalloc.get_traced_memory()[0], time.process_time()
        outcome = parse_case(file_format, content)
        counts += outcome
        seconds, memory = time.process_time() - started_at, tracemalloc.get_traced_memory()[1] - memory_before
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        worst_seconds, worst_memory = max(worst_seconds, seconds), max(worst_memory, memory)
        numbers.write_text(json.dumps({**counts, "seconds": worst_seconds, "memory": worst_memory}))
        # JSON is read as a whole: a megabyte of empty lists becomes many times as many bytes.
        max_memory = MAX_MEMORY + (100 * len(content) if file_format is Format.JSON else 0)
        records = outcome["accepted"] + outcome["rejected"]
        require(seconds <= MAX_SECONDS + SECONDS_PER_RECORD * records, details=f"{seconds:.1f} s")
        require(memory <= max_memory, details=f"{memory / 2**20:.1f} MiB")
    case.unlink(missing_ok=True)


def main() -> None:
    """Fuzz every format, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0, help="Minutes of each format.")
    parser.add_argument(
        "--format", choices=[each.value for each in Format], help="The only format to fuzz; by default all are."
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=random.randrange(10**6),
        help="Seed of the random numbers; by default another one each time.",
    )
    options = parser.parse_args()
    folder, failed = Path(tempfile.mkdtemp(prefix="fuzz-")), False
    spawn = multiprocessing.get_context("spawn")
    print(f"seed {options.seed}")
    for file_format in [Format(options.format)] if options.format else Format:
        process = spawn.Process(target=fuzz, args=(file_format, options.minutes, options.seed, folder))
        process.start()
        process.join()
        numbers = folder / f"{file_format}.json"
        counts = json.loads(numbers.read_text()) if numbers.exists() else {}
        counted = [f"{counts.get(name, 0)} {name}" for name in ("cases", "accepted", "rejected", "unreadable")]
        slowest, largest = counts.get("seconds", 0), counts.get("memory", 0)
        print(
            f"{file_format:<13}{', '.join(counted)}; worst {slowest:.2f} s, peak {largest / 2**20:.1f} MiB", flush=True
        )
        if process.exitcode:
            failed = True
            print(f"{file_format:<13}FAILED (exit {process.exitcode}); the case: {folder / f'{file_format}.case'}")
    if failed:
        sys.exit(1)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
