import datetime
import decimal
import os
import tempfile
import time
import uuid

from django.core.cache import cache
from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.db.models import Count, F, Max, Q, Sum
from django.db.models.functions import TruncMonth
from django.http import JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from guesthouse import settings as manifest

from ledger.models import Counter, Entry, Note


def _add(token):
    """Reads, and writes what it read and one more: what is not serialised is lost."""
    counter = Counter.objects.select_for_update().get(name="hits")
    counter.value += 1
    counter.save()
    if token:
        Entry.objects.create(token=token)
    return counter.value


def increment(request):
    with transaction.atomic():
        value = _add(request.GET.get("token"))
    return JsonResponse({"value": value, "generation": manifest.generation()})


def count(request):
    tokens = sorted(Entry.objects.values_list("token", flat=True)) if "tokens" in request.GET else []
    return JsonResponse({"value": Counter.objects.get(name="hits").value, "entries": Entry.objects.count(), "tokens": tokens})


def abort(request):
    with transaction.atomic():
        _add("aborted")
        os.abort()


def hold(request):
    with transaction.atomic():
        value = _add(None)
        until = time.monotonic() + int(request.GET.get("ms", "100")) / 1000
        while time.monotonic() < until:
            time.sleep(0.01)
    return JsonResponse({"value": value})


@csrf_exempt
def upload(request):
    """Keeps a file, and tells where it was in the meantime and what is left there."""
    sent = request.FILES["file"]
    where = sent.temporary_file_path() if hasattr(sent, "temporary_file_path") else None
    name = default_storage.save("uploads/" + sent.name, sent)
    sent.close()
    left = os.listdir(tempfile.gettempdir()) if where else []
    return JsonResponse({"where": where, "name": name, "left": left})


def generation(request):
    return JsonResponse({"generation": manifest.generation()})


def cached(request):
    if "set" in request.GET:
        cache.set("word", {"text": request.GET["set"], "at": datetime.date(2026, 1, 2)}, 60)
        cache.set_many({"one": 1, "two": 2})
    if "add" in request.GET:
        cache.add("adds", 0)
        return JsonResponse({"adds": cache.incr("adds")})
    return JsonResponse({"word": cache.get("word"), "many": cache.get_many(["one", "two", "three"]), "none": cache.get("none")})


def session(request):
    request.session["seen"] = request.session.get("seen", 0) + 1
    return JsonResponse({"seen": request.session["seen"], "engine": type(request.session).__module__})


def kinds(request):
    """What is written is what is read, and what is asked is answered, whatever the database."""
    Note.objects.all().delete()
    moment = datetime.datetime(2026, 7, 8, 9, 10, 11, 123456, tzinfo=datetime.timezone.utc)
    wrote = dict(
        title="Käse 'n' \"Brot\" % %s \\", written=moment, day=datetime.date(2026, 2, 28), at=datetime.time(23, 59, 59, 999999),
        took=datetime.timedelta(days=3, microseconds=7), price=decimal.Decimal("12345.678"), weight=0.1, public=True,
        picture=bytes(range(256)), key=uuid.UUID("12345678-1234-5678-1234-567812345678"),
        extra={"a": [1, 2.5, None, True, "ä"], "nested": {"b": "c"}},
    )
    first = Note.objects.create(**wrote)
    Note.objects.bulk_create([
        Note(title=f"note {number}", day=datetime.date(2026, 3, 1 + number), price=number, about=first, extra={"n": number})
        for number in range(20)])
    read = Note.objects.get(pk=first.pk)
    different = [name for name, value in wrote.items()
                 if (bytes(read.picture) if name == "picture" else getattr(read, name)) != value]
    about_first = Note.objects.filter(about=first)
    asked = {
        "by_json": Note.objects.filter(extra__nested__b="c").count(),
        "json_number": about_first.filter(extra__n__gte=15).count(),
        "has_key": Note.objects.filter(extra__has_key="a").count(),
        "sum": str(about_first.aggregate(total=Sum("price"))["total"]),
        "max_day": str(about_first.aggregate(last=Max("day"))["last"]),
        "search": Note.objects.filter(Q(title__icontains="NOTE 1") | Q(title__startswith="Käse")).count(),
        "months": [(str(row["month"]), row["many"]) for row in Note.objects.filter(day__isnull=False).annotate(
            month=TruncMonth("day")).values("month").annotate(many=Count("pk")).order_by("month")],
        "joined": about_first.filter(about__title__contains="Brot").values_list("about__price", flat=True).first() is not None,
        "updated": about_first.filter(price__lt=5).update(price=F("price") + 1),
        "in": Note.objects.filter(pk__in=[first.pk, first.pk + 1]).count(),
        "dates": [str(day) for day in Note.objects.dates("day", "month")],
        "iterated": sum(1 for _ in about_first.order_by("pk").iterator(chunk_size=3)),
        "got": Note.objects.get_or_create(title="note 3", defaults={"day": datetime.date(2026, 1, 1)})[1],
        "now_is_near": abs((timezone.now() - _now()).total_seconds()) < 60,
    }
    try:
        with transaction.atomic():
            Counter.objects.create(name="twice")
            Counter.objects.create(name="twice")
    except Exception as error:
        asked["twice"] = type(error).__module__ + "." + type(error).__name__
    with transaction.atomic():
        Note.objects.create(title="kept")
        try:
            with transaction.atomic():
                Note.objects.create(title="rolled back")
                raise ValueError
        except ValueError:
            pass
    asked["kept"] = list(Note.objects.filter(title__in=["kept", "rolled back"]).values_list("title", flat=True))
    asked["vendor"] = connection.vendor
    return JsonResponse({"different": different, "asked": asked})


def _now():
    if connection.vendor == "sqlite":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        return cursor.fetchone()[0]
