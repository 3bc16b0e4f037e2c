import django_filters
from django.http import JsonResponse
from django.shortcuts import render
from rest_framework import serializers, viewsets

from shelf.models import Book


class BookSerializer(serializers.ModelSerializer):
    class Meta:
        model = Book
        fields = ["title", "pages"]


class BookFilter(django_filters.FilterSet):
    class Meta:
        model = Book
        fields = {"pages": ["gte"], "title": ["icontains"]}


class Books(viewsets.ModelViewSet):
    queryset = Book.objects.order_by("title")
    serializer_class = BookSerializer
    filter_backends = [django_filters.rest_framework.DjangoFilterBackend]
    filterset_class = BookFilter
    authentication_classes = []


def page(request):
    return render(request, "page.html", {"books": Book.objects.order_by("title")})


async def counted(request):
    first = await Book.objects.order_by("title").afirst()
    return JsonResponse({"books": await Book.objects.acount(), "first": first.title})
