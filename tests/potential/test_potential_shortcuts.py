"""Shortcuts of networks: verified on labels, refused where they are wrong or unknown."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from glassml.potential.packages import PotentialError  # noqa: E402
from glassml.potential.padded import PaddedNetwork, load_network  # noqa: E402
from glassml.potential.shortcuts import check_shortcuts, label_errors  # noqa: E402
from silica_labels import make_labels  # noqa: E402


@pytest.fixture(scope="module")
def network(trained):
    return load_network(trained / "model.nequip.zip", "cpu")[0]


def with_shortcuts(network, *names):
    return PaddedNetwork(network.network, network.species, network.cutoff_A, shortcuts=names)


def test_a_network_written_out_has_the_same_errors(network, monkeypatch):
    # what torch.compile does with it takes a minute, and is not ours
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    labels = make_labels(3, 7)
    errors = check_shortcuts(with_shortcuts(network, "tf32", "compile"), network, labels)
    assert set(errors) == {"exact", "short"}
    for name, value in errors["exact"].items():
        assert errors["short"][name] == pytest.approx(value, rel=1e-3), name
    assert torch.backends.cuda.matmul.allow_tf32 is False


def test_labels_of_different_sizes_are_evaluated_together(network, monkeypatch):
    labels = [*make_labels(3, 7), make_labels(1, 8)[0] * (2, 1, 1)]
    labels[-1].info["REF_energy"] = 2 * labels[-1].info["REF_energy"]
    together = label_errors(network, labels)
    monkeypatch.setattr("glassml.potential.shortcuts.AT_ONCE", 1)
    assert label_errors(network, labels) == pytest.approx(together, rel=1e-4)


def test_a_shortcut_that_is_wrong_is_refused(network):
    short = with_shortcuts(network, "tf32")
    right = short._network

    def wrong(*inputs):
        energies, pulls = right(*inputs)
        return energies, 1.3 * pulls

    short._network = wrong
    with pytest.raises(PotentialError, match=r"shortcuts tf32: errors on 3 labels .* forces_eV_A"):
        check_shortcuts(short, network, make_labels(3, 7))


def test_unknown_shortcuts_and_no_labels_are_refused(network):
    with pytest.raises(PotentialError, match="shortcuts: bf16: there are tf32, compile"):
        with_shortcuts(network, "bf16")
    with pytest.raises(PotentialError, match="no labels"):
        check_shortcuts(with_shortcuts(network, "tf32"), network, [])


def test_not_a_number_is_no_small_error(network):
    short = with_shortcuts(network, "tf32")
    right = short._network
    short._network = lambda *inputs: tuple(np.nan * each for each in right(*inputs))
    with pytest.raises(PotentialError, match="nan"):
        check_shortcuts(short, network, make_labels(1, 7))
