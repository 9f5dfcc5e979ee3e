"""What our policy decides about one step."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cato_lsp.scheduling.cato import CatoPolicy
from cato_lsp.scheduling.options import CatoOptions
from cato_lsp.scheduling.slo import TaskKind


def decoding(request, generated=10):
    request.running, request.generated, request.todo = True, generated, 1
    request.computed = request.prompt + generated - 1
    return request


def prefilling(request, computed):
    request.running, request.computed, request.todo = True, computed, request.prompt - computed
    return request


@pytest.fixture
def policy() -> CatoPolicy:
    return CatoPolicy()


def test_a_completion_goes_before_a_long_prompt_that_is_already_running(policy, request_of, view_of) -> None:
    summary = prefilling(request_of(TaskKind.SUMMARIZATION, prompt=8000), computed=1000)
    completion = request_of(prompt=1500)
    plan = policy.plan(view_of(summary, completion))
    assert plan.grants[completion.id] == 1500
    assert plan.grants.get(summary.id, 0) < 500


def test_decodes_are_part_of_every_step(policy, request_of, view_of) -> None:
    answers = [decoding(request_of(TaskKind.TRANSLATION, prompt=3000)) for _ in range(5)]
    plan = policy.plan(view_of(*answers, request_of(prompt=1500)))
    assert all(plan.grants[a.id] == 1 for a in answers)


def test_in_a_burst_the_heaviest_waits_so_that_the_others_are_on_time(policy, request_of, view_of) -> None:
    heavy = request_of(prompt=6000)
    light = [request_of(prompt=1000) for _ in range(5)]
    plan = policy.plan(view_of(heavy, *light))
    assert next(iter(plan.grants)) in {r.id for r in light}
    assert plan.grants.get(heavy.id, 0) == 0


def test_a_step_does_not_end_after_a_deadline_that_it_could_meet(policy, request_of, view_of) -> None:
    tight = request_of(prompt=1000, arrival=0.0)
    later = request_of(prompt=1500, arrival=0.16)
    view = view_of(tight, later, now=0.165)
    plan = policy.plan(view)
    seconds = view.costs.seconds(sum(plan.grants.values()), len(plan.grants), 0)
    assert plan.grants[tight.id] == 1000
    assert 0.165 + seconds <= tight.slo.deadline


def test_background_steps_are_short_while_a_client_types_and_long_otherwise(policy, request_of, view_of) -> None:
    warmup = request_of(TaskKind.WARMUP, prompt=8000)
    typing = view_of(warmup, now=100.0)
    typing.typing_until = 101.0
    while_typing = policy.plan(typing).grants[warmup.id]
    quiet = policy.plan(view_of(warmup, now=100.0)).grants[warmup.id]
    assert while_typing < 1500 < quiet


def test_where_a_step_costs_little_background_work_is_done_in_short_ones(request_of, view_of) -> None:
    def background_tokens(fixed: float, *others: TaskKind) -> int:
        warmup = request_of(TaskKind.WARMUP, prompt=8000)
        view = view_of(warmup, *(request_of(kind, prompt=20) for kind in others), fixed=fixed)
        view.typing_until = 1.0
        return CatoPolicy().plan(view).grants.get(warmup.id, 0)

    assert background_tokens(fixed=0.5e-3) < background_tokens(fixed=5.8e-3) / 3
    assert background_tokens(0.5e-3, TaskKind.COMPLETION) < background_tokens(5.8e-3, TaskKind.COMPLETION) / 3


@pytest.mark.parametrize(
    ("seconds", "task_work", "length"),
    [(100.0, 1.0, 2.0), (1.5, 1.0, 3.0), (1.2, 1.0, 4.0), (100.0, 99.0, 4.0), (300.0, 200.0, 3.0), (100.0, 0.0, 4.0)],
    ids=["has time", "has some time", "is hurried", "is followed by much", "is followed by some", "does not tell"],
)
def test_while_no_first_token_is_due_steps_are_as_long_as_e2e_prompts_and_their_tasks_need(
    policy, request_of, view_of, seconds, task_work, length
) -> None:
    """The deadline and the task's work as multiples of the prompt's work, and the step as one of its decodes."""
    answer = decoding(request_of(TaskKind.SUMMARIZATION, prompt=3000))
    summary, loose = (request_of(TaskKind.SUMMARIZATION, prompt=20_000, arrival=n) for n in (0.0, 0.1))
    for _ in range(50):
        policy.lengths.add(TaskKind.SUMMARIZATION, 1)
    view = view_of(answer, loose, summary, now=1.0)
    view.typing_until = 2.0
    base = view.costs.seconds(1, 1, answer.computed)
    work = view.costs.per_sequence + (view.costs.per_token + view.costs.per_context) * summary.todo
    answer.slo = replace(answer.slo, deadline=1e6)
    loose.slo = replace(loose.slo, deadline=1e6, task_work=work)
    summary.slo = replace(summary.slo, deadline=view.now + seconds * work, task_work=task_work * work)
    assert seconds_of_prompts(policy, view) == pytest.approx((length - 1) * base, rel=0.1)


def seconds_of_prompts(policy, view) -> float:
    grants = policy.plan(view).grants
    return view.costs.per_token * sum(tokens for request, tokens in grants.items() if request != view.running[0].id)


def test_steps_are_longer_while_a_first_token_is_due(policy, request_of, view_of) -> None:
    answer, summary = (request_of(TaskKind.SUMMARIZATION, prompt=8000) for _ in range(2))
    summary.slo = replace(summary.slo, deadline=1e6, task_work=1.0)
    views = [view_of(decoding(answer), summary), view_of(answer, summary, request_of(prompt=10))]
    for view in views:
        view.typing_until = 1.0
    without, due = (seconds_of_prompts(policy, view) for view in views)
    assert due > 2 * without


def test_a_full_house_makes_room_for_an_urgent_request(policy, request_of, view_of) -> None:
    warmups = [prefilling(request_of(TaskKind.WARMUP, prompt=4000), computed=500 * (i + 1)) for i in range(4)]
    completion = request_of(prompt=500)
    plan = policy.plan(view_of(*warmups, completion, max_slots=4))
    assert plan.preempt == [warmups[0].id], "the one with least work to lose gives way"
    assert plan.grants[completion.id] == 500


def test_short_of_blocks_only_as_many_give_way_as_are_needed(policy, request_of, view_of) -> None:
    warmups = [prefilling(request_of(TaskKind.WARMUP, prompt=4000), computed=1600) for _ in range(4)]
    completion = request_of(prompt=1600)
    plan = policy.plan(view_of(*warmups, completion, free_blocks=10))
    assert len(plan.preempt) == 1
    assert plan.grants[completion.id] == 1600


def test_in_a_burst_the_client_with_the_most_calls_gives_way(policy, request_of, view_of) -> None:
    modest = request_of(prompt=1500, client="modest")
    greedy = [request_of(prompt=1400, arrival=0.001, client="greedy") for _ in range(6)]
    plan = policy.plan(view_of(*greedy, modest))
    assert next(iter(plan.grants)) == modest.id


@pytest.mark.parametrize(("late", "weight", "sets_the_pace"), [(2, 1.0, False), (20, 1.0, True), (2, 10.0, True)])
def test_under_overload_and_only_then_an_answer_that_can_still_be_on_time_sets_the_pace(
    policy, request_of, view_of, late, weight, sets_the_pace
) -> None:
    translation = decoding(request_of(TaskKind.TRANSLATION, prompt=3000))
    translation.slo = replace(translation.slo, weight=weight)
    for _ in range(50):
        policy.lengths.add(TaskKind.TRANSLATION, translation.generated + 1000)
    in_time = request_of(prompt=5000, arrival=1.0)
    view = view_of(translation, in_time, *(request_of(prompt=8000) for _ in range(late)), now=1.0)
    grants = policy.plan(view).grants
    per_token = (translation.slo.deadline - view.now) / 1000
    step = view.costs.seconds(sum(grants.values()), len(grants), translation.computed)
    assert step == pytest.approx(per_token if sets_the_pace else policy.options.urgent_step * policy.ttft, rel=0.01)


def test_one_call_with_a_short_deadline_hardly_changes_the_length_of_steps(policy, request_of, view_of) -> None:
    before = policy.ttft
    hasty = request_of(prompt=10)
    hasty.slo = replace(hasty.slo, deadline=hasty.slo.arrival + 0.001)
    policy.plan(view_of(hasty))
    assert policy.ttft > 0.95 * before


def test_steps_follow_the_time_that_most_calls_allow(policy, request_of, view_of) -> None:
    for _ in range(300):
        call = request_of(prompt=10)
        call.slo = replace(call.slo, deadline=call.slo.arrival + 0.05)
        policy.plan(view_of(call))
    assert policy.ttft == pytest.approx(0.05, rel=0.01)


def test_a_request_that_has_waited_long_gets_a_part_of_every_step(policy, request_of, view_of) -> None:
    forgotten = request_of(prompt=7000, arrival=0.0)
    now = policy.options.patience + 1
    rush = [request_of(prompt=3000, arrival=now) for _ in range(10)]
    plan = policy.plan(view_of(forgotten, *rush, now=now))
    assert plan.grants[forgotten.id] == policy.options.reserve
    assert len(plan.grants) > 1, "the others go on"


def test_a_step_is_long_enough_for_a_completion_after_the_part_of_the_request_that_has_waited_long(
    request_of, view_of
) -> None:
    policy = CatoPolicy(CatoOptions(reserve=1000))
    now = policy.options.patience + 1
    forgotten, completion = request_of(prompt=7000, arrival=0.0), request_of(prompt=1200, arrival=now)
    plan = policy.plan(view_of(forgotten, completion, now=now))
    assert plan.grants == {forgotten.id: 1000, completion.id: 1200}


def test_a_step_that_is_too_short_for_any_prefill_carries_the_least_part_of_one(policy, request_of, view_of) -> None:
    warmups = [request_of(TaskKind.WARMUP) for _ in range(3)]
    view = view_of(*warmups)
    view.costs = replace(view.costs, per_sequence=1.0)
    assert policy.plan(view).grants == {warmups[0].id: policy.options.reserve}


def test_where_predictions_are_poor_a_prompt_that_would_be_only_just_on_time_does_not_hold_up_others(
    policy, request_of, view_of
) -> None:
    tight, other = request_of(prompt=7000), request_of(prompt=1500, arrival=0.1)
    view = view_of(tight, other)
    assert next(iter(policy.plan(view).grants)) == tight.id
    view.costs = replace(view.costs, error=0.05)
    assert next(iter(policy.plan(view).grants)) == other.id


def test_blocks_are_reserved_for_the_longest_waiting_request(policy, request_of, view_of) -> None:
    now = policy.options.patience + 1
    answers = [decoding(request_of(TaskKind.TRANSLATION, prompt=3000)) for _ in range(3)]
    large = request_of(TaskKind.WARMUP, prompt=1600, arrival=0.0)
    small = [request_of(prompt=160, arrival=now) for _ in range(3)]
    plan = policy.plan(view_of(*answers, large, *small, now=now, free_blocks=50))
    assert list(plan.grants) == [a.id for a in answers], "until these end there is no room for it"


def test_what_is_left_of_a_cut_off_step_keeps_its_kv(policy, request_of, view_of) -> None:
    summary = prefilling(request_of(TaskKind.SUMMARIZATION, prompt=8000), computed=4000)
    rush = [request_of(prompt=2000) for _ in range(3)]
    plan = policy.plan(view_of(summary, *rush))
    assert summary.id in plan.held
    assert not plan.preempt


def test_a_planned_prompt_whose_latest_start_has_come_goes_before_completions_with_time(
    policy, request_of, view_of
) -> None:
    answer = view_of().costs.recent_step * policy.lengths.remaining(TaskKind.SUMMARIZATION, 0, 0.8)
    summary = request_of(TaskKind.SUMMARIZATION, prompt=1000, arrival=answer + 0.05 - 6.0)
    completions = [request_of(prompt=500) for _ in range(2)]
    plan = policy.plan(view_of(*completions, summary))
    assert next(iter(plan.grants)) == summary.id
    assert plan.grants[summary.id] == 1000


def test_a_planned_prompt_makes_no_completion_late(policy, request_of, view_of) -> None:
    answer = view_of().costs.recent_step * policy.lengths.remaining(TaskKind.SUMMARIZATION, 0, 0.8)
    summary = request_of(TaskKind.SUMMARIZATION, prompt=3000, arrival=answer + 0.1 - 6.0)
    rush = [request_of(prompt=1000) for _ in range(7)]
    plan = policy.plan(view_of(*rush, summary))
    assert next(iter(plan.grants)) in {r.id for r in rush}
    assert plan.grants.get(summary.id, 0) == 0


def test_of_two_e2e_prompts_due_at_once_the_one_of_the_larger_task_waits(policy, request_of, view_of) -> None:
    first, second = (request_of(TaskKind.SUMMARIZATION, prompt=3000) for _ in range(2))
    first.slo = replace(first.slo, task_work=1.0)
    plan = policy.plan(view_of(first, second))
    assert next(iter(plan.grants)) == second.id


@pytest.fixture
def translation_beside_a_summary(policy, request_of, view_of):
    """The prompt of a translation that has 30 s of slack, and the answer of a summary, whose time limit is 6 s."""
    for _ in range(200):
        policy.lengths.add(TaskKind.TRANSLATION, 100)
    translation = request_of(TaskKind.TRANSLATION, prompt=3000)
    view = view_of(decoding(request_of(TaskKind.SUMMARIZATION, prompt=3000)), translation, now=13.0)
    translation.slo = replace(translation.slo, task_work=0.1)
    view.running[0].slo = replace(view.running[0].slo, arrival=13.0, deadline=19.0)
    return translation, view


def test_a_prompt_with_slack_gives_way_to_the_answers_of_shorter_calls(policy, translation_beside_a_summary) -> None:
    translation, view = translation_beside_a_summary
    answer = view.running[0]
    assert policy.plan(view).grants == {answer.id: 1}
    view.now = 38.0  # the slack is less than the time limit of the summary
    assert policy.plan(view).grants.get(translation.id, 0) > 0


def test_among_several_answers_the_shortest_call_counts(policy, request_of, translation_beside_a_summary) -> None:
    translation, view = translation_beside_a_summary
    view.running.append(decoding(request_of(TaskKind.TRANSLATION, prompt=3000)))
    assert translation.id not in policy.plan(view).grants


@pytest.mark.parametrize("other", [None, "completion", "long"], ids=["no answer", "a completion", "a call as long"])
def test_without_such_an_answer_a_prompt_with_slack_is_read(
    policy, request_of, translation_beside_a_summary, other
) -> None:
    translation, view = translation_beside_a_summary
    if other == "long":
        view.running[0].slo = replace(view.running[0].slo, arrival=-20.0)
    else:
        view.running = [] if other is None else [decoding(request_of(prompt=3000))]
    assert policy.plan(view).grants.get(translation.id, 0) > policy.options.reserve


@pytest.mark.parametrize("task_work", [0.0, 0.25], ids=["does not tell", "is followed by more"])
def test_a_call_gives_way_only_if_it_tells_that_it_is_the_last_one_of_its_task(
    policy, translation_beside_a_summary, task_work
) -> None:
    translation, view = translation_beside_a_summary
    translation.slo = replace(translation.slo, task_work=task_work)
    assert policy.plan(view).grants.get(translation.id, 0) > 0


@pytest.mark.parametrize(("late", "gives_way"), [(1, True), (8, False)])
def test_under_overload_no_prompt_gives_way(policy, request_of, translation_beside_a_summary, late, gives_way) -> None:
    translation, view = translation_beside_a_summary
    view.waiting += [request_of(prompt=6000) for _ in range(late)]
    assert (translation.id not in policy.plan(view).grants) is gives_way


def test_of_two_e2e_prompts_that_cannot_both_be_on_time_the_one_with_the_dearer_answer_waits(
    policy, request_of, view_of
) -> None:
    answer = view_of().costs.recent_step * policy.lengths.remaining(TaskKind.SUMMARIZATION, 0, 0.8)
    summaries = [request_of(TaskKind.SUMMARIZATION, prompt=3000, arrival=answer + 0.1 - 6.0) for _ in range(2)]
    long = summaries[0]
    long.prompt, long.computed = 30_000, 27_000  # all but as much as of the other one is in the prefix cache
    view = view_of(*summaries)
    view.costs = replace(view.costs, per_context=1e-7)
    assert next(iter(policy.plan(view).grants)) == summaries[1].id


def test_of_two_prompts_that_cannot_both_be_on_time_the_kind_with_more_weight_is_served(
    policy, request_of, view_of
) -> None:
    completion, generation = request_of(prompt=4500), request_of(TaskKind.GENERATION, prompt=5000)
    generation.slo = replace(generation.slo, deadline=0.2)
    kept_first = next(iter(policy.plan(view_of(completion, generation)).grants))
    generation.slo = replace(generation.slo, weight=5.0)
    assert kept_first == completion.id
    assert next(iter(policy.plan(view_of(completion, generation)).grants)) == generation.id
