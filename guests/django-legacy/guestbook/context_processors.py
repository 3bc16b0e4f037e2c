from django.conf import settings


def site(request):
    """What every page shows."""
    return {
        'site_title': settings.SITE_TITLE,
        'site_since': settings.SITE_SINCE,
        'features': settings.FEATURES,
    }
