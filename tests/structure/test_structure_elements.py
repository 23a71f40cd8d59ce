"""Other elements than Si and O: scattering, cutoffs, networks; right values by other means."""

import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.io import write
from ase.spacegroup import crystal
from brute_force import neutron_total
from matscipy.neighbours import neighbour_list

from glassml.campaign.errors import StructureError
from glassml.cli import main
from glassml.configurations.crystals import polymorph
from glassml.structure import find_bonds, find_cutoffs, find_network, fit_peak, structure_factor
from glassml.structure.gr import _distinct_sums, pair_distribution
from glassml.structure.observables import BondRule, NetworkObservables
from glassml.structure.rings.search import find_rings
from glassml.structure.scattering import form_factor, scattering_length
from glassml.structure.species import elements_of, pairs_of, shares_of
from glassml.structure.voids import distance_to_atoms

# Sears, Neutron News 3 (3), 26 (1992), in fm.
B = {"Si": 4.1491, "O": 5.803, "Na": 3.63, "Al": 3.449, "Ge": 8.185, "B": 5.30, "H": -3.739}


def sodalite(size=2):
    cage = crystal(
        ["Si", "O"],
        [(0.25, 0.5, 0.0), (0.0, 0.3486, 0.3486)],
        spacegroup=229,
        cellpar=[8.965] * 3 + [90] * 3,
    )
    return Atoms(cage.numbers, cage.positions, cell=cage.cell.array, pbc=True) * ((size,) * 3)


def alternating(atoms):
    """Al in place of every second Si, so that no two share an O."""
    bonds = find_bonds(atoms, 2.0, find_network([atoms], ["Si"], ["O"]))
    pointer, colour = bonds.pointer, {}
    for start in np.flatnonzero(atoms.numbers == 14):
        stack = [(int(start), 0)]
        while stack:
            atom, own = stack.pop()
            if atom in colour:
                continue
            colour[atom] = own
            for oxygen in bonds.second[pointer[atom] : pointer[atom + 1]]:
                others = bonds.second[pointer[oxygen] : pointer[oxygen + 1]]
                stack += [(int(other), 1 - own) for other in others if other != atom]
    changed = atoms.copy()
    changed.numbers[[atom for atom, own in colour.items() if own]] = 13
    return changed


@pytest.fixture(scope="module")
def aluminosilicate():
    return alternating(sodalite())


@pytest.fixture(scope="module")
def quartz_h():
    """243 atoms of rattled quartz and H at 40 of its O."""
    sites = [(0.4697, 0, 1 / 3), (0.4135, 0.2669, 0.2142)]
    cell = crystal(["Si", "O"], sites, spacegroup=152, cellpar=[4.9134] * 2 + [5.4052, 90, 90, 120])
    atoms = Atoms(cell * (3, 3, 3))
    atoms.rattle(0.04, seed=3)
    atoms = atoms[np.argsort(-atoms.numbers, kind="stable")]
    oxygens = np.flatnonzero(atoms.numbers == 8)[:40]
    return atoms + Atoms("H40", atoms.positions[oxygens] + [0.3, 0.3, 0.87])


@pytest.fixture(scope="module")
def sodium_silicate(quartz):
    """Quartz in which 4 Na take the place of each of three Si: 12 of its O are not bridging."""
    atoms = make_supercell(quartz, np.diag([4, 4, 4]))
    atoms.rattle(0.05, seed=1)
    bonds = find_bonds(atoms, 2.2)
    silicons = np.flatnonzero(atoms.numbers == 14)
    missing, sodium = [int(silicons[0])], []
    for silicon in silicons:
        if len(missing) < 3 and atoms.get_distances(silicon, missing, mic=True).min() > 6:
            missing.append(int(silicon))
    for silicon in missing:
        mine = bonds.first == silicon
        sodium += list(bonds.positions[silicon] - 0.9 * bonds.vector[mine])
    kept = Atoms(atoms.numbers, bonds.positions, cell=atoms.cell, pbc=True)
    kept.extend(Atoms(f"Na{len(sodium)}", sodium))
    del kept[missing]
    return kept


def germania():
    sites = [(0.4513, 0, 2 / 3), (0.3969, 0.3021, 0.7576)]
    cell = crystal(["Ge", "O"], sites, spacegroup=154, cellpar=[4.987, 4.987, 5.652, 90, 90, 120])
    return Atoms(cell.numbers, cell.positions, cell=cell.cell.array, pbc=True)


