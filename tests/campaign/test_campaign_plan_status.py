"""Plan and status: exact counts, costs that grow as they should, states read off the files."""

import base64
import csv
import os
import time

import pytest

from glassml.campaign import plan, status
from glassml.campaign.config import parse_campaign
from glassml.campaign.jobs import list_jobs, shard_sizes

FAMILIES = {
    "crystals": {"generator": "crystal", "count": 20, "polymorphs": ["alpha_quartz"]},
    "liquid": {"generator": "melt", "count": 9, "atoms": [24]},
    "atoms": {"generator": "isolated_atom", "count": 2},
}


def make_campaign(**changes):
    data = {
        "name": "tiny",
        "configurations": {"shard_size": 8, "families": FAMILIES},
        "md": {"glasses": 2, "atoms": 96},
    }
    return parse_campaign(data | changes)


def test_shards_hold_every_configuration_once():
    campaign = make_campaign()
    assert shard_sizes(campaign, "crystals") == [8, 8, 4]
    assert shard_sizes(campaign, "liquid") == [8, 1]
    for family, section in campaign.configurations.families.items():
        assert sum(shard_sizes(campaign, family)) == section.count
        assert len(shard_sizes(campaign, family)) == campaign.configurations.shards(family)


def test_plan_counts_every_job_once():
    campaign = make_campaign()
    items = plan.make_plan(campaign)
    assert plan.total(items)["jobs"] == len(list_jobs(campaign))
    assert sum(item.pieces for item in items if item.stage == "dft") == 31


def test_cost_grows_with_size_and_cutoff():
    small = plan.label_seconds(make_campaign(), "liquid")
    families = FAMILIES | {"liquid": {"generator": "melt", "count": 9, "atoms": [72]}}
    large = make_campaign(configurations={"shard_size": 8, "families": families})
    assert plan.label_seconds(large, "liquid") > 3 * small
    finer = make_campaign(dft={"cutoff_eV": 1200.0})
    assert plan.label_seconds(finer, "liquid") > small


def test_studies_that_the_page_includes_are_planned():
    curve = {"learning_curve": {"labels": [10, 20]}, "training": {"max_minutes": 60}}
    search = {"variants": {"small": {}, "large": {}}, "training": {"max_minutes": 30}}
    plain = make_campaign(potential=curve | {"search": search})
    whole = make_campaign(
        potential=curve | {"search": search}, report={"include": ["search", "learning_curve"]}
    )
    assert not [item for item in plan.make_plan(plain) if item.stage == "studies"]
    item = next(item for item in plan.make_plan(whole) if item.stage == "studies")
    # 10, 20 and all labels for an hour each, two networks for half an hour; checks come on top.
    assert item.core_hours > 3 + 2 * 0.5
    assert item.pieces == 3 + 2
    assert item.jobs == 3 * 2 + 1 + 2 * 3 + 1


def test_glasses_of_the_size_search_cost_what_its_first_state_does():
    md = {"engine": "torch", "glasses": 2, "atoms": 96}
    costs = {}
    for glasses in ((), ("small", "large")):
        search = {"variants": {"small": {}, "large": {}}, "glasses": list(glasses)}
        whole = make_campaign(md=md, potential={"search": search}, report={"include": ["search"]})
        costs[glasses] = plan.make_plan(whole)
        assert plan.total(costs[glasses])["jobs"] == len(list_jobs(whole))
    without, with_glasses = (
        next(item for item in items if item.stage == "studies") for items in costs.values()
    )
    melt = next(item for item in costs[()] if item.name == "ambient")
    assert with_glasses.core_hours - without.core_hours == pytest.approx(2 * melt.core_hours)
    assert with_glasses.jobs - without.jobs == 2 * (1 + 2 + 1)


def test_runs_made_elsewhere_cost_nothing(tmp_path):
    hold = {"name": "hold", "ensemble": "nvt", "temperature_K": 300, "duration_ps": 1}
    md = {"glasses": 1, "engine": "torch", "start": "classical"}
    md["states"] = {"hot": {"stages": [hold]}}
    (tmp_path / "hot/glass00").mkdir(parents=True)
    (tmp_path / "hot/glass00/record.json").touch()
    run, given = make_campaign(md=md), make_campaign(md=md | {"given": str(tmp_path)})
    costs = [
        {item.name: item.core_hours for item in plan.make_plan(each) if item.stage == "md"}
        for each in (run, given)
    ]
    assert costs[0]["start"] > 0
    assert costs[0]["hot"] > 0
    assert costs[1] == {"hot": 0.0}
    assert [job.name for job in list_jobs(given) if job.stage == "md"] == ["md/hot/glass00"]


def test_gpu_hours_replace_core_hours():
    campaign = make_campaign()
    on_cpu = plan.total(plan.make_plan(campaign, gpu=False))
    on_gpu = plan.total(plan.make_plan(campaign, gpu=True))
    assert on_cpu["gpu_hours"] == 0.0
    assert on_gpu["gpu_hours"] > 0.0
    assert on_gpu["core_hours"] < on_cpu["core_hours"]


