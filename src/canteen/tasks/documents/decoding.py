"""Bytes to text: UTF-8 as a rule, what a mark or the sender says, else a guess."""

import codecs
import re

from canteen.core.errors import InvalidRequest

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What files begin with that are no text, and what to call them.
BINARY = (
    (b"PK\x03\x04", "a ZIP archive or an Office document"),
    (b"\xd0\xcf\x11\xe0", "an old Office document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"GIF8", "an image"),
    (b"\x7fELF", "a program"),
)
# Enough to know an encoding by; a guess over megabytes takes seconds.
GUESSED_BYTES = 64 << 10
MOST_CONTROLS = 0.02
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def decoded(data: bytes, param: str, charset: str | None = None) -> str:
    """The text of `data`; raises InvalidRequest where it is none.

    `charset` is what its sender says it is, and is believed where the bytes are not UTF-8.
    """
    for start, name in BINARY:
        if data.startswith(start):
            raise _binary(name, param)
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return _strict(data, encoding, param)
    if b"\0" in data:
        raise _binary("a binary file", param)
    try:
        return _plausible(data.decode(), param)
    except UnicodeDecodeError:
        _no_half_pairs(data, param)
    return _plausible(_strict(data, charset or _guess(data, param), param), param)


def _strict(data: bytes, encoding: str, param: str) -> str:
    try:
        return data.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        raise InvalidRequest(
            f"the bytes are not {encoding.removesuffix('-sig')} text; send it as UTF-8", param=param
        ) from None


def _no_half_pairs(data: bytes, param: str) -> None:
    try:
        data.decode(errors="surrogatepass")
    except UnicodeDecodeError:
        return
    raise InvalidRequest(
        "the text has half of a surrogate pair, which is no character; send it as UTF-8",
        param=param,
    )


def _guess(data: bytes, param: str) -> str:
    from charset_normalizer import from_bytes

    end = data.rfind(b"\n", 0, GUESSED_BYTES) + 1 if len(data) > GUESSED_BYTES else len(data)
    best = from_bytes(data[: end or GUESSED_BYTES]).best()
    if best is None:
        raise _binary("a binary file, or text in an unknown encoding", param)
    return best.encoding


def _plausible(text: str, param: str) -> str:
    """Text, unless too many characters of it are no writing."""
    if len(_CONTROL.findall(text)) > MOST_CONTROLS * len(text):
        raise _binary("a binary file", param)
    return text


def _binary(what: str, param: str) -> InvalidRequest:
    return InvalidRequest(
        f"this is {what}; send text (UTF-8), Markdown, HTML, PDF or JSONL", param=param
    )
