from django.db import models
from django_extensions.db.models import TimeStampedModel


class Book(TimeStampedModel):
    title = models.CharField(max_length=100)
    pages = models.IntegerField()

    class Meta(TimeStampedModel.Meta):
        abstract = False
