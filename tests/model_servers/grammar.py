"""Reads a JSON list of `{"schema", "accepted", "refused"}` from standard input. Writes a JSON list of the
texts on which llguidance, the grammar engine of several model servers, disagrees.

Used by the tests of `real_model_servers`; needs the package `llguidance`.
"""

import json
import sys

from llguidance import LLMatcher, LLTokenizer
from llguidance import TokenizerWrapper

END = 256


class Bytes:
    """A tokenizer with one token for each byte, and one for the end of the answer."""

    eos_token_id = END
    bos_token_id = None
    tokens = [bytes([byte]) for byte in range(256)] + [b"<end>"]
    special_token_ids = [END]

    def __call__(self, text):
        return list(text.encode() if isinstance(text, str) else text)


def accepts(tokenizer, schema, text):
    grammar = LLMatcher.grammar_from_json_schema(json.dumps(schema))
    matcher = LLMatcher(tokenizer, grammar)
    if matcher.is_error():
        raise ValueError(matcher.get_error())
    tokens = list(text.encode())
    return matcher.validate_tokens(tokens) == len(tokens) and matcher.consume_tokens(tokens) and matcher.is_accepting()


def main():
    tokenizer = LLTokenizer(TokenizerWrapper(Bytes()))
    wrong = []
    for case in json.load(sys.stdin):
        for expected in ["accepted", "refused"]:
            for text in case[expected]:
                if accepts(tokenizer, case["schema"], text) != (expected == "accepted"):
                    wrong.append({"not": expected, "text": text})
    json.dump(wrong, sys.stdout)


main()
