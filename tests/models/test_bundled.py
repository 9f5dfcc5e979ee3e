"""The model in the package."""

from cato_lsp.engine.model_folder import inspect_model_folder
from cato_lsp.models.local import BUNDLED
from cato_lsp.tasks.families import CATO
from cato_lsp.tasks.model_format import read_model_format


def test_the_bundled_folder_stays_below_30_mb() -> None:
    assert sum(file.stat().st_size for file in BUNDLED.iterdir()) < 30_000_000


def test_the_bundled_model_is_whole_and_holds_the_longest_prompt() -> None:
    assert inspect_model_folder(BUNDLED).context_length >= 2048


def test_the_bundled_model_is_of_our_own_family_and_stops_at_its_end_token() -> None:
    form = read_model_format(BUNDLED)
    assert form.family is CATO
    assert form.eos_token_ids == (form.tokenizer.token_id("<|endoftext|>"),)