def boron_oxide():
    """A honeycomb of B with an O on each edge: three O around B, one 6-ring for two B."""
    edge = 2 * 1.37
    a = np.sqrt(3) * edge
    cell = np.array([[a, 0, 0], [a / 2, a * np.sqrt(3) / 2, 0], [0, 0, 3.4]])
    first, second = cell[:2].sum(axis=0) / 3, 2 * cell[:2].sum(axis=0) / 3
    steps = second - first + np.array([[0, 0, 0], -cell[0], -cell[1]])
    return Atoms("B2O3", [first, second, *(first + steps / 2)], cell=cell, pbc=True)


def water(edge=4):
    """Molecules on a lattice of 3.1 Å, each turned at random."""
    rng = np.random.default_rng(0)
    frames = Atoms()
    for place in np.ndindex(edge, edge, edge):
        molecule = Atoms("OH2", [[0, 0, 0], [0.757, 0.587, 0], [-0.757, 0.587, 0]])
        molecule.rotate(rng.uniform(0, 360), rng.normal(size=3))
        molecule.translate(3.1 * np.array(place) + rng.normal(0, 0.1, 3))
        frames += molecule
    frames.set_cell([3.1 * edge] * 3)
    frames.pbc = True
    return frames


def silicon():
    atoms = bulk("Si", cubic=True) * (3, 3, 3)
    atoms.rattle(0.2, seed=2)
    return atoms


CASES = {
    "aluminosilicate": lambda: alternating(sodalite()),
    "germania": lambda: germania() * (3, 3, 3),
    "boron_oxide": lambda: boron_oxide() * (3, 3, 4),
    "water": water,
    "silicon": silicon,
}


@pytest.mark.parametrize("name", CASES)
def test_neutron_total_is_the_explicit_sum(name):
    atoms = CASES[name]()
    q, s, counts = neutron_total(atoms, B, 6.0, 0.02)
    factor = structure_factor(atoms, 6.0, 0.02)
    np.testing.assert_array_equal(factor.counts, counts)
    np.testing.assert_allclose(factor.q, q, atol=1e-9)
    scale = max(1.0, np.abs(s).max())
    assert np.abs(factor.total("neutron") - s).max() < 1e-5 * scale


def test_hydrogen_is_not_oxygen(quartz_h):
    q, s, _ = neutron_total(quartz_h, B, 6.0, 0.02)
    factor = structure_factor(quartz_h, 6.0, 0.02)
    np.testing.assert_allclose(factor.total("neutron"), s, atol=1e-4)
    peak = np.argmin(np.abs(q - 4.55))
    assert factor.total("neutron")[peak] == pytest.approx(31.1, abs=0.1)
    assert find_cutoffs([quartz_h])["Si-O"] == pytest.approx(2.33, abs=0.02)
    assert find_network([quartz_h]).others == ("H",)


def test_sodium_silicate_has_its_own_fsdp(glass999):
    """Na in the voids of a glass: the fit is that of the explicit total, not of Na as O."""
    distance = distance_to_atoms(glass999, 0.5)
    chosen, places = np.argsort(distance.ravel())[::-1], []
    for index in chosen:
        point = np.array(np.unravel_index(index, distance.shape)) / distance.shape
        place = point @ glass999.cell.array
        away = [
            glass999.cell.array[0, 0] * np.abs(((place - p) / 24.713 + 0.5) % 1 - 0.5).max()
            for p in places
        ]
        if not away or min(away) > 2.0:
            places.append(place)
        if len(places) == 100:
            break
    atoms = glass999 + Atoms("Na100", places)
    q, s, _ = neutron_total(atoms, B, 4.0, 0.02)
    factor = structure_factor(atoms, 4.0, 0.02)
    np.testing.assert_allclose(factor.total("neutron"), s, atol=1e-4)
    error = factor.standard_error("neutron")
    options = {"search": (1.0, 2.3), "half_window": 0.5}
    found = fit_peak(q, factor.total("neutron"), error, **options)
    expected = fit_peak(q, s, error, **options)
    assert (found.position, found.height) == pytest.approx(
        (expected.position, expected.height), abs=1e-3
    )
    as_oxygen = atoms.copy()
    as_oxygen.numbers[as_oxygen.numbers == 11] = 8
    wrong = structure_factor(as_oxygen, 4.0, 0.02).total("neutron")
    assert np.abs(wrong - s).max() > 0.1


