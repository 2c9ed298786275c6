"""Documents are read from bytes, or refused with a word on what was wrong."""

import json
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from canteen.core.errors import InvalidRequest
from canteen.tasks.documents import read, read_all
from canteen.tasks.documents.reading import MOST_BYTES

MARKDOWN = """---
title: "The guide"
---
Before.

# One **bold** [link](http://x)
Text of one.

## Two
```
# no heading
```
Three
=====
End.
"""
HTML = """<!doctype html><html><head><title>T &amp; U</title><style>p {}</style></head>
<body><nav>menu</nav><h1>One <b>big</b>
thing</h1><p>Some <i>wo</i>rds,   and
more.</p><script>if (a < b) {}</script><ul><li>first<li>second</ul>
<h2>Two</h2><pre>a
  b</pre><table><tr><td>c<td>d</table>last</body></html>"""


def pdf(*pages: str, password: str = "", owner: str = "") -> bytes:
    writer = PdfWriter()
    for words in pages:
        page = writer.add_blank_page(200, 200)
        font = DictionaryObject(
            {
                NameObject("/Type"): NameObject("/Font"),
                NameObject("/Subtype"): NameObject("/Type1"),
                NameObject("/BaseFont"): NameObject("/Helvetica"),
            }
        )
        fonts = DictionaryObject({NameObject("/F1"): writer._add_object(font)})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        stream = DecodedStreamObject()
        stream.set_data(f"BT /F1 12 Tf 10 100 Td ({words}) Tj ET".encode() if words else b"")
        page[NameObject("/Contents")] = writer._add_object(stream)
    writer.add_metadata({"/Title": "A file"})
    if password or owner:
        writer.encrypt(password, owner or None, algorithm="RC4-128")
    made = BytesIO()
    writer.write(made)
    return made.getvalue()


def refused(data: bytes, **said: str) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        read_all(data, param="document", **said)
    assert caught.value.param == "document"
    return caught.value


def test_plain_text_is_the_text_to_the_character() -> None:
    document = read("\ufeffZwölf\r\n\r\nBoxkämpfer\n".encode(), name="a.txt")

    assert document.text == "Zwölf\r\n\r\nBoxkämpfer\n"
    assert (document.id, document.media_type) == ("a.txt", "text/plain")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig", "cp1252", "koi8-r"])
def test_text_in_other_encodings_is_read(encoding: str) -> None:
    words = "Съешь ещё этих мягких французских булок, да выпей чаю. "
    text = (words if encoding == "koi8-r" else "Die Äpfel kosten 3 Mark für Süßmäuler. ") * 20

    assert read(text.encode(encoding)).text == text


def test_a_charset_that_is_said_is_believed() -> None:
    data = "Grüße".encode("latin-1")

    assert read(data, media_type="text/plain; charset=iso-8859-1").text == "Grüße"


def test_markdown_keeps_its_text_and_tells_its_sections() -> None:
    document = read(MARKDOWN.encode(), name="guide.md")

    assert document.text == MARKDOWN
    assert document.title == "The guide"
    assert [one.headings for one in document.sections] == [
        (),
        ("One bold link",),
        ("One bold link", "Two"),
        ("Three",),
    ]
    assert document.text[document.sections[2].start :].startswith("## Two")


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_sections_begin_where_their_headings_do_whatever_ends_a_line(newline: str) -> None:
    document = read(MARKDOWN.replace("\n", newline).encode(), media_type="text/markdown")

    starts = [document.text[one.start :][:4] for one in document.sections[1:]]
    assert starts == ["# On", "## T", "Thre"]


def test_html_becomes_what_a_reader_sees() -> None:
    document = read(HTML.encode())

    assert document.text == (
        "One big thing\n\nSome words, and more.\n\nfirst\nsecond\n\nTwo\n\na\n  b\n\nc\td\n\nlast"
    )
    assert document.title == "T & U"
    sections = [(document.text[one.start :][:3], one.headings) for one in document.sections]
    assert sections == [("One", ("One big thing",)), ("Two", ("One big thing", "Two"))]


def test_html_says_its_encoding() -> None:
    data = "<html><meta charset='cp1251'><p>Привет".encode("cp1251")

    assert read(data).text == "Привет"


@pytest.mark.timeout(20)
@pytest.mark.parametrize("piece", ["<div>", "<a ", "<!--", "<b>x<p>", "<table>", "</", "&#"])
def test_html_made_to_be_slow_is_not(piece: str) -> None:
    assert read(("<html>word " + piece * 100_000).encode()).text.startswith("word")


