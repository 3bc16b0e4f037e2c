from django.contrib import admin
from django.urls import path

from ledger import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("increment", views.increment),
    path("count", views.count),
    path("abort", views.abort),
    path("hold", views.hold),
    path("kinds", views.kinds),
    path("cache", views.cached),
    path("session", views.session),
    path("generation", views.generation),
    path("upload", views.upload),
]