def test_xray_total_has_the_form_factor_of_each_element(sodium_silicate):
    factor = structure_factor(sodium_silicate, 8.0, 0.02)
    symbols = np.array(sodium_silicate.get_chemical_symbols())
    for index in (30, 120, 250):
        q = factor.q[index : index + 1]
        f = {e: float(form_factor(q, e)[0]) for e in ("Si", "Na", "O")}
        amplitudes = np.array([f[s] for s in symbols])
        mean, square = amplitudes.mean(), (amplitudes**2).mean()
        _, s, _ = neutron_total(sodium_silicate, f, float(q[0]) + 0.05, 0.02)
        expected = s[index]
        assert factor.total("xray")[index] == pytest.approx(expected, abs=2e-3)
        assert square > mean**2


def test_partials_of_three_elements_and_their_sum(sodium_silicate):
    factor = structure_factor(sodium_silicate, 6.0, 0.1)
    assert list(factor.partials) == ["Si-Si", "Si-Na", "Si-O", "Na-Na", "Na-O", "O-O"]
    assert sum(factor.shares.values()) == 1.0
    # With equal weights the total is |Σ exp(iQr)|²/N of all atoms.
    ones = neutron_total(sodium_silicate, dict.fromkeys(B, 1.0), 6.0, 0.1)[1]
    pairs = pairs_of(list(factor.shares))
    c = list(factor.shares.values())
    mixed = sum(
        (c[a] ** 2 if a == b else 2 * c[a] * c[b]) * factor.partials[pair]
        for pair, (a, b) in pairs.items()
    )
    np.testing.assert_allclose(mixed, ones, atol=1e-4)


def test_pairs_of_three_elements_are_those_of_a_neighbour_list(sodium_silicate):
    pairs = pair_distribution(sodium_silicate, 6.0, 0.1)
    i, j, d = neighbour_list("ijd", sodium_silicate, 6.0)
    symbols = np.array(sodium_silicate.get_chemical_symbols())
    for pair, counts in pairs.counts.items():
        one, other = pair.split("-")
        of_pair = (symbols[i] == one) & (symbols[j] == other)
        expected = np.histogram(d[of_pair], 60, (0, 6.0))[0]
        expected = expected // 2 if one == other else expected
        assert np.abs(np.cumsum(counts) - np.cumsum(expected)).max() <= 1
    neutron = pairs.total({e: scattering_length(e) for e in pairs.numbers})
    assert pairs.t_of_r(neutron)[-1] == pytest.approx(
        4 * np.pi * pairs.number_density * 5.95 * neutron[-1]
    )


def test_sums_of_two_marks_are_distinct():
    marks = _distinct_sums(8)
    sums = [a + b for n, a in enumerate(marks) for b in marks[n:]]
    assert len(set(sums)) == len(sums)
    assert list(marks[:4]) == [0, 1, 3, 7]


def test_order_of_elements():
    def order(formula):
        return elements_of(Atoms(formula))

    assert order("SiO2") == ["Si", "O"]
    assert order("O2Si") == ["Si", "O"]
    assert order("H2O") == ["H", "O"]
    assert order("B2O3") == ["B", "O"]
    assert order("Na2OSiO2Al") == ["Si", "Al", "Na", "O"]
    assert order("P2O5") == ["P", "O"]
    assert order("GeSe2") == ["Ge", "Se"]
    assert order("GaP") == ["Ga", "P"]
    assert sum(shares_of({"Si": 1, "Na": 2, "O": 4}).values()) == 1.0


def test_an_element_without_a_scattering_length_is_named():
    with pytest.raises(StructureError, match="Gd: there is no neutron scattering length"):
        scattering_length("Gd")
    assert scattering_length("H") == pytest.approx(-3.739)


def test_aluminosilicate_rings_and_network(aluminosilicate):
    rings = find_rings(aluminosilicate, "king")
    assert rings.per_former() == pytest.approx({4: 1 / 2, 6: 2 / 3})
    s = structure_factor(aluminosilicate, 4.0, 0.02)
    assert s.total("neutron")[np.argmin(np.abs(s.q - 2.96))] == pytest.approx(48.5, abs=0.1)
    scalars = NetworkObservables().settled([aluminosilicate])
    means = scalars.mean([scalars.measure(aluminosilicate)]).mean
    assert means["coordination_Al_4"] == means["coordination_Si_4"] == means["Q4"] == 1.0
    assert means["Q4_Al"] == means["Q4_Si"] == 1.0
    assert {"angle_O-Al-O_mean_deg", "angle_T-O-T_mean_deg", "bond_Al-O_mean_A"} <= set(means)
    assert means["pairs_sharing_1_O_per_t"] == 2.0


