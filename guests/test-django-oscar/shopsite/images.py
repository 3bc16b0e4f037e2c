from types import SimpleNamespace

from django.core.files.storage import default_storage
from oscar.core.thumbnails import AbstractThumbnailer


class AsTheyAre(AbstractThumbnailer):
    """Shows images in their own size: to scale them takes native code."""

    def generate_thumbnail(self, source, **opts):
        return SimpleNamespace(url=default_storage.url(str(source)))

    def delete_thumbnails(self, source):
        pass
