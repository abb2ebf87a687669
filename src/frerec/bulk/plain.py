"""The plain engine: one device in this process, readers beside it, writers in threads."""

from tqdm import tqdm

from frerec.bulk.images import Failure, loader
from frerec.bulk.job import Failures, Job, progress_shown
from frerec.bulk.png import PngWriter
from frerec.errors import DataError


def run(job: Job) -> list[Failure]:
    """Calibrate a job's images; returns the rows that were skipped.

    Raises:
        DataError: For an unreadable image with on_error=raise, or a file that cannot be written.
    """
    calibrator = job.load()
    batches = loader(job.plan, job.shape, batch_size=job.batch_size, num_workers=job.num_workers)
    failures = Failures(job.on_error)
    bar = tqdm(total=len(job.plan), desc="calibrating", unit="image", disable=not progress_shown())
    try:
        reading = iter(batches)  # readers are forked before the writer's threads begin
        with bar, PngWriter(job.output, bits=job.bits) as writer:
            for batch in reading:
                failures.add(batch.failures)
                for group in batch.groups:
                    results = job.calibrate(calibrator, group)
                    for row, result in zip(group.rows, results, strict=True):
                        writer.put(result, job.plan.target(row))
                bar.update(len(batch))
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise DataError(
            f"a reading process ended ({str(error).splitlines()[0]}); there may be too little"
            " memory: give a smaller batch_size= or num_workers=, and run again to go on"
        ) from error
    return failures.found
