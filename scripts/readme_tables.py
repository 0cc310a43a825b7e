"""Write the README's tables anew, from the registry and the audit.

python scripts/readme_tables.py [README.md]
"""

import sys
from pathlib import Path

from archzoo.report.readme import fill

if __name__ == "__main__":
    readme = Path(sys.argv[1] if len(sys.argv) > 1 else "README.md")
    readme.write_text(fill(readme.read_text(encoding="utf-8")), encoding="utf-8")
