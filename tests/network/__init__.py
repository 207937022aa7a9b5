"""The one harness of real programs on free loopback ports, to be killed, hung and brought back.

`processes` runs one program, `network` a whole network, `supervised` one under supervisord;
`waiting` waits, `tap` and `pairs` talk Kafka, `checker` judges.
"""
