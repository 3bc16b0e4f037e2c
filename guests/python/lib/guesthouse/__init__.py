"""The guest's side of Guesthouse for Python: what turns an ordinary WSGI project into a component.

Projects need nothing from here. Those that want to read the manifest's settings and secrets themselves import
:mod:`guesthouse.settings` and :mod:`guesthouse.secrets`; everything else is machinery:

- :mod:`guesthouse.image` runs while the component is built and fills the memory image;
- :mod:`guesthouse.archive`, :mod:`guesthouse.files` and :mod:`guesthouse.importer` are the captured file system;
- :mod:`guesthouse.hashing` is what ``hashlib`` lacks;
- :mod:`guesthouse.wsgi` is PEP 3333, :mod:`guesthouse.http_p2` and :mod:`guesthouse.http_p3` tie it to ``wasi:http``;
- :mod:`guesthouse.instance` is what an instance does before its first request.
"""
