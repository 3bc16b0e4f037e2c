import hashlib
import uuid

import django
from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import JsonResponse
from django.urls import reverse_lazy
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.views import View
from django.views.generic import FormView, TemplateView

from .forms import OrderForm

# Tells one process from another, to see which of them answered.
PROCESS = uuid.uuid4().hex
answered = 0


class Page(TemplateView):
    """A page with the time on it."""

    def get_context_data(self, **kwargs):
        return super().get_context_data(now=timezone.now(), **kwargs)


class Home(FormView):
    template_name = 'pages/home.html'
    form_class = OrderForm
    success_url = reverse_lazy('pages:home')

    def get(self, request, *args, **kwargs):
        request.session['visits'] = request.session.get('visits', 0) + 1
        return super().get(request, *args, **kwargs)

    def get_context_data(self, **kwargs):
        paginator = Paginator(settings.CATALOGUE, settings.PRODUCTS_PER_PAGE)
        return super().get_context_data(
            page=paginator.get_page(self.request.GET.get('page')),
            currency=settings.CURRENCY,
            visits=self.request.session.get('visits'),
            ordered=self.request.session.get('ordered', 0),
            now=timezone.now(),
            **kwargs,
        )

    def form_valid(self, form):
        ordered = form.cleaned_data['quantity']
        self.request.session['ordered'] = self.request.session.get('ordered', 0) + ordered
        messages.success(self.request, _('Ordered: %(quantity)d × %(product)s.') % form.cleaned_data)
        return super().form_valid(form)


class About(Page):
    template_name = 'pages/about.html'

    def get_context_data(self, **kwargs):
        return super().get_context_data(
            django_version=django.get_version(),
            settings_module=settings.SETTINGS_MODULE,
            root_urlconf=settings.ROOT_URLCONF,
            time_zone=settings.TIME_ZONE,
            **kwargs,
        )


class Info(View):
    """The same facts for programs."""

    shown = ('DEBUG', 'PRODUCTS_PER_PAGE', 'VAT_RATE', 'CURRENCY', 'FEATURES', 'CATALOGUE', 'ALLOWED_HOSTS')

    def get(self, request):
        global answered
        answered += 1
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
            'settings': {name: getattr(settings, name) for name in self.shown},
            'types': {name: type(getattr(settings, name)).__name__ for name in self.shown},
        })
