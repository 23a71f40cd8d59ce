"""One run of a campaign at a time, and no lock to remove after a kill."""

import json
import os
import subprocess
import sys
import time

import pytest

from glassml.campaign.locks import EXPIRES_S, FolderLock, LockedError, LostLockError, hold
from glassml.campaign.running import bring_back_times, hold_campaign

HOLD = """
import sys, time
from glassml.campaign.running import hold_campaign
hold_campaign(sys.argv[1])
print("held", flush=True)
time.sleep(60)
"""


def test_a_second_run_is_refused_until_the_first_is_killed(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match=f"process {first.pid} on .* runs"):
            hold_campaign(tmp_path)
        first.kill()
    hold_campaign(tmp_path)


def test_a_holder_on_another_node_is_dead_after_minutes_of_silence(tmp_path):
    lock = tmp_path / ".lock"
    lock.write_text(json.dumps({"host": "n2", "boot": "another", "pid": 1, "born": "1"}))
    with pytest.raises(LockedError, match="process 1 on n2 runs this state"):
        FolderLock(tmp_path, "runs this state").acquire(wait=False)
    os.utime(lock, (time.time() - EXPIRES_S - 1,) * 2)
    with hold(tmp_path, "runs this state", wait=False) as held:
        held.check()
        lock.write_text("{}")
        with pytest.raises(LostLockError):
            held.check()


def test_files_of_a_clock_that_is_ahead_get_the_time_of_now(tmp_path, caplog):
    (tmp_path / "folder").mkdir()
    for name, ahead_s in {"past": -1e6, "folder/ahead": 1e6, "now": 0.0}.items():
        (tmp_path / name).write_text(name)
        os.utime(tmp_path / name, (time.time() + ahead_s,) * 2)
    assert bring_back_times(tmp_path) == [tmp_path / "folder" / "ahead"]
    assert abs((tmp_path / "folder" / "ahead").stat().st_mtime - time.time()) < 600
    assert (tmp_path / "past").stat().st_mtime < time.time() - 9e5
    assert "ahead and 0 more files lie in the future" in caplog.text
    assert bring_back_times(tmp_path) == []
