from django.conf import settings


def shop(request):
    """What every page shows."""
    return {
        'site_title': settings.SITE_TITLE,
        'site_motto': settings.SITE_MOTTO,
        'features': settings.FEATURES,
    }
