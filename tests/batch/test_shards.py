import pytest
from hypothesis import given
from hypothesis import strategies as st

from writer_cli.batch.records import Record
from writer_cli.batch.shards import Shard, shard_of
from writer_cli.errors import UsageError

RECORDS = [Record(index, "a") for index in range(10)]


@given(count=st.integers(1, 12), limit=st.none() | st.integers(0, 12))
def test_each_record_belongs_to_one_shard(count: int, limit: int | None) -> None:
    """All shards together have each record once, up to the limit."""
    parts = [[*Shard(number, count).of(RECORDS, limit)] for number in range(count)]
    together = sorted(record.index for part in parts for record in part)
    assert together == list(range(10))[:limit]
    for number, part in enumerate(parts):
        assert all(record.index % count == number for record in part)


def test_a_limit_reads_no_further() -> None:
    """No record after the limit is read, since a pipe may not have it yet."""
    records = iter(RECORDS)
    assert len([*Shard().of(records, 3)]) == 3
    assert next(records).index == 3


@pytest.mark.parametrize(
    ("text", "shard"),
    [(None, Shard(0, 1)), ("0/1", Shard(0, 1)), ("0/4", Shard(0, 4)), ("3/4", Shard(3, 4))],
)
def test_a_shard_is_named_by_its_number_from_0_and_how_many_there_are(
    text: str | None, shard: Shard
) -> None:
    """A shard is written as its index from 0 and the number of shards, such as 0/4."""
    assert shard_of(text, {}) == shard


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("4/4", "--shard 4/4: there is no shard 4 of 4"),
        ("0/0", "--shard 0/0: there is no shard 0 of 0"),
        ("1", "--shard 1: the form is I/N"),
        ("-1/4", "--shard -1/4: the form is I/N"),
        ("1/4 ", "--shard 1/4 : the form is I/N"),
        ("1/٤", "--shard 1/٤: the form is I/N"),
        ("", "--shard : the form is I/N"),
        ("AUTO", "--shard AUTO: the form is I/N"),
        ("1/" + "9" * 10, f"--shard 1/{'9' * 10}: the form is I/N"),
    ],
)
def test_an_invalid_shard_is_refused(text: str, message: str) -> None:
    """The hint shows what a shard looks like."""
    with pytest.raises(UsageError) as caught:
        shard_of(text, {})
    assert caught.value.message == message
    assert (
        caught.value.hint == "--shard 0/4 is the first of four; record i belongs to shard i mod 4"
    )


def slurm(number: int, first: int, last: int, count: int | None = None) -> dict[str, str]:
    """Return the variables that Slurm sets for a task of an array."""
    return {
        "SLURM_ARRAY_TASK_ID": str(number),
        "SLURM_ARRAY_TASK_COUNT": str(last - first + 1 if count is None else count),
        "SLURM_ARRAY_TASK_MIN": str(first),
        "SLURM_ARRAY_TASK_MAX": str(last),
        "SLURM_ARRAY_TASK_STEP": "1",
    }


KUBERNETES = {"JOB_COMPLETION_INDEX": "0", "JOB_COMPLETIONS": "8"}
GITLAB = {"CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "8"}


@pytest.mark.parametrize(
    ("env", "shard"),
    [
        pytest.param(slurm(0, 0, 15), Shard(0, 16), id="slurm-0-first"),
        pytest.param(slurm(15, 0, 15), Shard(15, 16), id="slurm-0-last"),
        pytest.param(slurm(1, 1, 16), Shard(0, 16), id="slurm-1-first"),
        pytest.param(slurm(16, 1, 16), Shard(15, 16), id="slurm-1-last"),
        pytest.param(
            {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "4"},
            Shard(3, 4),
            id="slurm-in-short",
        ),
        pytest.param(KUBERNETES, Shard(0, 8), id="kubernetes"),
        pytest.param(GITLAB, Shard(0, 8), id="gitlab-first"),
        pytest.param(GITLAB | {"CI_NODE_INDEX": "8"}, Shard(7, 8), id="gitlab-last"),
        pytest.param(slurm(2, 0, 3) | KUBERNETES | GITLAB, Shard(2, 4), id="slurm-goes-first"),
        pytest.param(KUBERNETES | GITLAB, Shard(0, 8), id="kubernetes-goes-second"),
    ],
)
def test_auto_reads_the_variables_of_the_job_system(env: dict[str, str], shard: Shard) -> None:
    """Each job system counts in its own way, and the first shard is always 0."""
    assert shard_of("auto", env) == shard


@pytest.mark.parametrize(
    ("env", "message"),
    [
        pytest.param({}, "no variable of a job system is set", id="nothing"),
        pytest.param(
            {"JOB_COMPLETION_INDEX": "0"}, "JOB_COMPLETIONS is not set", id="kubernetes-by-itself"
        ),
        pytest.param(
            KUBERNETES | {"JOB_COMPLETIONS": ""}, "JOB_COMPLETIONS is not set", id="empty"
        ),
        pytest.param(
            KUBERNETES | {"JOB_COMPLETIONS": "all"},
            "JOB_COMPLETIONS is 'all', not a number",
            id="no-number",
        ),
    ],
)
def test_auto_names_the_variable_that_is_missing(env: dict[str, str], message: str) -> None:
    """If a variable is missing, nothing is guessed, since a record could be done twice."""
    with pytest.raises(UsageError) as caught:
        shard_of("auto", env)
    assert caught.value.message == f"--shard auto: {message}"


@pytest.mark.parametrize(
    ("env", "message"),
    [
        (KUBERNETES | {"JOB_COMPLETION_INDEX": "8"}, "JOB_COMPLETION_INDEX: there is no shard 8"),
        (GITLAB | {"CI_NODE_INDEX": "0"}, "CI_NODE_INDEX: there is no shard -1"),
        (GITLAB | {"CI_NODE_INDEX": "9"}, "CI_NODE_INDEX: there is no shard 8"),
    ],
)
def test_a_number_that_a_job_system_cannot_have_is_refused(
    env: dict[str, str], message: str
) -> None:
    """A shard's number that is out of range is refused."""
    with pytest.raises(UsageError) as caught:
        shard_of("auto", env)
    assert caught.value.message == f"{message} of 8"


@pytest.mark.parametrize(
    "env",
    [
        pytest.param(slurm(7, 7, 7), id="one-task-again"),
        pytest.param(slurm(4, 3, 5), id="some-tasks-again"),
        pytest.param(slurm(1, 1, 5, count=3), id="with-gaps"),
        pytest.param(slurm(4, 0, 12, count=4), id="with-steps"),
    ],
)
def test_a_part_of_a_slurm_array_is_not_taken_for_the_whole(env: dict[str, str]) -> None:
    """A part of a Slurm array, such as task 7 alone, is refused with a hint."""
    with pytest.raises(UsageError, match="does not tell which shards these are") as caught:
        shard_of("auto", env)
    assert caught.value.hint is not None
    assert "--shard $SLURM_ARRAY_TASK_ID/N" in caught.value.hint
