"""Section `report`: the page of a campaign."""

from glassml.campaign.config.base import Section


class Report(Section):
    """What the report shows."""
