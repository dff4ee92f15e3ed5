"""The numbers of attacks in SECURITY.md."""

import pytest

from tests.attacks import test_dialogs, test_processes, test_server_tls, test_surroundings
from tests.harness import documents

COUNTS = {
    "TLS that is wrong": len(
        [*test_server_tls.CERTIFICATES, *test_server_tls.HANDSHAKES, *test_server_tls.NO_TLS]
    ),
    "standard streams": len(test_processes.STREAMS),
    "a signal at": len(test_processes.SIGNALLED),
    "a file, a folder": len(test_surroundings.FILES),
    "variables with hostile": len(test_surroundings.VALUES),
    "variables that Python": len(test_processes.STARTED),
    "modules with our names": len(test_processes.AMONG_FILES),
    "hostile keys": len(test_dialogs.CASES),
}
"""The beginning of a row in SECURITY.md, and the number of cases in its tables."""


@pytest.mark.parametrize("beginning", COUNTS)
def test_the_page_says_how_many_cases_there_are(beginning: str) -> None:
    """Each row has the number of cases of its tables."""
    rows = documents.table("SECURITY.md", "attack", "cases")
    [cases] = [cases for attack, cases in rows if attack.startswith(beginning)]
    assert int(cases.replace(",", "")) == COUNTS[beginning]