def test_formers_can_be_named(aluminosilicate):
    network = find_network([aluminosilicate], formers=["Si"])
    assert (network.formers, network.others) == (("Si",), ("Al",))
    bonds = find_bonds(aluminosilicate, network=network)
    assert bonds.coordination[aluminosilicate.numbers == 13].max() == 0
    assert len(find_rings(aluminosilicate, "king", bonds=bonds)) == 0
    for formers, bridges, message in (
        (["Na"], None, "no such element here"),
        (["Si"], ["Si"], "is named as former and as bridge"),
        (None, ["S"], "no such element"),
    ):
        with pytest.raises(StructureError, match=message):
            find_network([aluminosilicate], formers, bridges)


def test_germania_in_both_structures():
    quartz_like = germania()
    bonds = find_bonds(quartz_like)
    assert bonds.network.formers == ("Ge",)
    assert bonds.length.mean() == pytest.approx(1.739, abs=0.004)
    assert find_rings(quartz_like, "king").per_former() == {6: 1.0, 8: 7.0}
    rutile = crystal(
        ["Ge", "O"],
        [(0, 0, 0), (0.3059, 0.3059, 0)],
        spacegroup=136,
        cellpar=[4.3975, 4.3975, 2.8625, 90, 90, 90],
    )
    rutile = Atoms(rutile.numbers, rutile.positions, cell=rutile.cell.array, pbc=True)
    # The only candidate, whatever its coordination.
    assert find_bonds(rutile).coordination.tolist() == [6, 6, 3, 3, 3, 3]
    assert find_rings(rutile, "king").per_former() == {2: 1.0, 3: 4.0, 4: 9.0}


def test_boron_oxide():
    atoms = boron_oxide()
    bonds = find_bonds(atoms)
    assert bonds.network.formers == ("B",)
    assert bonds.coordination.tolist() == [3, 3, 2, 2, 2]
    assert find_rings(atoms).per_former() == {6: 0.5}


@pytest.mark.parametrize(
    ("formers", "bridge", "bond"),
    [
        (("Ge",), "Se", 2.36),
        (("Ge",), "S", 2.21),
        (("Be",), "F", 1.55),
        (("Al", "P"), "O", 1.62),
        (("Ge", "Si"), "O", 1.68),
        (("Zn",), "Cl", 2.29),
    ],
)
def test_the_same_net_of_other_elements_has_the_same_rings(glass999, formers, bridge, bond):
    """A glass of silica, scaled to another bond: cutoffs and network are found anew."""
    atoms = glass999.copy()
    atoms.set_cell(atoms.cell * (bond / 1.62), scale_atoms=True)
    symbols = np.where(atoms.numbers == 14, formers[0], bridge).astype(object)
    symbols[np.flatnonzero(atoms.numbers == 14)[::2]] = formers[-1]
    atoms.set_chemical_symbols(list(symbols))
    named = (formers, [bridge]) if bridge == "Cl" else (None, None)
    network = find_network([atoms], *named)
    assert (set(network.formers), network.bridges) == (set(formers), (bridge,))
    expected = find_rings(glass999, "king", 8).per_former()
    assert find_rings(atoms, "king", 8, find_bonds(atoms, network=network)).per_former() == expected


def test_octahedral_aluminium_is_no_former_beside_silicon():
    """Al with six O is left out; by name it is in."""
    atoms = polymorph("stishovite") * (2, 2, 3)
    silicons = np.flatnonzero(atoms.numbers == 14)
    atoms.numbers[silicons[::4]] = 13
    assert find_network([atoms]).others == ("Al",)
    assert find_network([atoms], formers=["Si", "Al"]).others == ()


def test_modifiers_make_ends(sodium_silicate):
    observable = NetworkObservables().settled([sodium_silicate])
    frame = observable.measure(sodium_silicate)
    assert frame.network.others == ("Na",)
    scalars = frame.scalars()
    oxygens, silicons = 384, 189
    assert scalars["non_bridging_O"] == pytest.approx(12 / oxygens)
    assert scalars["Q3"] == pytest.approx(12 / silicons)
    assert scalars["Q4"] == pytest.approx(1 - 12 / silicons)
    # Na-O by another neighbour list, within the cutoff that was found.
    cutoff = observable.others["Na"]["Na-O"]
    i, j = neighbour_list("ij", sodium_silicate, cutoff)
    sodium = sodium_silicate.numbers == 11
    near = (sodium[i] & (sodium_silicate.numbers[j] == 8)).sum()
    assert scalars["coordination_Na_mean"] == pytest.approx(near / sodium.sum())
    assert find_rings(sodium_silicate, "guttman", 8).is_former.sum() == silicons


def output(capsys, *arguments):
    status = main(["structure", *arguments])
    captured = capsys.readouterr()
    return status, json.loads(captured.out) if captured.out else None, captured.err


