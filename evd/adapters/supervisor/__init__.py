"""The programs that keep processes alive: supervisord, and systemd's notify socket."""
