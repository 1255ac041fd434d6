"""A licence review of the Python distributions installed here, written as anybody would write tasks with agentflow.

`licence_review` starts one `review_distribution` run for each distribution, waits for them all and writes the report.
What cannot be told with confidence, or is outside the allowed list, waits for a person. `agentflow demo` runs it.
"""

from agentflow.demo.review import licence_review, review_distribution

__all__ = ["licence_review", "review_distribution"]
