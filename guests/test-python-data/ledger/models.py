from django.db import models


class Counter(models.Model):
    name = models.CharField(max_length=20, unique=True)
    value = models.IntegerField(default=0)


class Entry(models.Model):
    """One for each increment that was acknowledged, or was about to be."""

    token = models.CharField(max_length=40, unique=True)


class Note(models.Model):
    title = models.CharField(max_length=100)
    written = models.DateTimeField(null=True, blank=True)
    day = models.DateField(null=True, blank=True)
    at = models.TimeField(null=True, blank=True)
    took = models.DurationField(null=True, blank=True)
    price = models.DecimalField(max_digits=12, decimal_places=3, null=True, blank=True)
    weight = models.FloatField(null=True, blank=True)
    public = models.BooleanField(default=False)
    picture = models.BinaryField(null=True, blank=True)
    key = models.UUIDField(null=True, blank=True)
    extra = models.JSONField(default=dict, blank=True)
    attachment = models.FileField(upload_to="notes", blank=True)
    about = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL)

    def __str__(self):
        return self.title
