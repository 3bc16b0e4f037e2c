from django.conf import settings
from django.contrib.staticfiles.views import serve
from django.urls import path

from . import views

app_name = 'pages'

urlpatterns = [
    path('', views.Home.as_view(), name='home'),
    path('about/', views.About.as_view(), name='about'),
    path('info.json', views.Info.as_view(), name='info'),
    # Sites this small hand out their few static files themselves.
    path(f'{settings.STATIC_URL.strip("/")}/<path:path>', serve, {'insecure': True}),
]
