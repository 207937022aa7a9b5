"""The words between programs: messages, frames, and the forms of their fields."""
