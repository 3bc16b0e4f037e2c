from django.urls import path

from . import views

app_name = 'guestbook'

urlpatterns = [
    path('', views.home, name='home'),
    path('sign/', views.sign, name='sign'),
    path('about/', views.about, name='about'),
    path('info.json', views.info, name='info'),
]
