from __future__ import annotations

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from cato_lsp.scheduling.feasible import Job, keep_most

STEP = 0.1
OVERHEAD = 0.01

jobs = st.lists(
    st.tuples(st.floats(0.001, 0.08), st.floats(0.005, 0.3)).map(lambda p: Job("", p[0], p[1], p[0])), max_size=6
)


def finish(work: float) -> float:
    """When `work` seconds of work are done in steps that each lose `OVERHEAD`."""
    room = STEP - OVERHEAD
    return work + OVERHEAD if work <= room else work * STEP / room


def on_time(order: tuple[Job, ...]) -> int:
    done, kept = 0.0, 0
    for job in order:
        if finish(done + job.work) <= job.due:
            done, kept = done + job.work, kept + 1
    return kept


@given(jobs)
def test_no_order_meets_more_deadlines(given_jobs: list[Job]) -> None:
    kept, given_up = keep_most(given_jobs, overhead=OVERHEAD, step=STEP)
    assert len(kept) + len(given_up) == len(given_jobs)
    assert len(kept) >= max((on_time(order) for order in permutations(given_jobs)), default=0)


@given(jobs)
def test_all_jobs_of_the_feasible_set_are_on_time(given_jobs: list[Job]) -> None:
    kept, _ = keep_most(given_jobs, overhead=OVERHEAD, step=STEP)
    done = 0.0
    for job in kept:
        done += job.work
        assert finish(done) <= job.due + 1e-9


def test_of_a_burst_that_cannot_be_on_time_the_heaviest_gives_way() -> None:
    burst = [Job(name, work, 0.09, work) for name, work in (("long", 0.07), ("short", 0.03), ("middle", 0.04))]
    kept, given_up = keep_most(burst, overhead=OVERHEAD, step=STEP)
    assert [job.item for job in kept] == ["short", "middle"]
    assert [job.item for job in given_up] == ["long"]


@given(jobs, jobs)
def test_jobs_on_spare_time_displace_no_job_of_the_feasible_set(first: list[Job], spare: list[Job]) -> None:
    kept, _ = keep_most(first, overhead=OVERHEAD, step=STEP)
    second = [Job("spare", job.work, job.due, 1e6 + job.work) for job in spare]
    both, _ = keep_most([*kept, *second], overhead=OVERHEAD, step=STEP)
    assert {id(job) for job in kept} <= {id(job) for job in both}
