"""What is computed where, when, and in which memory."""
