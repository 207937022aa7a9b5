"""The servers that a client believes by TLS, and why it does not believe one.

It knows no Trio: the operator's tool loads it at each start.
"""

import ssl
from pathlib import Path

Context = ssl.SSLContext
TlsFailed = ssl.SSLError


def client_context(tls_ca: Path | None = None, certificate: Path | None = None) -> Context:
    """TLS of a client who believes those in `tls_ca`, the system's own without it.

    `certificate` is the file of a server of this host: it alone is believed, whatever name it has.
    Raises OSError for a file that can't be used.
    """
    named = certificate or tls_ca
    try:
        context = ssl.create_default_context(cafile=named)
    except TlsFailed:
        raise OSError(f"{named} has no certificate that can be read") from None
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(named)) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is not None:
        context.check_hostname = False
        # The certificate itself is believed, also where another one vouches for it.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def why_not_trusted(error: TlsFailed) -> str:
    """The reason of a failure, for a person."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not believed: {error.verify_message}"
    return f"it does not speak TLS as it should: {error.reason or error}"
