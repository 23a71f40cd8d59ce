"""The doctor finds what is missing, and says what to do."""

import warnings
from pathlib import Path

import pytest

from glassml.campaign import doctor
from glassml.cli import main


def test_every_check_reports_and_none_breaks(tmp_path):
    findings = doctor.examine(folder=tmp_path)
    names = [finding.check for finding in findings]
    assert {"Python", "gpaw", "libxc", "PAW setups", "torch", "LAMMPS", "disk"} <= set(names)
    assert not [finding for finding in findings if "broke" in finding.found]
    assert all(finding.advice for finding in findings if finding.status != "ok")


def test_old_python_fails():
    assert doctor.check_python((3, 10)).status == "fail"
    assert doctor.check_python((3, 11)).status == "ok"


@pytest.mark.parametrize("converges", [True, False])
def test_meta_gga_is_refused_only_by_a_libxc_that_cannot(monkeypatch, converges):
    monkeypatch.setattr(doctor, "meta_gga_converges", lambda _="": converges)
    assert doctor.check_libxc("SCAN").status == ("ok" if converges else "fail")
    assert doctor.check_libxc("PBEsol").status == ("ok" if converges else "warn")


@pytest.mark.parametrize("name", ["MGGA_X_SCAN+MGGA_C_SCAN", "MGGA_X_R2SCAN+MGGA_C_R2SCAN"])
def test_libxc_is_judged_by_what_it_does(name):
    from gpaw.xc.libxc import LibXC

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        switched_off = LibXC(name)
    assert doctor.enforces_hole_curvature(LibXC(name, disable_fhc=False))
    # Of a libxc that GPAW cannot switch, it warns.
    warned = any("disable-fhc" in str(item.message) for item in caught)
    assert doctor.enforces_hole_curvature(switched_off) is warned


def test_missing_setup_is_named():
    finding = doctor.check_setups("PBEsol", ["Si", "Xx"])
    assert finding.status == "fail"
    assert "Xx" in finding.found
    assert "Si" not in finding.found.split(" in ")[0]
    assert doctor.check_setups("PBEsol", ["Si", "O"]).status == "ok"


def test_lammps_that_does_not_load_says_what_to_install():
    finding = doctor.check_lammps(
        "raise OSError('libmpi.so.12: cannot open shared object file: No such file')"
    )
    assert finding.status == "fail"
    assert "mpich" in finding.advice


def test_a_crash_of_lammps_is_a_finding():
    finding = doctor.check_lammps("import os; os.abort()")
    assert finding.status == "fail"


def test_full_disk_fails(tmp_path):
    assert doctor.check_disk(tmp_path / "not" / "there", needed_GiB=1e9).status == "fail"
    assert doctor.check_disk(tmp_path / "not" / "there", needed_GiB=0.0).status == "ok"


def test_a_check_that_breaks_is_a_failure(monkeypatch):
    def broken():
        raise RuntimeError("no such luck")

    monkeypatch.setattr(doctor, "check_memory", broken)
    finding = next(item for item in doctor.examine(folder=Path()) if item.check == "memory")
    assert finding.status == "fail"
    assert "no such luck" in finding.found


def test_command_prints_a_line_per_check(capsys, monkeypatch):
    monkeypatch.setattr(
        doctor, "examine", lambda *args: [doctor.Finding("disk", "fail", "full", "Make room.")]
    )
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "fail  disk" in out
    assert "Make room." in out