def write_labels(folder, rows):
    folder.mkdir(parents=True)
    with (folder / "0000.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["config_id", "status", "reason", "recipe", "seconds"])
        writer.writeheader()
        writer.writerows(rows)


def test_measured_labels_replace_the_estimate(tmp_path):
    campaign = make_campaign()
    row = {"config_id": "liquid/000000", "status": "converged", "seconds": 100.0}
    # A label from the store costs no time and says nothing about what one costs.
    write_labels(tmp_path / "dft" / "liquid", [row, row | {"seconds": 300.0}, row | {"seconds": 0}])
    item = next(
        item
        for item in plan.make_plan(campaign, tmp_path)
        if (item.stage, item.name) == ("dft", "liquid")
    )
    assert item.basis == "measured"
    assert item.core_hours == pytest.approx(9 * 200.0 / 3600)


def test_measured_dynamics_replace_the_estimate(tmp_path):
    campaign = make_campaign()
    path = tmp_path / "benchmarks" / "md" / "ambient" / "glass00.tsv"
    path.parent.mkdir(parents=True)
    path.write_text("s\th:m:s\tmax_rss\n36.0\t0:00:36\t100\n")
    items = {item.name: item for item in plan.make_plan(campaign, tmp_path) if item.stage == "md"}
    assert items["ambient"].core_hours == pytest.approx(2 * 36.0 / 3600)
    assert items["cold_7.7GPa"].basis == "estimate"


def touch(path, text=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def counts(campaign, root):
    return status.examine(campaign, root).counts


def test_states_of_jobs_are_read_off_the_files(tmp_path, monkeypatch):
    campaign = make_campaign()
    results, logs = tmp_path / "results" / "tiny", tmp_path / "logs" / "tiny"
    assert counts(campaign, tmp_path)["dft"]["waiting"] == 7
    for suffix in (".extxyz", ".csv"):
        touch(results / "dft" / "crystals" / f"0000{suffix}")
    touch(logs / "dft" / "crystals" / "0001.log", "…\nNo space left on device\n")
    report = status.examine(campaign, tmp_path)
    assert report.counts["dft"] == {"done": 1, "failed": 1, "waiting": 5}
    assert [(item.where, item.reason) for item in report.failed_jobs] == [
        ("dft/crystals/0001", "No space left on device")
    ]
    # What Snakemake has marked as begun is running while a Snakemake lives, and waits otherwise.
    name = base64.urlsafe_b64encode(b"results/tiny/dft/crystals/0000.csv").decode()
    touch(tmp_path / ".snakemake" / "incomplete" / name, "{}")
    assert counts(campaign, tmp_path)["dft"]["done"] == 0
    monkeypatch.setattr(status, "is_snakemake_running", lambda root: True)
    assert counts(campaign, tmp_path)["dft"]["running"] == 1
    # What failed before this run began waits for its turn.
    assert counts(campaign, tmp_path)["dft"]["failed"] == 1
    log = logs / "dft" / "crystals" / "0001.log"
    os.utime(log, (time.time() - 100, time.time() - 100))
    touch(tmp_path / ".snakemake" / "locks" / "0.input.lock")
    assert counts(campaign, tmp_path)["dft"]["failed"] == 0


def test_a_deleted_result_waits_and_has_not_failed(tmp_path):
    campaign = make_campaign()
    log = tmp_path / "logs" / "tiny" / "dft" / "crystals" / "0001.log"
    benchmark = tmp_path / "results" / "tiny" / "benchmarks" / "dft" / "crystals" / "0001.tsv"
    touch(log, "all is well")
    touch(benchmark, "s\n1\n")
    os.utime(log, (time.time() - 10, time.time() - 10))
    assert counts(campaign, tmp_path)["dft"]["failed"] == 0


def test_configurations_that_were_set_aside_are_told_with_reasons(tmp_path):
    campaign = make_campaign()
    rows = [
        {"config_id": "liquid/000000", "status": "converged", "seconds": 10.0},
        {"config_id": "liquid/000001", "status": "refused", "reason": "atoms 0 and 1 overlap"},
    ]
    write_labels(tmp_path / "results" / "tiny" / "dft" / "liquid", rows)
    report = status.examine(campaign, tmp_path)
    assert (report.labelled, report.configurations) == (1, 31)
    text = status.render(report, cores=2)
    assert "liquid/000001: refused: atoms 0 and 1 overlap" in text
    assert "1 of 31 configurations" in text


def test_nothing_left_when_all_is_there(tmp_path):
    campaign = make_campaign()
    for job in list_jobs(campaign):
        for output in job.outputs:
            touch(tmp_path / "results" / "tiny" / output)
    report = status.examine(campaign, tmp_path)
    assert all(set(states) <= {"done"} for states in report.counts.values())
    assert "Nothing is left to do" in status.render(report, cores=2)


def test_a_snakemake_elsewhere_is_not_ours(tmp_path):
    assert not status.is_snakemake_running(tmp_path)
