"""What a set of samples is: made by what, how good, how close to its training images."""
