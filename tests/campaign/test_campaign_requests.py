"""What jobs ask a scheduler for: measured memory, and more with each attempt."""

import re
from pathlib import Path

import pytest

from glassml.campaign.requests import measured_megabytes

ROOT = Path(__file__).parents[2]
HEAD = "s\th:m:s\tmax_rss\tmax_vms\n"


def test_the_most_that_long_jobs_took_is_asked_for_with_half_of_it_to_spare(tmp_path):
    assert measured_megabytes(tmp_path / "absent") is None
    (tmp_path / "short.tsv").write_text(f"{HEAD}3.1\t0:00:03\t9000.0\t1\n")
    (tmp_path / "unseen.tsv").write_text(f"{HEAD}90.0\t0:01:30\t-\t-\n")
    assert measured_megabytes(tmp_path) is None
    (tmp_path / "a.tsv").write_text(f"{HEAD}90.0\t0:01:30\t1000.0\t1\n")
    (tmp_path / "b.tsv").write_text(f"{HEAD}3600\t1:00:00\t640.5\t1\n")
    assert measured_megabytes(tmp_path) == 1500


@pytest.mark.parametrize(
    "path", sorted((ROOT / "workflow" / "rules").rglob("*.smk")), ids=lambda path: path.stem
)
def test_memory_and_time_of_every_rule_grow_with_attempts(path):
    for key, helper in (("mem_mb", "megabytes"), ("runtime", "minutes")):
        values = re.findall(rf"^\s+{key}=(\w+)", path.read_text(), re.MULTILINE)
        assert set(values) <= {helper}
