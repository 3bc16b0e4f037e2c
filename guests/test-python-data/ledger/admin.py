from django.contrib import admin

from ledger.models import Counter, Note


@admin.register(Note)
class NoteAdmin(admin.ModelAdmin):
    list_display = ["title", "day", "price", "public"]
    list_filter = ["public"]
    search_fields = ["title"]
    date_hierarchy = "day"


admin.site.register(Counter)