def test_a_pdf_gives_its_pages() -> None:
    document = read(pdf("Hello first", "Hello second"), name="a.pdf")

    assert document.text == "Hello first\n\nHello second"
    assert document.title == "A file"
    assert [document.page(document.text.index(word)) for word in ("first", "second")] == [1, 2]


def test_a_pdf_locked_against_changes_only_is_read() -> None:
    assert read(pdf("Hello", owner="secret")).text == "Hello"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (pdf("Hello", password="secret"), "encrypted"),
        (pdf("", ""), "OCR"),
        (pdf("Hello")[:300], "broken"),
        (b"%PDF-1.7 nothing", "broken"),
        (b"", "empty"),
        (b" \n\t", "empty"),
        (b"\x89PNG\r\n\x1a\n1234", "an image"),
        (b"PK\x03\x04rest of it", "Office"),
        (b"text\0with\0nothing", "binary"),
        (bytes(range(1, 32)) * 30, "binary"),
        (b"a \xed\xa0\x80 b", "surrogate"),
        (b"\xff\xfe\x00\xd8a\x00", "utf-16"),
        (b"x" * (MOST_BYTES + 1), "bytes"),
        (b"<html><script>only()</script></html>", "empty"),
    ],
)
def test_what_has_no_text_is_refused_with_the_reason(data: bytes, said: str) -> None:
    assert said in refused(data).message


def test_an_unknown_media_type_is_refused_with_the_known_ones() -> None:
    assert "application/pdf" in refused(b"x", media_type="image/png").message


@given(at=st.integers(0, 700), value=st.binary(min_size=1, max_size=9))
def test_a_damaged_pdf_is_read_or_refused(at: int, value: bytes) -> None:
    data = pdf("Hello first", "Hello second")
    at = min(at, len(data))
    damaged = data[:at] + value + data[at + len(value) :]

    try:
        documents = read_all(damaged, media_type="application/pdf")
    except InvalidRequest:
        return

    assert documents[0].text


def test_jsonl_is_a_document_a_line_with_metadata() -> None:
    lines = [
        {"id": 7, "text": "One\u2028line", "title": "A", "metadata": {"year": 1999}, "lang": "en"},
        {"text": "Two"},
    ]
    data = "\n\n".join(json.dumps(one, ensure_ascii=False) for one in lines).encode()

    first, second = read_all(data, name="many.jsonl")

    assert (first.id, first.title, first.text) == ("7", "A", "One\u2028line")
    assert first.metadata == {"lang": "en", "year": 1999}
    assert second.id == second.digest


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2: this is not JSON"),
        ("[1]", "line 2: this is not a JSON object"),
        ('{"title": "x"}', "'text'"),
        ('{"text": "x", "metadata": 3}', "'metadata'"),
        ('{"text": "\\ud800"}', "surrogate"),
        ('{"text": "x", "a": {"b": "\\ud800"}}', "surrogate"),
        ('{"text": "x", "a": NaN}', "line 2: this is not JSON"),
        ('{"text": " "}', "empty"),
        ('{"text": "x", "id": "1"}', "1 documents have the id"),
        ("[" * 100_000, "line 2: this is not JSON"),
    ],
)
def test_a_bad_line_of_jsonl_is_refused_with_its_number(line: str, said: str) -> None:
    data = '{"text": "fine", "id": "1"}\n' + line

    assert said in refused(data.encode(), media_type="application/x-ndjson").message


def test_one_document_is_wanted_of_several_lines() -> None:
    with pytest.raises(InvalidRequest, match="2 documents"):
        read(b'{"text": "a"}\n{"text": "b"}', name="a.jsonl")


@given(st.text(min_size=1))
def test_sections_of_markdown_are_the_text(text: str) -> None:
    try:
        document = read(text.encode(), name="a.md")
    except InvalidRequest:
        return

    joined = "".join(document.text[one.start : one.end] for one in document.sections)
    assert joined == document.text


@given(st.text(min_size=1))
def test_plain_text_is_never_changed(text: str) -> None:
    try:
        document = read(text.encode(), media_type="text/plain")
    except InvalidRequest:
        return

    assert document.text == text.removeprefix("\ufeff")


def test_a_digest_tells_what_changed() -> None:
    one, same, other = (
        read_all(json.dumps({"id": "a", "text": text, "n": n}).encode(), name="a.jsonl")[0].digest
        for text, n in (("x", 1), ("x", 1), ("x", 2))
    )

    assert one == same != other