@pytest.mark.parametrize(
    ("make", "missing"), [(water, "no former"), (silicon, "no bridge")], ids=["water", "a-Si"]
)
def test_rings_without_a_network_are_refused(make, missing, tmp_path, capsys):
    write(tmp_path / "file.extxyz", make())
    status, document, error = output(capsys, "rings", str(tmp_path / "file.extxyz"), "--json")
    assert (status, document) == (2, None)
    assert missing in error
    assert "sq, gr and fsdp need none" in error
    status, document, _ = output(
        capsys, "sq", str(tmp_path / "file.extxyz"), "--q-max", "5", "--json"
    )
    assert status == 0
    assert len(document["neutron"]) == len(document["q"])


def test_command_line_says_what_is_left_out(sodium_silicate, tmp_path, capsys, caplog):
    write(tmp_path / "glass.extxyz", sodium_silicate)
    status, document, _ = output(capsys, "network", str(tmp_path / "glass.extxyz"), "--json")
    assert status == 0
    assert document["formers"] == ["Si"]
    assert document["bridges"] == ["O"]
    assert document["left_out"] == ["Na"]
    assert "Na: left out" in caplog.text
    assert set(document["coordination"]) == {"Si", "O", "Na"}
    arguments = ("rings", str(tmp_path / "glass.extxyz"), "--json", "--formers", "Si", "Na")
    status, document, _ = output(capsys, *arguments, "--max-size", "6", "--cutoff", "2.2")
    assert status == 0
    assert document["formers"] == ["Si", "Na"]


def test_bhatia_thornton_is_of_two_elements(sodium_silicate, tmp_path, capsys):
    write(tmp_path / "ge.extxyz", germania() * (2, 2, 2))
    arguments = ("--q-max", "5", "--json")
    _, document, _ = output(capsys, "sq", str(tmp_path / "ge.extxyz"), *arguments)
    assert set(document["bhatia_thornton"]) == {"NN", "NC", "CC"}
    assert document["shares"] == pytest.approx({"Ge": 1 / 3, "O": 2 / 3})
    write(tmp_path / "na.extxyz", sodium_silicate)
    _, document, _ = output(capsys, "sq", str(tmp_path / "na.extxyz"), *arguments)
    assert "bhatia_thornton" not in document


def test_gr_on_the_command_line(sodium_silicate, tmp_path, capsys):
    write(tmp_path / "na.extxyz", sodium_silicate)
    _, document, _ = output(capsys, "gr", str(tmp_path / "na.extxyz"), "--r-max", "6", "--json")
    r, g = np.array(document["r"]), np.array(document["neutron"])
    density = len(sodium_silicate) / sodium_silicate.get_volume()
    np.testing.assert_allclose(document["T_neutron_per_A2"], 4 * np.pi * density * r * g)
    assert r[np.argmax(document["partials"]["Si-O"])] == pytest.approx(1.61, abs=0.05)


def test_a_total_without_a_length_is_null_with_its_reason(tmp_path, capsys):
    atoms = germania() * (2, 2, 2)
    atoms.numbers[0] = 64
    write(tmp_path / "gd.extxyz", atoms)
    arguments = ("--q-max", "5", "--json")
    status, document, _ = output(capsys, "sq", str(tmp_path / "gd.extxyz"), *arguments)
    assert status == 0
    assert document["neutron"] is None
    assert "Gd" in document["neutron_reason"]
    assert len(document["xray"]) == len(document["q"])


def test_cancelling_lengths_are_warned_of(caplog):
    structure_factor(water(3), 4.0).total("neutron")
    assert "cancel" in caplog.text


def test_frames_of_several_compositions_are_refused(quartz, tmp_path, capsys):
    cell = quartz * (2, 2, 2)
    poorer = cell.copy()
    del poorer[[int(np.flatnonzero(poorer.numbers == 8)[0])]]
    write(tmp_path / "two.extxyz", [cell, poorer])
    for command in ("sq", "gr", "network", "rings", "fsdp"):
        status, _, error = output(
            capsys, command, str(tmp_path / "two.extxyz"), "--frames", "2", "--json"
        )
        assert status == 2
        assert "differ in composition (O48Si24 and O47Si24)" in error


def test_rules_are_settled_once_for_all_frames(quartz):
    cell = quartz * (3, 3, 3)
    frames = [cell.copy(), cell.copy()]
    frames[1].rattle(0.1, seed=4)
    rule = BondRule().settled(frames)
    assert rule.bonds(frames[0]).cutoff == rule.bonds(frames[1]).cutoff == rule.largest_cutoff
