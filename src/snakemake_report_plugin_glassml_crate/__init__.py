"""What was run, as a Workflow Run Crate: `snakemake --reporter glassml-crate`.

Snakemake imports its reporters whenever it starts, so what this one needs is imported when it is
asked for.
"""

from dataclasses import dataclass, field
from pathlib import Path

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_report_plugins.reporter import ReporterBase
from snakemake_interface_report_plugins.settings import ReportSettingsBase

__all__ = ["ReportSettings", "Reporter"]


@dataclass
class ReportSettings(ReportSettingsBase):
    """Options of the command line."""

    license: str = field(
        default="",
        metadata={
            "help": "What others may do with the results: an address, or a name as CC-BY-4.0. "
            "A crate needs one, and only you can tell.",
            "env_var": False,
            "required": False,  # of all who start Snakemake; see below
        },
    )


class Reporter(ReporterBase):
    """Writes `ro-crate-metadata.json` in the folder in which Snakemake ran."""

    def render(self) -> None:
        """Write the crate.

        Raises
        ------
        WorkflowError
            If no licence was named, or nothing was run here.
        """
        from glassml.report.crate import write_crate  # noqa: PLC0415  (see above)

        if not self.settings.license:
            raise WorkflowError(
                "a crate says what others may do with it: name that by "
                "--report-glassml-crate-license, as CC-BY-4.0"
            )
        if not self.jobs:
            raise WorkflowError("no job has run in this folder: there is nothing to tell of")
        workflow = self.dag.workflow
        campaign = workflow.globals["CAMPAIGN"]
        write_crate(
            Path(workflow.main_snakefile),
            self.jobs,
            campaign.title or f"Campaign {campaign.name}",
            f"Campaign {campaign.name} of glassml: what was run, from which files, by which "
            "commands.",
            self.settings.license,
        )
