"""Lab 12-incident: drills, the message to the users, the post-mortem, and an assistant that reads along."""
