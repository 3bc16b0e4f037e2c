from django.http import HttpResponse


def ok(request):
    return HttpResponse("ok\n", content_type="text/plain")
