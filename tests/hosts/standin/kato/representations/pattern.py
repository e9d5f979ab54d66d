"""A learned sequence."""

from kato_fast import pattern_name


class Pattern:
    def __init__(self, pattern_data):
        self.pattern_data = list(pattern_data)
        self.length = sum(map(len, self.pattern_data))
        self.name = pattern_name(self.pattern_data)

    def __len__(self):
        return self.length
