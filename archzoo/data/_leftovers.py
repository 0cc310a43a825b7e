"""What operating systems, editors and storage leave in folders: no data, although some has the suffix of images."""

# Folders with thumbnails, deleted files, or the second halves of files from another system; in lower case.
FOLDERS = frozenset(
    {
        "__macosx",  # macOS, in archives
        "$recycle.bin",  # Windows
        "system volume information",
        "recycler",
        "found.000",
        "lost+found",  # Linux
        "@eadir",  # Synology: thumbnails of every picture
        "@tmp",
        "#recycle",
        "#snapshot",
        "@recycle",  # QNAP
        "~snapshot",  # NetApp
        "_vti_cnf",  # FrontPage
        "__pycache__",
        "network trash folder",
        "temporary items",
    }
)
FILES = frozenset({"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "picasa.ini", "icon\r"})


def is_leftover_folder(name: str) -> bool:
    """Whether a folder of this name holds no data: hidden ones, such as .ipynb_checkpoints, and those of FOLDERS."""
    return name.startswith(".") or name.lower() in FOLDERS


def is_leftover_file(name: str) -> bool:
    """Whether a file of this name is no data: hidden ones, such as ._photo.jpg and .DS_Store, and editors' copies."""
    is_copy = name.endswith("~") or name.startswith("~$") or (name.startswith("#") and name.endswith("#"))
    return is_copy or name.startswith(".") or name.lower() in FILES
