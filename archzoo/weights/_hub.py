"""Networks on the Hugging Face Hub: a safetensors file that describes its network, and a card (the extra "hub")."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import nn

from archzoo.errors import MissingDependency, WeightsError
from archzoo.escaping import markdown, markdown_link
from archzoo.layers import Net
from archzoo.registry import find
from archzoo.weights._building import load
from archzoo.weights._saving import save

FILE = "model.safetensors"


def push(net: nn.Module, repository: str, name: str, *, private: bool = False, **options: Any) -> str:
    """Upload a network to the Hub as "owner/name", and return the URL of the commit.

    ``name`` and ``options`` are those that build the network. Raises MissingDependency without huggingface_hub, and
    WeightsError if they do not build it or the upload fails.
    """
    hub = _hub()
    with TemporaryDirectory() as folder:
        save(net, Path(folder) / FILE, name, **options)
        (Path(folder) / "README.md").write_text(_card(repository, name), encoding="utf-8")
        try:
            hub.create_repo(repository, private=private, exist_ok=True)
            return str(hub.upload_folder(repo_id=repository, folder_path=folder, commit_message=f"archzoo {name}"))
        except (hub.errors.HfHubHTTPError, hub.errors.HFValidationError, OSError) as error:
            raise WeightsError(f"could not push to {repository}: {_first_line(error)}") from error


def from_hub(repository: str, revision: str | None = None) -> Net:
    """Download and rebuild a network that ``push`` uploaded.

    Raises MissingDependency without huggingface_hub, and WeightsError if the download fails or the file describes no
    network.
    """
    hub = _hub()
    try:
        path = hub.hf_hub_download(repository, FILE, revision=revision)
    except (
        hub.errors.HfHubHTTPError,
        hub.errors.HFValidationError,
        hub.errors.LocalEntryNotFoundError,
        OSError,
    ) as error:
        raise WeightsError(f"could not download {FILE} from {repository}: {_first_line(error)}") from error
    return load(path)


def _card(repository: str, name: str) -> str:
    paper = find(name).paper
    return (
        f"---\nlibrary_name: archzoo\ntags: [image-classification]\n---\n\n# {name}\n\n"
        f"{markdown_link(paper.title, paper.link)}, {markdown(f'{paper.authors}, {paper.year}')}.\n\n"
        f"```python\nfrom archzoo.weights import from_hub\n\nnet = from_hub({repository!r})\n```\n"
    )


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _hub() -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError as error:
        raise MissingDependency("huggingface_hub is not installed: pip install 'archzoo[hub]'") from error
    return huggingface_hub
