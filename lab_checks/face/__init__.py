"""Where learners and instructors meet the course: the command, the notebook, the assistant, the class."""
