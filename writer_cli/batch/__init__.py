"""Complete many prompts: one result for each record, as fast as the API allows.

    from writer_cli import Writer
    from writer_cli.batch import Plan, Record, run_batch

    plan = Plan(model_id="palmyra-x5")
    records = [Record(index=0, prompt="Once upon a time"), Record(index=1, prompt="The sea was")]
    with run_batch(records, plan, make_writer=lambda: Writer(sandbox=True)) as results:
        for result in results:
            print(result.index, result.texts)

Nothing here prints, and only `journal.py` and `merging.py` write to a disk.
"""

from writer_cli.batch.plan import Plan
from writer_cli.batch.records import Record
from writer_cli.batch.results import Result
from writer_cli.batch.runner import BatchRun, run_batch

__all__ = ["BatchRun", "Plan", "Record", "Result", "run_batch"]
