from django.urls import path

import mail
import outgoing
import passwords
import views

urlpatterns = [
    path("ok", views.ok),
    path("fetch", outgoing.fetch),
    path("leave", outgoing.leave),
    path("mail", mail.mail),
    path("log", mail.log),
    path("password", passwords.password),
    path("hash-errors", passwords.errors),
]
