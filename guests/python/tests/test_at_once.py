"""What is done at once for want of threads."""

import asyncio
import contextlib
import threading
import unittest
import unittest.mock
from asyncio import base_events, selector_events
from concurrent.futures import Future, ThreadPoolExecutor, as_completed

from guesthouse import at_once, importer


class AtOnce(unittest.TestCase):
    def setUp(self):
        """Leaves the process as it was."""
        with contextlib.ExitStack() as stack:
            for owner, name in ((ThreadPoolExecutor, "submit"), (base_events.BaseEventLoop, "shutdown_default_executor"),
                                (selector_events.BaseSelectorEventLoop, "_make_self_pipe"),
                                (selector_events.BaseSelectorEventLoop, "_close_self_pipe")):
                stack.enter_context(unittest.mock.patch.object(owner, name, getattr(owner, name)))
            stack.enter_context(unittest.mock.patch.object(importer, "watchers", []))
            # As in a guest.
            stack.enter_context(unittest.mock.patch.object(threading.Thread, "start", self.no_thread))
            at_once.install()
            self.addCleanup(stack.pop_all().close)
        self.pool = ThreadPoolExecutor(1)
        # The pool of the machine's Python may be older than that of a guest.
        self.pool._create_worker_context = lambda: unittest.mock.Mock()

    def no_thread(self):
        raise RuntimeError("can't start new thread")

    def test_pools(self):
        self.assertEqual(list(self.pool.map(str.upper, "ab")), ["A", "B"])
        futures = [self.pool.submit(pow, 2, exponent) for exponent in range(3)]
        self.assertEqual(sorted(future.result() for future in as_completed(futures)), [1, 2, 4])
        self.assertIsInstance(self.pool.submit(int, "x").exception(), ValueError)
        # One job gives another.
        self.assertEqual(self.pool.submit(lambda: self.pool.submit(len, "abc").result()).result(), 3)
        self.pool.shutdown()
        with self.assertRaisesRegex(RuntimeError, "after shutdown"):
            self.pool.submit(len, "")

    def test_event_loops(self):
        async def inner():
            await asyncio.gather(asyncio.sleep(0.01), asyncio.sleep(0))
            return "inner"

        async def outer():
            loop = asyncio.get_running_loop()
            result = await loop.run_in_executor(self.pool, lambda: asyncio.run(inner()))
            self.assertIs(asyncio.get_running_loop(), loop)
            return result

        self.assertEqual(asyncio.run(outer()), "inner")

    def test_a_loop_that_nothing_wakes_says_so(self):
        async def waits():
            await asyncio.wrap_future(Future())

        with self.assertRaisesRegex(RuntimeError, "waits for what can never come"):
            asyncio.run(waits())
