"""Work that takes 90 s and counts them, with the signals' handling of glassml's commands."""

import sys
import time
from pathlib import Path

from glassml.campaign.errors import Interrupted
from glassml.campaign.files import write_text
from glassml.campaign.signals import SignalWatch, ends_its_time, listen, wait_to_be_ended

SECONDS = 90


def count(state: Path) -> None:
    """Go on from what was counted."""
    done = int(state.read_text()) if state.exists() else 0
    with SignalWatch() as watch:
        while done < SECONDS:
            time.sleep(1)
            done += 1
            write_text(state, str(done))
            if watch.number:
                raise Interrupted(watch.number)


def main(folder: Path) -> int:
    """Count, and leave as `glassml.cli.main` does."""
    listen()
    try:
        count(folder / "seconds")
    except Interrupted as interruption:
        if ends_its_time(interruption):
            wait_to_be_ended()
        return 128 + interruption.number
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
