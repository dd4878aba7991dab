"""Digits that a handler waits for. Opens nothing and reads no clock."""

import asyncio


class Digits:
    """One question at a time; what is pressed while nobody asks is let go by."""

    def __init__(self):
        self._answer = None
        self._wanted = 1
        self._filter = None
        self._on_first = None
        self._so_far = ""

    def getDTMF(self, n=1, filter=None, on_first=None):
        """A future of the next `n` digits; of those in `filter` only, where it is given.

        `on_first` is called with the first of them.
        """
        if self._answer is not None and not self._answer.done():
            raise Exception("getDTMF already called and not resolved")
        self._answer = asyncio.get_running_loop().create_future()
        self._wanted, self._filter, self._on_first = n, filter, on_first
        self._so_far = ""
        return self._answer

    def press(self, digit):
        """The caller pressed a digit."""
        answer = self._answer
        if answer is None or answer.done():
            return
        if self._filter is not None and digit not in self._filter:
            return
        self._so_far += digit
        if self._on_first is not None and len(self._so_far) == 1:
            try:
                self._on_first(digit)
            except Exception as error:
                answer.set_exception(error)
                return
        if len(self._so_far) >= self._wanted and not answer.done():
            answer.set_result(self._so_far)
