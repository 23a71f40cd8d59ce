"""One run of a campaign at a time, and no lock to remove after a kill."""

import subprocess
import sys

import pytest

from glassml.campaign.locks import LockedError
from glassml.campaign.running import hold_campaign

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
