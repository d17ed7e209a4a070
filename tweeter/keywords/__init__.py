"""The keyword language, one for all networks: parse, print, match, compile for X.

docs/keywords.md defines it with examples that a test runs. Everything here is pure.
"""

from tweeter.keywords.haystack import PART, haystack, haystack_of
from tweeter.keywords.matcher import Matcher
from tweeter.keywords.parse import parse, print_expression
from tweeter.keywords.x_rules import NotForX, XRules, compile_for_x

__all__ = [
    "PART",
    "Matcher",
    "NotForX",
    "XRules",
    "compile_for_x",
    "haystack",
    "haystack_of",
    "parse",
    "print_expression",
]
