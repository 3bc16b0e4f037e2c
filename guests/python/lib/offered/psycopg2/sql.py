"""Statements put together from parts: ``SQL("SELECT {} FROM {}").format(...)``."""

from psycopg2 import _adapt


def quote(value, connection=None):
    return _adapt.quote(value)


class Composable:
    def __init__(self, wrapped):
        self._wrapped = wrapped

    def as_string(self, context=None):
        raise NotImplementedError

    def __add__(self, other):
        return Composed([self, other])

    def __mul__(self, count):
        return Composed([self] * count)

    def __repr__(self):
        return f"{type(self).__name__}({self._wrapped!r})"


class Composed(Composable):
    def as_string(self, context=None):
        return "".join(part.as_string(context) for part in self._wrapped)

    def join(self, separator):
        return (SQL(separator) if isinstance(separator, str) else separator).join(self._wrapped)


class SQL(Composable):
    def as_string(self, context=None):
        return self._wrapped

    def format(self, *arguments, **named):
        texts = [part.as_string() for part in arguments]
        return SQL(self._wrapped.format(*texts, **{name: part.as_string() for name, part in named.items()}))

    def join(self, parts):
        return SQL(self._wrapped.join(part.as_string() for part in parts))


class Identifier(Composable):
    def __init__(self, *names):
        super().__init__(names)

    def as_string(self, context=None):
        return ".".join('"' + name.replace('"', '""') + '"' for name in self._wrapped)


class Literal(Composable):
    def as_string(self, context=None):
        return _adapt.quote(self._wrapped)


class Placeholder(Composable):
    def __init__(self, name=None):
        super().__init__(name)

    def as_string(self, context=None):
        return f"%({self._wrapped})s" if self._wrapped else "%s"
