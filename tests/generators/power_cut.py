"""A power cut in the middle of a training."""


class Power:
    """A data set whose power fails after some images."""

    def __init__(self, dataset, left):
        self.dataset, self.left = dataset, left

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, row):
        self.left -= 1
        if self.left < 0:
            raise OSError("power cut")
        return self.dataset[row]
