"""What a run remembers, and what its workers tell each other."""

import json

import pytest
import tensorflow as tf

from colorcli.training.agreement import Told, Workers
from colorcli.training.run_folder.record import STATE, Record

KNOWN = Record(overhead=12.5, costs={"model": 3.0}, scale=1.2, gains={"a": 0.5}, judges={"a": {"images": 4}},
               finished=8)  # fmt: skip


def test_a_record_is_read_as_it_was_written(tmp_path):
    KNOWN.write(tmp_path)
    assert Record.read(tmp_path) == KNOWN


@pytest.mark.parametrize("text", [None, "", "{", "[1]", '"words"'])
def test_a_run_without_a_record_has_a_fresh_one(text, tmp_path):
    if text is not None:
        (tmp_path / STATE).write_text(text)
    assert Record.read(tmp_path) == Record()


def test_what_a_later_version_adds_is_passed_over(tmp_path):
    (tmp_path / STATE).write_text(json.dumps({"scale": 0.9, "weather": "fair"}))
    assert Record.read(tmp_path) == Record(scale=0.9)


def test_one_worker_agrees_with_itself():
    workers = Workers(tf.distribute.get_strategy())
    assert (workers.chief, workers.index, workers.count) == (True, 0, 1)
    assert workers.agree(7) and workers.of_chief(2.5) == 2.5


@pytest.mark.parametrize(("stop", "halt"), [(False, False), (True, False), (False, True)])
def test_what_is_told_is_heard(stop, halt):
    workers = Workers(tf.distribute.get_strategy())
    told = Told(seconds=0.5, withheld=20.0, stop=stop, halt=halt)
    assert workers.heard(workers.tell(told)) == told


def test_of_several_the_chief_counts_and_any_may_end_the_run():
    workers = [Workers(tf.distribute.get_strategy()) for _ in range(4)]
    sums = 0.0
    for index, worker in enumerate(workers):
        worker.index, worker.count = index, 4
        sums += worker.tell(
            Told(seconds=index, withheld=100.0 * (index + 1), stop=index == 3, halt=False)
        )
    workers[0].strategy = type("Four", (), {"num_replicas_in_sync": 4})
    heard = workers[0].heard(sums)
    assert heard == Told(seconds=1.5, withheld=100.0, stop=True, halt=False)
