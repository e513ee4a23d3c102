import json
import threading

import pytest

from colorcli.system.errors import DataError, UsageError
from colorcli.system.files.journal import journal


def test_lines_of_many_writers_stay_whole(tmp_path):
    path = tmp_path / "new" / "log.jsonl"

    def write(number):
        for i in range(200):  # opened anew: nobody's half line may look broken off
            with journal(path) as log:
                log.add(json.dumps({"writer": number, "line": i, "pad": "x" * 5000}))

    writers = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    told = [json.loads(line) for line in path.read_text().splitlines()]
    assert len({(entry["writer"], entry["line"]) for entry in told}) == len(told) == 800


def test_a_line_that_was_broken_off_does_not_swallow_the_next(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"a": 1}\n{"a": ')
    with journal(path) as log:
        log.add('{"a": 3}')
    assert path.read_text() == '{"a": 1}\n{"a": \n{"a": 3}\n'


def test_a_log_that_cannot_be_is_said(tmp_path):
    with pytest.raises(DataError, match="cannot be written"), journal(tmp_path):
        pass
    with pytest.raises(UsageError, match="give a path"), journal("s3://bucket/log.jsonl"):
        pass


def test_what_is_no_log_is_not_added_to(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("mine\n")
    with pytest.raises(UsageError, match="notes.txt: exists, and is no log"), journal(path):
        pass
    assert path.read_text() == "mine\n"
