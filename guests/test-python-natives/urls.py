from django.urls import path

import passwords
import views

urlpatterns = [
    path("ok", views.ok),
    path("password", passwords.password),
    path("hash-errors", passwords.errors),
]
