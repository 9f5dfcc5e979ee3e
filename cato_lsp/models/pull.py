"""Downloads a model, where a hub can be reached."""

from __future__ import annotations

from pathlib import Path

_NEEDED = ["*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json", "tokenizer*.json"]


class PullError(Exception):
    """The model could not be downloaded; the message says why and what can be done."""


def pull(name: str) -> Path:
    """Download the files that vLLM needs of a Hugging Face model into the cache, with progress bars on stderr.

    Raises:
        PullError: the hub cannot be reached, or has no such model, or access to it is restricted.
    """
    from huggingface_hub import snapshot_download  # pyright: ignore[reportUnknownVariableType]
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    try:
        return Path(snapshot_download(name, allow_patterns=_NEEDED))
    except HFValidationError as error:
        raise PullError(f"{name!r} is not a model name; they look like Qwen/Qwen2.5-Coder-1.5B.") from error
    except GatedRepoError as error:
        raise PullError(f"{name} asks for consent on its page first; then log in with `hf auth login`.") from error
    except RepositoryNotFoundError as error:
        raise PullError(f"The hub has no model {name}, or only for those who are logged in.") from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise PullError(
            f"{name} could not be downloaded: no hub can be reached from here. Copy the model's folder to this "
            "machine by other means and set `model` to its path, or set HF_ENDPOINT to a mirror."
        ) from error
