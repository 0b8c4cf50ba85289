"""What is judged the same way in every lab: diagnoses, evidence, answers, and guards against harmful fixes."""
