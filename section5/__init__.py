"""Section 5: the buying price of a car from the other columns of the Car Evaluation data, with honest probabilities."""
