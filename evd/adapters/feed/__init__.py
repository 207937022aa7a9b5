"""The status feed over WebSocket: `server` lets clients in, `publisher` tells them what changed."""
