"""A whole network of real programs on free loopback ports, to be killed, hung and brought back.

`processes` runs one program, `network` a whole network of them, `asking` waits for conditions.
"""
