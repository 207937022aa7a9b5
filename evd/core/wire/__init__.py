"""What is said between programs: messages, frames, and the forms of their fields."""
