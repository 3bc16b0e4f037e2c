import hashlib
import uuid

import django
from django.conf import settings
from django.contrib import messages
from django.http import JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from .forms import GreetingForm

# Tells one process from another, to see which of them answered.
PROCESS = uuid.uuid4().hex
answered = 0


@require_GET
def home(request):
    visits = request.session['visits'] = request.session.get('visits', 0) + 1
    greetings = request.session.get('greetings', [])
    return render(request, 'guestbook/home.html', {
        'visits': visits,
        'greetings': greetings[:settings.GREETINGS_SHOWN],
        'form': GreetingForm(),
        'now': timezone.now(),
    })


@require_POST
def sign(request):
    form = GreetingForm(request.POST)
    if not form.is_valid():
        return render(request, 'guestbook/home.html', {'form': form, 'now': timezone.now()}, status=422)
    greetings = request.session.get('greetings', [])
    entry = {**form.cleaned_data, 'at': timezone.now().isoformat()}
    request.session['greetings'] = [entry, *greetings][:settings.GREETINGS_SHOWN]
    messages.success(request, _('Thank you, %(name)s.') % form.cleaned_data)
    return redirect('guestbook:home')


@require_GET
def about(request):
    return render(request, 'guestbook/about.html', {
        'django_version': django.get_version(),
        'settings_module': settings.SETTINGS_MODULE,
        'root_urlconf': settings.ROOT_URLCONF,
        'time_zone': settings.TIME_ZONE,
        'now': timezone.now(),
    })


@require_GET
def info(request):
    """The same facts for programs."""
    global answered
    answered += 1
    shown = ('DEBUG', 'SITE_SINCE', 'GREETINGS_SHOWN', 'TAX_RATE', 'FEATURES', 'ALLOWED_HOSTS')
    return JsonResponse({
        'django': django.get_version(),
        'settings_module': settings.SETTINGS_MODULE,
        'root_urlconf': settings.ROOT_URLCONF,
        'site_title': settings.SITE_TITLE,
        'time_zone': settings.TIME_ZONE,
        'now': timezone.localtime().isoformat(),
        'language': translation.get_language(),
        'secret_key_sha256': hashlib.sha256(settings.SECRET_KEY.encode()).hexdigest(),
        'visits': request.session.get('visits', 0),
        'process': PROCESS,
        'answered': answered,
        'script_name': request.META['SCRIPT_NAME'],
        'remote_addr': request.META['REMOTE_ADDR'],
        'url': request.build_absolute_uri(),
        'settings': {name: getattr(settings, name) for name in shown},
        'types': {name: type(getattr(settings, name)).__name__ for name in shown},
    })
