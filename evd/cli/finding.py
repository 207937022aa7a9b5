"""The findings of `evd doctor`."""

import attrs


@attrs.frozen
class Finding:
    """Something that is not as it should be, and its remedy: sentences for a person."""

    what: str
    remedy: str
