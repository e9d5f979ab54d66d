"""A dict with an attribute."""


class Prediction(dict):
    def __init__(self, document, item):
        super().__init__(item, sequence=document["pattern_data"], pattern_data=document["pattern_data"])
        self.present = self["present"]
