"""The server of a page: what it serves, what it saves, and what it refuses."""

import json
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import quote_from_bytes

import pytest

from helpers.made_up_run import HOSTILE, write_images
from odc_lightning.reporting.cluster_page.server import PageServer

LABELS = {"format": "odc-labels", "version": 1, "images": {"a.jpg": "cat"}}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PageServer]:
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "index.html").write_text("the page")
    (tmp_path / "page" / "folder").mkdir()
    (tmp_path / "secret.txt").write_text("a secret")
    write_images(tmp_path / "photos", HOSTILE)

    def find(name: str) -> Path | None:
        return tmp_path / "photos" / name if name in HOSTILE else None

    with PageServer(tmp_path / "page", tmp_path / "labels.json", find, 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(
    server: PageServer, method: str, path: str, body: object = None, **headers: str
) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    text = body if isinstance(body, str | None) else json.dumps(body)
    connection.request(method, path, text, given)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def put(server: PageServer, body: object, tag: str = "", **headers: str) -> tuple[int, bytes]:
    origin = {"Origin": server.address.rstrip("/")}
    answer, content = ask(server, "PUT", "/labels.json", body, **(origin | headers), If_Match=tag)
    return answer.status, content


def test_the_page_and_nothing_beside_it(server: PageServer) -> None:
    for path in ("/", "/index.html", "/?x=1"):
        answer, content = ask(server, "GET", path)
        assert (answer.status, content) == (200, b"the page")
    for path in ("/../secret.txt", "/%2e%2e/secret.txt", "/folder/", "/nothing"):
        answer, content = ask(server, "GET", path)
        assert answer.status == 404
        assert b"secret" not in content


def test_originals_of_all_names(server: PageServer, tmp_path: Path) -> None:
    for name in HOSTILE:
        path = quote_from_bytes(name.encode("utf-8", "surrogateescape"))
        answer, content = ask(server, "GET", f"/originals/{path}")
        assert answer.status == 200, name
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert content == (tmp_path / "photos" / name).read_bytes()
    for name in ("../labels.json", "../secret.txt", "/etc/passwd", "none.jpg"):
        assert ask(server, "GET", f"/originals/{name}")[0].status == 404
    (tmp_path / "photos" / HOSTILE[5]).unlink()
    path = quote_from_bytes(HOSTILE[5].encode())
    assert ask(server, "GET", f"/originals/{path}")[0].status == 404


def test_labels_are_saved_and_never_over_newer_ones(server: PageServer, tmp_path: Path) -> None:
    file = tmp_path / "labels.json"
    answer, _ = ask(server, "GET", "/labels.json")
    assert (answer.status, answer.headers["ETag"]) == (204, None)
    assert put(server, LABELS)[0] == 204
    assert json.loads(file.read_text()) == LABELS
    assert put(server, LABELS)[0] == 412  # there is a file now, of which this page does not know
    answer, content = ask(server, "GET", "/labels.json")
    tag = answer.headers["ETag"]
    assert json.loads(content) == LABELS
    newer = {**LABELS, "images": {"a.jpg": "dog"}}
    assert put(server, newer, tag)[0] == 204
    assert json.loads(file.read_text()) == newer
    assert put(server, LABELS, tag)[0] == 412
    file.write_text(json.dumps(LABELS))  # somebody else did
    current = ask(server, "GET", "/labels.json")[0].headers["ETag"]
    assert current == tag
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("labels.json", "page", "photos", "secret.txt")
    ]


@pytest.mark.parametrize("body", ["{", "[]", '{"format": "odc-labels"}', 100 * "["])
def test_what_is_no_labels_file_is_not_saved(server: PageServer, tmp_path: Path, body: str) -> None:
    status, content = put(server, body)
    assert status == 422
    assert content.strip()
    assert not (tmp_path / "labels.json").exists()


def test_other_pages_cannot_ask(server: PageServer, tmp_path: Path) -> None:
    assert put(server, LABELS, Origin="http://evil.example")[0] == 403
    answer, _ = ask(server, "PUT", "/labels.json", LABELS)  # without an origin
    assert answer.status == 403
    answer, content = ask(server, "GET", "/", Host="evil.example")
    assert answer.status == 403
    assert server.address.encode() in content
    answer, _ = ask(server, "GET", "/index.html", Sec_Fetch_Site="cross-site")  # as a script
    assert answer.status == 403
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert put(server, LABELS, Content_Length=str(2**40))[0] == 413
    assert (
        ask(server, "PUT", "/index.html", LABELS, Origin=server.address.rstrip("/"))[0].status
        == 403
    )
    assert not (tmp_path / "labels.json").exists()
    assert (tmp_path / "page" / "index.html").read_text() == "the page"


def test_localhost_is_the_same_host(server: PageServer, tmp_path: Path) -> None:
    host = f"localhost:{server.server_port}"
    assert put(server, LABELS, Host=host, Origin=f"http://{host}")[0] == 204
    assert (tmp_path / "labels.json").is_file()


def test_a_port_that_is_in_use(server: PageServer, tmp_path: Path) -> None:
    for port in (server.server_port, 70_000):
        with pytest.raises(ValueError, match=f"port={port} cannot be used .*Add port=0"):
            PageServer(tmp_path, tmp_path / "labels.json", lambda name: None, port)
