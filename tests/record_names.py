"""Write down the state-dict names of every network, which are public: run it when one was added, and read the diff."""

import json
from pathlib import Path

import archzoo
from tests.test_models import templates

if __name__ == "__main__":
    names = {name: templates(archzoo.build(name, device="meta")) for name in archzoo.names()}
    Path(__file__).with_name("state_dict_names.json").write_text(json.dumps(names, indent=0) + "\n")
