from django.urls import include, path

from pages.views import Page

urlpatterns = [
    path('', include('pages.urls')),
    path('workshop/', Page.as_view(template_name='foo/workshop.html'), name='workshop'),
]
