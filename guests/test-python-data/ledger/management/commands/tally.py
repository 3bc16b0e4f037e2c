"""Sets the counter to nothing, or tells it: what tests ask of a command of the project's own."""

import sys

from django.core.management.base import BaseCommand, CommandError

from ledger.models import Counter


class Command(BaseCommand):
    def add_arguments(self, parser):
        parser.add_argument("--begin", action="store_true")
        parser.add_argument("--fail", type=int)

    def handle(self, begin, fail, **options):
        if fail == 1:
            raise CommandError("it was to fail")
        if fail:
            self.stdout.write("before the end")
            sys.exit(fail)
        if begin:
            Counter.objects.update_or_create(name="hits", defaults={"value": 0})
        self.stdout.write(f"hits: {Counter.objects.get(name='hits').value}")
