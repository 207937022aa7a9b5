"""Bytes of chance and of purpose at each way into evd."""
