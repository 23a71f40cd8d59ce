"""The label store: atomic, shared, each key computed by one process."""

import json
import multiprocessing
import os
import signal
import time

import pytest

from glassml.campaign.store import LabelStore

KEYS = [f"{number:064x}" for number in range(40)]


def _record(key):
    return {"status": "converged", "energy": int(key, 16) + 0.1}


def test_what_was_put_is_got_back(tmp_path):
    store = LabelStore(tmp_path)
    store.put(KEYS[1], _record(KEYS[1]))
    assert LabelStore(tmp_path).get(KEYS[1]) == _record(KEYS[1])
    assert store.get(KEYS[2]) is None


def test_packing_keeps_every_record_and_empties_the_folders(tmp_path):
    store = LabelStore(tmp_path)
    for key in KEYS:
        store.put(key, _record(key))
    assert store.pack() == len(KEYS)
    assert store.pack() == 0
    assert not list(tmp_path.glob("??/*.json"))
    fresh = LabelStore(tmp_path)
    assert dict(fresh.items()) == {key: _record(key) for key in KEYS}


def test_what_a_killed_process_left_half_written_is_not_read(tmp_path):
    store = LabelStore(tmp_path)
    store.put(KEYS[0], _record(KEYS[0]))
    torn = tmp_path / KEYS[0][:2] / f".tmp-x{KEYS[1]}.json"
    torn.write_text('{"status": "conv')
    (tmp_path / "packs").mkdir()
    (tmp_path / "packs" / ".tmp-x1.zip").write_bytes(b"PK torn")
    fresh = LabelStore(tmp_path)
    assert dict(fresh.items()) == {KEYS[0]: _record(KEYS[0])}
    assert fresh.pack() == 1
    assert LabelStore(tmp_path).get(KEYS[0]) == _record(KEYS[0])


def test_a_loose_record_is_newer_than_a_packed_one(tmp_path):
    store = LabelStore(tmp_path)
    store.put(KEYS[0], {"status": "failed"})
    store.pack()
    store.put(KEYS[0], {"status": "converged"})
    assert LabelStore(tmp_path).get(KEYS[0]) == {"status": "converged"}


def test_a_claim_is_exclusive_and_ends(tmp_path):
    store = LabelStore(tmp_path)
    with store.claim(KEYS[0]) as first:
        with LabelStore(tmp_path).claim(KEYS[0]) as second:
            assert (first, second) == (True, False)
        with LabelStore(tmp_path).claim(KEYS[0]) as third:
            assert not third, "losing a claim must not release the winner's"
    with store.claim(KEYS[0]) as again:
        assert again


def _claim_and_wait(root, ready):
    with LabelStore(root).claim(KEYS[0]):
        ready.set()
        time.sleep(60)


def test_the_claim_of_a_killed_process_is_void(tmp_path):
    ready = multiprocessing.Event()
    process = multiprocessing.Process(target=_claim_and_wait, args=(tmp_path, ready))
    process.start()
    assert ready.wait(10)
    with LabelStore(tmp_path).claim(KEYS[0]) as mine:
        assert not mine
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with LabelStore(tmp_path).claim(KEYS[0]) as mine:
        assert mine


@pytest.mark.parametrize(("age_s", "void"), [(10, False), (3600, True)])
def test_a_claim_of_another_host_expires(tmp_path, age_s, void):
    claim = tmp_path / "claims" / KEYS[0]
    claim.parent.mkdir()
    claim.write_text(json.dumps({"host": "elsewhere", "pid": 1, "born": "1"}))
    os.utime(claim, (time.time() - age_s,) * 2)
    with LabelStore(tmp_path).claim(KEYS[0]) as mine:
        assert mine is void


def _compute_all(root, started):
    store = LabelStore(root)
    for key in KEYS:
        with store.claim(key) as mine:
            if mine and store.get(key) is None:
                with (root / "computed").open("a") as file:
                    file.write(f"{key}\n")
                time.sleep(0.002)
                store.put(key, _record(key))
    started.wait()


def test_two_processes_compute_each_key_once(tmp_path):
    started = multiprocessing.Barrier(2)
    processes = [
        multiprocessing.Process(target=_compute_all, args=(tmp_path, started)) for _ in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    computed = (tmp_path / "computed").read_text().split()
    assert sorted(computed) == KEYS
