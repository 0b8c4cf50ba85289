"""Interview practice: questions as data, answers scored by a rubric, a mock interview and its written report. No cluster and no network is needed."""
