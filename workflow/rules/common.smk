"""What all rules share: the checked configuration, paths, and digests of the code."""

from contextlib import contextmanager
from pathlib import Path

from glassml.campaign.config import inherit, parse_campaign, write_resolved
from glassml.campaign.digests import command_digest
from glassml.campaign.errors import GlassmlError, file_trouble
from glassml.campaign.plan import label_seconds
from glassml.campaign.requests import SNAKEMAKES_MB, measured_megabytes
from glassml.campaign.running import bring_back_times, hold_campaign
from glassml.campaign.why import record_code
from glassml.dft.settings import require_functional, require_setups


@contextmanager
def in_a_sentence():
    """Say in a sentence what a user can mend: a configuration, a disk that is full."""
    try:
        yield
    except GlassmlError as error:
        raise WorkflowError(str(error)) from None
    except OSError as error:
        raise WorkflowError(file_trouble(error) or str(error)) from None


with in_a_sentence():
    CAMPAIGN = parse_campaign(inherit(dict(config), workflow.configfiles), "config")
    require_setups(CAMPAIGN.configurations.elements(), CAMPAIGN.dft.xc)
    require_functional(CAMPAIGN.dft.xc)

RESULTS = f"results/{CAMPAIGN.name}"
LOGS = f"logs/{CAMPAIGN.name}"
BENCHMARKS = f"{RESULTS}/benchmarks"
# Written here and not by a rule, since Snakemake skips what lies behind a rule that has to rerun
# when all that it takes from that rule is ancient; and ancient it must be, for each rule names
# the settings that it depends on as params. A dry run beside a running campaign changes nothing.
CONFIG = f"{RESULTS}/campaign.yaml"
if not Path(CONFIG).exists():
    with in_a_sentence():
        write_resolved(CAMPAIGN, CONFIG)


def section(name):
    """Give a section of the resolved configuration: as `params`, it triggers reruns."""
    return getattr(CAMPAIGN, name).model_dump(mode="json")


CODE = {}


def code_digest(command, unused=()):
    """Digest the code behind a command: as `params`, changed code reruns what depends on it."""
    digest = command_digest(command, unused)
    CODE[digest] = (command, tuple(unused))
    return digest


def kept_settings():
    """Give the settings that a shard's labels depend on, without how they are scheduled."""
    others = {"shard_processes", "gpu", "seed_labels", "convergence", "polymorphs"}
    return CAMPAIGN.dft.model_dump(mode="json", exclude=others)


def megabytes(estimate, measured=None):
    """Request memory: as measured where such a job has run, and more with each attempt.

    `estimate` is a number or a function of the wildcards; `measured` a folder of benchmarks.
    """

    def request(wildcards, attempt):
        known = None
        if measured is not None:
            known = measured_megabytes(f"{BENCHMARKS}/{measured}".format(**wildcards))
        return attempt * (SNAKEMAKES_MB + (known or _value(estimate, wildcards)))

    return request


def minutes(estimate):
    """Request time: a number or a function of the wildcards, and more with each attempt."""

    def request(wildcards, attempt):
        return attempt * _value(estimate, wildcards)

    return request


def _value(estimate, wildcards):
    return estimate(wildcards) if callable(estimate) else estimate


def gate_threads(gate):
    """Give the number of runs at a time that a gate makes."""
    return 4 if gate == "stability" else 1


onstart:
    with in_a_sentence():
        hold_campaign(RESULTS)
        bring_back_times(RESULTS)
        write_resolved(CAMPAIGN, CONFIG)
        record_code(RESULTS, CODE)


wildcard_constraints:
    family="[a-z][a-z0-9_]*",
    shard=r"\d{4}",
    generation=r"\d+",
    member=r"\d+",
    glass=r"glass\d{2}",
