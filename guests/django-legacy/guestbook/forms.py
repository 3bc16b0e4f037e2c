from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _


class GreetingForm(forms.Form):
    name = forms.CharField(label=_('Your name'), max_length=40)
    text = forms.CharField(label=_('Your greeting'), max_length=settings.GREETING_MAX_LENGTH)
