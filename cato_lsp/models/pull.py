"""Downloads a model, where a hub can be reached."""

from __future__ import annotations

from pathlib import Path

from cato_lsp.engine.api import EngineError
from cato_lsp.engine.model_folder import inspect_model_folder

_NEEDED = ["*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json", "tokenizer*.json"]


class PullError(Exception):
    """The model could not be downloaded; the message says why and what can be done."""


def pull(name: str) -> Path:
    """Download the files that vLLM needs of a Hugging Face model into the cache, with progress bars on stderr.

    Raises:
        PullError: the hub cannot be reached, or has no such model, or access to it is restricted, or vLLM could not
            load what came.
    """
    from huggingface_hub import constants, snapshot_download  # pyright: ignore[reportUnknownVariableType]
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    try:
        path = Path(snapshot_download(name, allow_patterns=_NEEDED))
        inspect_model_folder(path)
    except HFValidationError as error:
        raise PullError(f"{name!r} is not a model name; they look like Qwen/Qwen2.5-Coder-1.5B.") from error
    except GatedRepoError as error:
        raise PullError(f"{name} asks for consent on its page first; then log in with `hf auth login`.") from error
    except RepositoryNotFoundError as error:
        raise PullError(f"The hub has no model {name}, or only for those who are logged in.") from error
    except LocalEntryNotFoundError as error:
        why = (
            "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else f"{constants.ENDPOINT} cannot be reached from here"
        )
        raise PullError(
            f"{name} was not downloaded: {why}. Copy the model's folder to this machine by other means and set `model` "
            "to its path, or set HF_ENDPOINT to a mirror."
        ) from error
    except EngineError as error:
        raise PullError(f"{name} cannot be used: {error} {error.remedy}") from error
    except Exception as error:  # a full disk, a connection that breaks: each client library has its own
        raise PullError(f"{name} was not downloaded: {error}. Run the command again to continue.") from error
    return path
