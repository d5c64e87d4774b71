"""What is wrong or odd in a cohort, found before anything is trained on it."""
