"""Converts text to token ids and back. User text never becomes a control token."""

from __future__ import annotations

import json
import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import takewhile
from pathlib import Path
from typing import Any, cast

from tokenizers import Encoding
from tokenizers import Tokenizer as FastTokenizer

from cato_lsp.tasks.families import CONTROL_TOKENS

_MARKER = re.compile(r"<\|[^|\s]+\|>|<｜[^｜]+｜>|\[[A-Z_]{3,}\]|</?s>|<(?:bos|eos|unk|pad|(?:start|end)_of_turn)>")
"""Spellings that only control tokens have. Added tokens for blanks or HTML tags (Gemma) are ordinary text."""

_CACHED_TEXTS = 64
_LONG_TEXT = 1000
"""Characters from which on tokenizing takes about a millisecond."""

_SAMPLE = """\
    def parse(self, source: str, *, strict: bool = True) -> list[Node]:
        nodes = [self.read(token) for token in tokenize(source)]
        if not nodes and strict:
            raise SyntaxError("nothing to parse")
        return sorted(nodes, key=lambda node: node.start)
"""


class TokenizerError(ValueError):
    """A folder's ``tokenizer.json`` is missing or cannot be read."""


class Tokenizer:
    """A model's tokenizer for prompts that mix control tokens, given by id, with untrusted text.

    :meth:`encode` never yields the id of a control token, whatever the text spells: a source file that
    holds ``<|fim_middle|>`` is encoded as those characters. Many models list their FIM tokens as ordinary
    *added* tokens, which a tokenizer recognises in any text, so the wrapper re-declares them special before
    it loads the vocabulary.

    The tokens of recent long texts are cached (an LRU of 64), because the windows around a cursor stay the same while
    the user types on a line.
    """

    def __init__(self, definition: str) -> None:
        """Load from the content of a ``tokenizer.json``.

        :raises TokenizerError: if it is no valid tokenizer.
        """
        try:
            content = cast("dict[str, Any]", json.loads(definition))
            for token in cast("list[dict[str, Any]]", content.get("added_tokens", [])):
                token["special"] = bool(token["special"]) or _is_marker(token["content"])
            self._fast = FastTokenizer.from_str(json.dumps(content))
        except Exception as error:  # the library raises bare Exception
            raise TokenizerError(f"not a valid tokenizer.json: {error}") from error
        self._fast.encode_special_tokens = True
        self._fast.no_truncation()
        self._fast.no_padding()
        added = self._fast.get_added_tokens_decoder()
        self._control = frozenset(number for number, token in added.items() if token.special) | frozenset(
            number for number in map(self._fast.token_to_id, CONTROL_TOKENS) if number is not None
        )
        self._cache: OrderedDict[tuple[str, bool], list[int]] = OrderedDict()
        self._lock = threading.Lock()
        """For the cache: prompts are built on several threads."""
        implies_blank = self._fast.encode("a", add_special_tokens=False).tokens != ["a"]
        self._lead = self._fast.encode("\n", add_special_tokens=False).ids if implies_blank else []
        self.characters_per_token = len(_SAMPLE) / len(self._fast.encode(_SAMPLE).ids)
        """Typical for code; a fixed sample, so that it is the same for every document."""
        self.token_starts = lru_cache(maxsize=8)(self._token_starts)

    @classmethod
    def from_folder(cls, folder: Path) -> Tokenizer:
        """Load ``tokenizer.json`` of a local model folder.

        :raises TokenizerError: if it is missing or broken.
        """
        path = folder / "tokenizer.json"
        try:
            return cls(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise TokenizerError(f"{path}: {error}") from error
        except TokenizerError as error:
            raise TokenizerError(f"{path}: {error}") from error

    def encode(self, text: str, *, continues: bool = True) -> list[int]:
        """Token ids of ``text``, without control tokens. The list is shared: do not change it.

        :param continues: the text continues something. SentencePiece vocabularies otherwise put a blank
            before it, which Code Llama and Codestral want before the prefix only.
        """
        key = (text, continues)
        with self._lock:
            known = self._cache.get(key)
            if known is not None:
                self._cache.move_to_end(key)
                return known
        ids = self._encode_anew(text, continues)
        with self._lock:
            self._cache[key] = ids
            if len(self._cache) > _CACHED_TEXTS:
                self._cache.popitem(last=False)
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ``ids``, taken to continue something; control tokens are left out."""
        return self._fast.decode([*self._lead, *ids], skip_special_tokens=True)[bool(self._lead) :]

    def token_id(self, token: str) -> int | None:
        """Id of a token by its exact spelling, ``None`` if the vocabulary lacks it."""
        return self._fast.token_to_id(token) if token else None

    def encode_template(self, text: str, *, begins: bool = True) -> list[int]:
        """Token ids of text that is part of a prompt format: control tokens are recognised in it.

        :param begins: the text is at the start of the prompt.
        """
        ids: list[int] = []
        for piece in self._control_pattern.split(text) if self._control_pattern else [text]:
            number = self.token_id(piece)
            if number is not None and number in self._control:
                ids.append(number)
            else:
                ids += self.encode(piece, continues=not begins or bool(ids))
        return ids

    @cached_property
    def begin_ids(self) -> list[int]:
        """The control tokens that the tokenizer's own post-processor puts before every text."""
        ids = self._fast.encode("a", add_special_tokens=True).ids
        return list(takewhile(self._control.__contains__, ids))

    @cached_property
    def _control_pattern(self) -> re.Pattern[str] | None:
        spellings = [name for number in self._control if (name := self._fast.id_to_token(number))]
        spellings.sort(key=len, reverse=True)
        return re.compile("(" + "|".join(map(re.escape, spellings)) + ")") if spellings else None

    def last_piece(self, text: str) -> int:
        """Where the last piece of ``text`` begins: no token reaches across the border of two pieces.

        The length of ``text`` for a tokenizer that does not divide texts.
        """
        divide = self._fast.pre_tokenizer
        pieces = cast("list[tuple[str, tuple[int, int]]]", divide.pre_tokenize_str(text) if divide else [])
        return pieces[-1][1][0] if pieces else len(text)

    def token_texts(self) -> dict[int, str]:
        """The text of every token that stands for whole characters; control tokens are left out."""
        ids = [number for number in range(self._fast.get_vocab_size()) if number not in self._control]
        texts = self._fast.decode_batch([[*self._lead, number] for number in ids])
        shown = {number: text[bool(self._lead) :] for number, text in zip(ids, texts, strict=True)}
        return {number: text for number, text in shown.items() if text and "\ufffd" not in text}

    @property
    def vocabulary(self) -> frozenset[str]:
        """Every token, added tokens included."""
        return frozenset(self._fast.get_vocab(with_added_tokens=True))

    @property
    def control_ids(self) -> frozenset[int]:
        """Ids that :meth:`encode` never yields."""
        return self._control

    def _token_starts(self, text: str) -> list[int]:
        """For each token of ``text``, the offset of its first character: where a text may be cut to a token
        budget.
        """
        return [start for start, _ in self._encoding(text).offsets]

    def _encoding(self, text: str) -> Encoding:
        """What the library makes of a text. It holds Python's global lock meanwhile, but not for a batch."""
        if len(text) > _LONG_TEXT:
            return self._fast.encode_batch([text], add_special_tokens=False)[0]
        return self._fast.encode(text, add_special_tokens=False)

    def _encode_anew(self, text: str, continues: bool) -> list[int]:
        if not text:
            return []
        ids = self._encoding(text).ids
        if continues and self._lead:
            # A line feed is a byte token in these vocabularies and merges with nothing that follows it.
            led = self._encoding("\n" + text).ids
            if led[: len(self._lead)] == self._lead:
                ids = led[len(self._lead) :]
        if self._control.isdisjoint(ids):
            return ids
        return [number for number in ids if number not in self._control]


def _is_marker(token: str) -> bool:
    return token in CONTROL_TOKENS or _MARKER.fullmatch(token) is not None
