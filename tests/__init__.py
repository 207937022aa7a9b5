"""The tests; README.md says what each kind proves."""
