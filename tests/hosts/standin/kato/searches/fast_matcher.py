"""Fed on every load and learn, asked by nobody."""


class FastSequenceMatcher:
    def __init__(self, **options):
        self.patterns = {}

    def add_pattern(self, name, symbols):
        self.patterns[name] = symbols

    def clear(self):
        self.patterns.clear()
