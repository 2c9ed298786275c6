"""A caller's trace goes out as it came in; nonsense does not."""

import pytest

from canteen.core import trace

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_trace_is_passed_on_with_its_state_and_without_baggage() -> None:
    here = trace.incoming({"traceparent": PARENT, "tracestate": "a=b", "baggage": "user=me"})

    trace.enter(here)

    assert here.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert trace.outgoing() == {"traceparent": PARENT, "tracestate": "a=b"}


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "00-1-2-01",
        "ff" + PARENT[2:],
        PARENT.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32),
    ],
)
def test_nonsense_is_no_trace(parent: str) -> None:
    assert trace.incoming({"traceparent": parent}) == trace.Trace()


def test_a_state_that_cannot_be_sent_on_is_left_out() -> None:
    here = trace.incoming({"traceparent": PARENT, "tracestate": "a=ü"})

    assert here.headers == {"traceparent": PARENT}
