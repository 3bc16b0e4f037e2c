from django.urls import include, path

from pages.views import Page

urlpatterns = [
    path('', include('pages.urls')),
    path('ceremony/', Page.as_view(template_name='bar/ceremony.html'), name='ceremony'),
]
