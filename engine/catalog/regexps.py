"""Regular expressions of documents: see engine.regexps, which the verifications share."""

from engine.regexps import LONGEST_PATTERN, Pattern, compile_pattern

__all__ = ["LONGEST_PATTERN", "Pattern", "compile_pattern"]
