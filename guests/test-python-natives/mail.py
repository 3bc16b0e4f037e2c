"""E-mail and log lines, by the settings as in any project."""

import logging

from django.core.mail import EmailMessage, get_connection
from django.http import JsonResponse


def mail(request):
    """Sends one with an attachment, by the backend of the settings or ``?backend=``."""
    name = request.GET.get("backend")
    connection = get_connection(f"django.core.mail.backends.{name}.EmailBackend" if name else None)
    message = EmailMessage("Grüße", "Line one\n.dot\nLine three ä\n", "shop@example.com", ["a@example.com", "b@example.com"],
                           connection=connection)
    message.attach("note.txt", "attached", "text/plain")
    try:
        return JsonResponse({"sent": message.send()})
    except OSError as error:
        return JsonResponse({"error": f"{type(error).__name__}: {error}"})


def log(request):
    logger = logging.getLogger("shop.orders")
    logger.debug("not wanted")
    logger.info("order %d", 7)
    try:
        raise ValueError("no such order")
    except ValueError:
        logger.exception("order failed")
    return JsonResponse({})
