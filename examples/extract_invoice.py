"""Read an invoice; where the reading is unsure, a person corrects it and the run goes on with what they wrote.

    python examples/extract_invoice.py          opens the inbox and waits for you
    python examples/extract_invoice.py --auto   plays the reviewer too

The precise reader wants a clean document. This one was scanned: it fails, and a reader that forgives look-alike
letters takes over. That one says how sure it is, and here it is not sure enough.
"""

from __future__ import annotations

import asyncio
import re
import sys
from decimal import Decimal

import uvicorn
from pydantic import BaseModel

from agentflow import AgentFlow, Client, Evidence, Rejected, Retry, RunFailed, fallback, step, task, wait_for_approval
from approvals_ui import create_app

SCANNED = """\
ACME Stationery Ltd                       Invoice INV-4721
Paper A4, 40 boxes                                  960.00
Toner, black, 4 pieces                              240.00
Tota1                                             l,2O0.0O
"""
ENOUGH = 0.8


class Invoice(BaseModel):
    """What is read from a document, and how sure the reader is of it."""

    number: str
    vendor: str
    total: Decimal
    confidence: float


@step
async def read_precisely(document: str) -> Invoice:
    """Reads clean documents only, and then surely."""
    number = re.search(r"Invoice (INV-\d+)", document)
    total = re.search(r"^Total +([\d,]+\.\d\d)$", document, re.MULTILINE)
    if number is None or total is None:
        raise ValueError("the document has no line “Total” with an amount")
    return Invoice(
        number=number[1],
        vendor=document.partition("  ")[0],
        total=Decimal(total[1].replace(",", "")),
        confidence=0.99,
    )


@step
async def read_forgivingly(document: str) -> Invoice:
    """Reads what a scanner made of it, digits that look like letters included; sure in proportion to what was clean."""
    number = re.search(r"Invoice (INV-\w+)", document)
    total = re.search(r"^T[o0]ta[l1I] +(\S+)$", document, re.MULTILINE)
    if number is None or total is None:
        raise ValueError("the document has nothing that looks like a total")
    clean = re.sub(r"[^\d.,]", "", total[1])
    amount = total[1].translate(str.maketrans("OolI", "0011")).replace(",", "")
    return Invoice(
        number=number[1],
        vendor=document.partition("  ")[0],
        total=Decimal(amount),
        confidence=round(len(clean) / len(total[1]), 2),
    )


@step
async def book(invoice: Invoice) -> str:
    """Stands for the accounting system: the effect that must not happen twice, or with a wrong amount."""
    return f"booked {invoice.number} from {invoice.vendor}: {invoice.total}"


@task(retry=Retry(max_attempts=3, factor=2, min_delay="1s", max_delay="60s"))
async def extract_invoice(document: str) -> str:
    """The booked invoice, checked by a person where the reading is unsure."""
    draft = await fallback(read_precisely, read_forgivingly)(document)  # each hop is a checkpoint
    if draft.confidence < ENOUGH:
        decision = await wait_for_approval(
            draft,
            title=f"Invoice {draft.number}",
            summary=f"{draft.vendor}, {draft.total}",
            reason="low_confidence",
            timeout="24h",
            confidence=draft.confidence,
            field_confidence={"/total": draft.confidence},
            evidence={"/total": Evidence(document="scan", page=1, quote=document.splitlines()[-1])},
        )
        if not decision.approved:
            raise Rejected(decision.comment)
        draft = decision.data  # an Invoice again: validated, possibly corrected by a person
    return await book(draft)


async def play_the_reviewer(client: Client, run_id: str) -> None:
    """Answer the run's approval as a person would in the inbox: put the vendor's full name, approve the rest."""
    async for _ in client.changes():
        for approval in (await client.approvals(run_id=run_id)).items:
            print(f"asked: {approval.title} ({approval.summary}), confidence {approval.confidence}")
            final = {"number": "INV-4721", "vendor": "ACME Stationery Limited", "total": "1200.00", "confidence": 1.0}
            receipt = await client.decide(approval.id, "correct", by="the example", data=final)
            print(f"decided: {receipt.outcome}")
            return


async def main(*, auto: bool) -> None:
    """Start the run; let the example or you decide; print what was booked."""
    async with AgentFlow(extract_invoice, database="sqlite:///agentflow.db") as flow:
        run = await extract_invoice.trigger(SCANNED)
        if auto:
            await play_the_reviewer(flow.client, run.id)
            print(await run)
            return
        pages = uvicorn.Server(uvicorn.Config(create_app(flow.client, dev=True), port=8321, log_level="warning"))
        serving = asyncio.create_task(pages.serve())
        print("Decide at http://127.0.0.1:8321/inbox")
        try:
            print(await run)
        except RunFailed as error:
            print(error)  # rejected
        pages.should_exit = True
        await serving


if __name__ == "__main__":
    asyncio.run(main(auto="--auto" in sys.argv))
