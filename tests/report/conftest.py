"""Fixtures of the report's tests."""

import pytest
from report_campaign import make_config, write_campaign


@pytest.fixture(scope="session")
def campaign():
    return make_config()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    return write_campaign(tmp_path_factory.mktemp("tiny") / "results" / "tiny")
