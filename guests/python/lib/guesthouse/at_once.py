"""What Python and its libraries leave to threads, which a guest has not, is done at once.

- ``concurrent.futures.ThreadPoolExecutor`` runs what it is given before ``submit`` returns. What waits there for something
  that its submitter does later waits for good; all else comes out as from a pool of one thread.
- An event loop of ``asyncio`` has no pipe to itself, by which threads and signals would wake it. One that nothing can wake
  any more says so.
- So asynchronous views of Django and Flask run, by ``asgiref``.
- Sentry's events are sent when they are captured.
"""

import asyncio
import time
from asyncio import base_events, selector_events
from concurrent.futures import Future, ThreadPoolExecutor

from guesthouse import importer


def install():
    ThreadPoolExecutor.submit = _submit
    base_events.BaseEventLoop.shutdown_default_executor = _shut_down_executor
    selector_events.BaseSelectorEventLoop._make_self_pipe = _without_pipe
    selector_events.BaseSelectorEventLoop._close_self_pipe = _nothing
    importer.watchers.append(_after_exec)


def _after_exec(module):
    if module.__name__ == "sentry_sdk.worker":
        logger = module.logger

        def submit(self, callback):
            try:
                _call(callback)
            except Exception:
                logger.error("Failed processing job", exc_info=True)
            return True

        module.BackgroundWorker.submit = submit
        module.BackgroundWorker.start = _nothing
    elif module.__name__ == "asgiref.current_thread_executor":
        # What asynchronous views of Django and Flask have done in the thread that waits for them: the same here.
        module.CurrentThreadExecutor.submit = lambda self, function, /, *arguments, **options: (
            _done(function, *arguments, **options))


def _submit(self, function, /, *arguments, **options):
    if self._shutdown:
        raise RuntimeError("cannot schedule new futures after shutdown")
    if "_begun" not in vars(self):
        self._begun = self._create_worker_context()
        self._begun.initialize()
    return _done(function, *arguments, **options)


def _done(function, /, *arguments, **options):
    future = Future()
    future.set_running_or_notify_cancel()
    try:
        result = _call(function, *arguments, **options)
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)
    return future


def _call(function, /, *arguments, **options):
    """As in another thread: there no event loop runs yet."""
    loop = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    try:
        return function(*arguments, **options)
    finally:
        asyncio._set_running_loop(loop)


async def _shut_down_executor(self, timeout=None):
    self._executor_shutdown_called = True
    if self._default_executor is not None:
        self._default_executor.shutdown()


def _without_pipe(self):
    self._ssock = self._csock = None
    selector, select = self._selector, self._selector.select

    def select_or_sleep(timeout=None):
        if selector.get_map():
            return select(timeout)
        if timeout is None:
            raise RuntimeError("this event loop waits for what can never come: a guest has one thread, and none of its "
                               "sockets or timers is waited for")
        time.sleep(max(timeout, 0))
        return []

    selector.select = select_or_sleep


def _nothing(self):
    pass
