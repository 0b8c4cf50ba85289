"""Lab 15-many-pods: trainings on several Pods: how they meet, who waits for whom, queues, checkpoints, failures, and an operator."""
