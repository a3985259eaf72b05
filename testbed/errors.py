"""What the testbed says when something outside of it is missing or wrong.

TestbedError
├── FetchError        a download or its unpacking did not work
├── JavaMissingError  no Java that the wanted server runs on
└── StartError        a server did not become ready
"""

from __future__ import annotations


class TestbedError(Exception):
    """A sentence for the person at the keyboard: what is missing and how to mend it."""

    __test__ = False  # pytest would take the class for a test because of its name


class FetchError(TestbedError):
    """A server could not be downloaded or unpacked."""


class JavaMissingError(TestbedError):
    """No Java of a permitted major version was found."""


class StartError(TestbedError):
    """A server ended, or was not ready in time; the message ends with the tail of its log."""
