from debug_toolbar.toolbar import debug_toolbar_urls
from django.urls import include, path
from rest_framework.routers import DefaultRouter

from shelf import views

router = DefaultRouter()
router.register("books", views.Books)

urlpatterns = [
    path("", views.page),
    path("counted", views.counted),
    path("api/", include(router.urls)),
    path("accounts/", include("allauth.urls")),
    *debug_toolbar_urls(),
]
