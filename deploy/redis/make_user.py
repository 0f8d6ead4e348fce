"""What runs before Redis: a password that nobody chose or saw, and an ACL file that holds its hash.

    python make_user.py TEMPLATE DIRECTORY

Both stay in DIRECTORY as files for their owner alone. The password is made once; the ACL file follows its template.
"""

import hashlib
import os
import secrets
import sys
from pathlib import Path

PLACE = "PASSWORD_SHA256"


def main(template: Path, directory: Path) -> None:
    """Make what is missing."""
    os.umask(0o077)
    password = directory / "redis_password"
    if not password.exists():
        aside = password.with_suffix(".new")
        aside.write_text(secrets.token_urlsafe(32))
        aside.replace(password)
    digest = hashlib.sha256(password.read_bytes()).hexdigest()
    (directory / "users.acl").write_text(template.read_text().replace(PLACE, digest))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
