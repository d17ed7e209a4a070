"""Every curated bug can still be put in, and somebody notices it."""

import pytest

from tests.integration.running import ROOT
from tests.prove.checks import CHECKS
from tests.prove.mutants import MUTANTS, Mutant


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_the_text_of_a_mutant_stands_exactly_once(mutant: Mutant) -> None:
    for file, old, new in ((mutant.path, mutant.old, mutant.new), *mutant.also):
        assert (ROOT / file).read_text().count(old) == 1, f"stale: {old!r}"
        assert old != new


def test_each_mutant_is_the_control_of_a_check_or_names_its_test() -> None:
    controls = {check.control for check in CHECKS.values()}
    for name, mutant in MUTANTS.items():
        assert bool(mutant.test) or name in controls, f"nobody notices {name}"
        file, _, test = mutant.test.partition("::")
        if mutant.test:
            assert f"def {test.partition('[')[0]}(" in (ROOT / file).read_text()
    assert controls <= set(MUTANTS)
