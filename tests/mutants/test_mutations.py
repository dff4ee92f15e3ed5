"""The mutants that `make mutants` makes."""

import ast

from tests.mutants.mutations import mutants_of
from tests.mutants.run import PROJECT, equivalent, own_tests

SOURCE = '''"""Says nothing."""
LIMIT: Literal["a"] = 5
def f(a: "int", b: bool = True) -> "str":
    """Says nothing."""
    if a < LIMIT and not b:
        raise ValueError(f"{a} is ä")
    a.b = a - 1
    a.c()
    return "" if b else "xy"
'''


def test_each_kind_of_statement_and_expression_is_changed() -> None:
    """Each mutant changes one place; annotations and f-strings are left alone."""
    changed = sorted(mutant.changed() for mutant in mutants_of("m.py", SOURCE))
    assert changed == sorted(
        [
            ('LIMIT: Literal["a"] = 5', 'LIMIT: Literal["a"] = 6'),
            (
                'def f(a: "int", b: bool = True) -> "str":',
                'def f(a: "int", b: bool = False) -> "str":',
            ),
            ("if a < LIMIT and not b:", "if (a <= LIMIT) and not b:"),
            ("if a < LIMIT and not b:", "if (a < LIMIT or not b):"),
            ("if a < LIMIT and not b:", "if a < LIMIT and (b):"),
            ('raise ValueError(f"{a} is ä")', "pass"),
            ("a.b = a - 1", "pass"),
            ("a.b = a - 1", "a.b = (a + 1)"),
            ("a.b = a - 1", "a.b = a - 2"),
            ("a.c()", "pass"),
            ('return "" if b else "xy"', "return None"),
            ('return "" if b else "xy"', "return ('xy' if b else '')"),
            ('return "" if b else "xy"', "return 'XX' if b else \"xy\""),
            ('return "" if b else "xy"', "return \"\" if b else ''"),
        ]
    )


def test_every_change_is_a_program() -> None:
    """Each mutant of a module with many kinds of code is valid Python."""
    file = "writer_cli/http/sse.py"
    mutants = list(mutants_of(file, (PROJECT / file).read_text(encoding="utf-8")))
    assert len(mutants) > 20
    for mutant in mutants:
        ast.parse(mutant.after)


def test_the_tests_of_a_module_are_those_that_name_it() -> None:
    """The tests of a module are the files of its name and those that import it."""
    assert "tests/http/test_sse.py" in own_tests("writer_cli/http/sse.py")
    assert "tests/batch/test_journal.py" in own_tests("writer_cli/batch/journal.py")
    assert own_tests("writer_cli/apis/__init__.py") == []


def test_the_list_of_equivalent_mutants_is_current() -> None:
    """Each entry of the list is a mutant of the present code, with a reason."""
    for one in equivalent():
        source = (PROJECT / one["file"]).read_text(encoding="utf-8")
        changes = {mutant.changed() for mutant in mutants_of(one["file"], source)}
        assert (one["old"], one["new"]) in changes
        assert len(one["reason"]) > 20
