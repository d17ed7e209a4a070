"""The keyword language, one for all networks: parse, print, match, compile for X.

docs/keywords.md defines it with examples that a test runs. Everything here is pure.
"""

from tweeter.keywords.accounts import accounts, network_of, tree
from tweeter.keywords.haystack import PART, haystack
from tweeter.keywords.matcher import Matcher, Seen
from tweeter.keywords.parse import parse
from tweeter.keywords.printing import canonical, print_expression
from tweeter.keywords.x_rules import NotForX, XRules, compile_for_x, pieces_of

__all__ = [
    "PART",
    "Matcher",
    "NotForX",
    "Seen",
    "XRules",
    "accounts",
    "canonical",
    "compile_for_x",
    "haystack",
    "network_of",
    "parse",
    "pieces_of",
    "print_expression",
    "tree",
]
