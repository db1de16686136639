# SPDX-License-Identifier: MIT
"""A plugin of pytest for the blocks of the documentation: each runs as a program of its own."""


def pytest_markdown_docs_globals() -> dict[str, str]:
    return {"__name__": "__main__"}
