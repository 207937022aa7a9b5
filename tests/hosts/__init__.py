"""The network on real hosts: five of Debian on this machine, each with systemd as its process 1."""
