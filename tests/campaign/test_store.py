"""The label store: atomic, shared, each key computed by one process."""

import json
import multiprocessing
import os
import shutil
import signal
import time

import pytest

from glassml.campaign.store import LabelStore, StoreError

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
    assert ready.wait(60)
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
        process.join(600)
    computed = (tmp_path / "computed").read_text().split()
    assert sorted(computed) == KEYS


def test_a_claim_is_made_again_where_somebody_removed_the_folder(tmp_path):
    store = LabelStore(tmp_path)
    with store.claim(KEYS[0]) as mine:
        shutil.rmtree(tmp_path / "claims")
        store.refresh_claim(KEYS[0])
        with LabelStore(tmp_path).claim(KEYS[0]) as other:
            assert (mine, other) == (True, False)


def test_a_copy_of_a_store_in_use_has_no_claims(tmp_path):
    store = LabelStore(tmp_path / "store")
    store.put(KEYS[1], _record(KEYS[1]))
    with store.claim(KEYS[0]):
        shutil.copytree(tmp_path / "store", tmp_path / "copy")
        copy = LabelStore(tmp_path / "copy")
        assert copy.keys() == {KEYS[1]}
        with copy.claim(KEYS[0]) as mine:
            assert mine


@pytest.mark.parametrize("content", ["", '{"status": "conv', "[1, 2]", '{"energy": 1}', "\x00\x01"])
def test_a_loose_record_that_is_none_is_made_again(tmp_path, content):
    store = LabelStore(tmp_path)
    store.put(KEYS[0], _record(KEYS[0]))
    next(tmp_path.glob(f"*/{KEYS[0]}.json")).write_text(content)
    assert LabelStore(tmp_path).get(KEYS[0]) is None
    store.put(KEYS[0], _record(KEYS[0]))
    assert LabelStore(tmp_path).get(KEYS[0]) == _record(KEYS[0])


def test_a_damaged_pack_is_refused_by_its_name(tmp_path):
    store = LabelStore(tmp_path)
    store.put(KEYS[0], _record(KEYS[0]))
    store.pack()
    (pack,) = (tmp_path / "packs").glob("*.zip")
    pack.write_bytes(pack.read_bytes()[:-30])
    with pytest.raises(StoreError, match=f"{pack.name}: is damaged"):
        LabelStore(tmp_path).get(KEYS[0])


@pytest.mark.parametrize(("umask", "mode"), [(0o077, 0o600), (0o022, 0o644), (0o002, 0o664)])
def test_records_are_readable_for_whom_the_umask_says(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        LabelStore(tmp_path).put(KEYS[0], _record(KEYS[0]))
    finally:
        os.umask(before)
    (path,) = tmp_path.glob(f"*/{KEYS[0]}.json")
    assert path.stat().st_mode & 0o777 == mode
