from django import forms
from django.utils.translation import gettext_lazy as _


class OrderForm(forms.Form):
    product = forms.CharField(label=_('Product'), max_length=40)
    quantity = forms.IntegerField(label=_('Quantity'), min_value=1, max_value=9, initial=1)
