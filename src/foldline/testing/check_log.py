"""What every log must do, as named checks for whoever writes one.

    check_log(make)                                   # all of them, in a row

    @pytest.mark.parametrize("name", LOG_CHECKS)      # or each on its own
    def test_log(name, tmp_path):
        LOG_CHECKS[name](LogSubject(make))

A check raises `AssertionError` with what it expected and what it found.
"""

from collections.abc import Callable

from foldline.log.protocol import Log
from foldline.testing.log_checks import keeping, rows, sharing
from foldline.testing.log_checks.subject import LogSubject, expect

__all__ = ["LOG_CHECKS", "LogSubject", "check_log"]

LOG_CHECKS: dict[str, Callable[[LogSubject], None]] = {
    check.__name__: check
    for check in (
        rows.offsets_rise,
        rows.records_have_places,
        rows.blocks_say_what_rows_say,
        rows.any_bytes_survive,
        rows.sizes_are_told,
        rows.times_are_found,
        rows.headers_come_back_or_not_at_all,
        rows.append_is_atomic,
        rows.reading_splits_rows,
        rows.max_records_keeps_rows_whole,
        rows.reading_outside_is_refused,
        keeping.compaction_keeps_the_newest,
        keeping.ends_outlive_all_rows,
        keeping.retention_drops_a_prefix,
        keeping.topics_are_checked,
        keeping.a_topic_made_again_is_new,
        rows.time_ahead_is_refused,
        sharing.a_stale_lease_writes_nothing,
        sharing.leases_are_released,
        sharing.members_share_evenly,
        sharing.wait_wakes_on_append,
        sharing.concurrent_appends_lose_nothing,
        sharing.a_refused_append_spares_its_neighbours,
        sharing.a_closed_log_refuses,
        keeping.a_reopened_log_holds_all,
        rows.random_walk_agrees_with_lists,
    )
}
"""Every check by name."""


def check_log(
    make: Callable[..., Log], reopen: Callable[..., Log] | None = None, *, cleans: bool = True
) -> list[str]:
    """Run every check; the names of those that ran.

    Args:
        make: see `LogSubject`.
        reopen: see `LogSubject`.
        cleans: see `LogSubject`.

    Raises:
        AssertionError: the first check that failed, or that there were none.
    """
    subject = LogSubject(make, reopen, cleans)
    for check in LOG_CHECKS.values():
        check(subject)
    expect(len(LOG_CHECKS) > 0, "no checks were collected")
    return list(LOG_CHECKS)
