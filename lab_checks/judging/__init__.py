"""What is judged the same way in every lab: diagnoses, evidence, answers, guards against harmful fixes, and everything that must stay as it was."""

from lab_checks.judging import unchanged as unchanged
