import django
from django.conf import settings
from django.shortcuts import render


def home(request):
    return render(request, 'pages/home.html', {
        'title': settings.SITE_TITLE,
        'django_version': django.get_version(),
    })
