"""The requests and runs that the screenshots and the page tests show: an ordinary day of an inbox."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from agentflow.failures import Failure
from agentflow.payloads import encode
from agentflow.requests import NewLogLine
from agentflow.states import EntryKind, Verdict

if TYPE_CHECKING:
    from agentflow.records import Approval
    from tests.ui.seeding import Seeds


class Currency(StrEnum):
    EUR = "EUR"
    USD = "USD"


class Line(BaseModel):
    description: str
    quantity: int = Field(ge=1)
    unit_price: Decimal


class Invoice(BaseModel):
    number: str
    supplier: str = Field(description="As printed at the head of the document")
    issued: date
    due: date | None = None
    currency: Currency
    total: Decimal
    paid: bool = False
    notes: str = Field(default="", json_schema_extra={"x-long": True})
    lines: list[Line] = Field(default_factory=list)


INVOICE = Invoice(
    number="INV-4711",
    supplier="Müller & Söhne GmbH",
    issued=date(2026, 11, 3),
    currency=Currency.EUR,
    total=Decimal("1200.50"),
    notes="Second reminder was sent on 12 November; the discount of the framework contract is already deducted.",
    lines=[
        Line(description="Consulting, October", quantity=8, unit_price=Decimal("145.00")),
        Line(description="Travel", quantity=1, unit_price=Decimal("40.50")),
    ],
)


async def the_invoice(seeds: Seeds, **more: Any) -> Approval:
    """The request every decision page test starts from."""
    claimed = await seeds.claimed()
    await seeds.did(
        claimed, "primary.extract#1", kind=EntryKind.ATTEMPT_FAILED, output=None, error=_error(), took=81_000
    )
    await seeds.did(claimed, "primary.extract#1", kind=EntryKind.FAILED, output=None, error=_error(), attempt=2)
    await seeds.did(claimed, "ocr_then_llm#1/ocr#1", took=1_830_000, output=encode({"pages": 2, "characters": 4120}))
    await seeds.did(claimed, "ocr_then_llm#1", took=2_410_000, output=encode({"confidence": 0.62}))
    values: dict[str, Any] = {
        "title": "Invoice INV-4711 from Müller & Söhne",
        "summary": "1,200.50 EUR, due in two weeks; the total was hard to read",
        "reason": "low_confidence",
        "body": "The scan is **skewed** on page 2. I read the total as `1,200.50`, but the digits touch a stamp.\n\n"
        "- the supplier is known\n- the [purchase order](https://example.test/po/881) has the same number",
        "risk": "medium",
        "confidence": 0.62,
        "field_confidence": {"/total": 0.41, "/supplier": 0.93, "/issued": 0.78},
        "evidence": {"/total": {"document": "invoice-4711.pdf", "page": 2, "quote": "Total 1,200.50", "url": None}},
        "tags": {"vendor": "mueller", "region": "DE"},
        "timeout": timedelta(hours=3),
    }
    return await seeds.asks(INVOICE, claimed=claimed, key="review_invoice#1", **(values | more))


async def an_ordinary_day(seeds: Seeds) -> Approval:
    """A filled inbox; the invoice is what the decision page shows."""
    await seeds.finished("greet", "Hello, Mia")
    await seeds.failed(ConnectionError("the order system refused the connection (10.0.3.7:8443)"))
    await seeds.diverged("ocr#1 (step)", "extract_text#1 (step)")
    invoice = await the_invoice(seeds)
    await seeds.asks(
        {"order": "A-17", "amount": 900, "currency": "EUR", "to": "DE89 3704 0044 0532 0130 00"},
        title="Refund 900 EUR for order A-17",
        summary="The customer returned both items; above the limit of 500 EUR",
        task="support_agent",
        key="refund#1",
        risk="high",
        confidence=0.91,
        timeout=timedelta(minutes=40),
        allow=(Verdict.APPROVE, Verdict.REJECT),
    )
    await seeds.asks(
        {"expression": "MIT", "package": "left-pad", "version": "1.3.0"},
        title="Licence of left-pad 1.3.0",
        summary="Only the trove classifier names a licence",
        task="licence_review",
        key="licence#1",
        confidence=0.55,
    )
    await seeds.asks(
        {"subject": "Your contract", "body": "Dear Ms Weber,\n\nyour contract ends on 31 December.\n\nKind regards"},
        title="Mail to weber@example.test",
        task="outreach",
        key="send_mail#1",
        risk="low",
        confidence=0.88,
        timeout=timedelta(days=4),
    )
    return invoice


async def logged(seeds: Seeds, run_id: str) -> None:
    """A few log lines of a run."""
    lines = [("INFO", "reading invoice-4711.pdf", None), ("DEBUG", "2 pages", "ocr_then_llm#1/ocr#1")]
    lines += [("WARNING", "page 2 is skewed by 4°", "ocr_then_llm#1/ocr#1"), ("ERROR", "total is unsure", None)]
    kept = [
        NewLogLine(
            run_id=run_id, at=1_795_000_000_000_000 + n, level=level, logger="app", message=text, key=key, epoch=1
        )
        for n, (level, text, key) in enumerate(lines)
    ]
    await seeds.store.keep_logs(kept)


def _error() -> str:
    """A failure of the invoice reader's own code, which no machine's folders lead to."""
    reader = compile("def total(text: str) -> int:\n    return int(text)\n", "invoices/reader.py", "exec")
    names: dict[str, Any] = {}
    exec(reader, names)
    try:
        names["total"]("12,00")
    except ValueError as error:
        inner = error.__traceback__ and error.__traceback__.tb_next  # without this file
        return Failure.of(error.with_traceback(inner)).to_json()
    raise AssertionError("unreachable")
