"""How many threads linear algebra may use in this process."""

from __future__ import annotations

from threadpoolctl import threadpool_limits


def on_one_thread() -> None:
    """From now on, on the thread that asks for it.

    The products that choose a photo's place are small. Where a service is busy, threads that wait
    for each other spin on the cores that the model needs: choosing among 200 candidates then took
    twice the time, and always took twice the work.
    """
    threadpool_limits(1, user_api="blas")
