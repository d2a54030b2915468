import gzip
import hashlib
import http.server
import os
import socket
import struct
import threading
import time

import pooch
import pytest

from minidiffusion import data
from minidiffusion.data import downloads


def idx(shape, content):
    return gzip.compress(struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + content)


FILES = {
    "train-images-idx3-ubyte.gz": idx((2, 1, 3), b"abcdef"),
    "train-labels-idx1-ubyte.gz": idx((2,), b"\7\1"),
}
IMAGES = "train-images-idx3-ubyte.gz"


class Server(http.server.ThreadingHTTPServer):
    """Serves what is in `content`, by path, and remembers in `asked` what was asked for."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content: dict[str, bytes] = {}
        self.cut: set[str] = set()
        self.asked: list[str] = []
        self.address = f"http://127.0.0.1:{self.server_port}/"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        content = self.server.content.get(self.path)
        if content is None:
            return self.send_error(404)
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:-5] if self.path in self.server.cut else content)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def closed():
    """An address on which nobody answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("MINIDIFFUSION_DATA", raising=False)
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    return tmp_path / "cache" / "minidiffusion" / "mnist"


@pytest.fixture
def mirrors(monkeypatch):
    def mirrors(*addresses):
        sums = {file: hashlib.sha256(content).hexdigest() for file, content in FILES.items()}
        monkeypatch.setitem(downloads.SOURCES, "mnist", downloads.Source(addresses, sums))

    return mirrors


def kept(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def test_the_first_good_mirror_is_used_and_its_file_kept(server, mirrors, cache):
    mirrors(server.address + "a/", server.address + "b/")
    server.content = {f"/a/{IMAGES}": FILES[IMAGES], f"/b/{IMAGES}": FILES[IMAGES]}
    for _ in range(2):
        path = downloads.fetch("mnist", IMAGES)
        assert path == cache / IMAGES
        assert kept(cache) == {IMAGES: FILES[IMAGES]}
    assert server.asked == [f"/a/{IMAGES}"]  # the second time from the cache


def test_mirrors_are_tried_in_turn(server, closed, mirrors, cache):
    mirrors(closed, server.address + "a/", server.address + "b/")
    server.content = {f"/b/{IMAGES}": FILES[IMAGES]}
    assert downloads.fetch("mnist", IMAGES).read_bytes() == FILES[IMAGES]
    assert server.asked == [f"/a/{IMAGES}", f"/b/{IMAGES}"]


@pytest.mark.parametrize("bad", ["altered", "cut short"])
def test_a_wrong_file_from_a_mirror_is_refused_and_not_kept(server, mirrors, cache, bad):
    mirrors(server.address + "a/", server.address + "b/")
    server.content = {f"/a/{IMAGES}": FILES[IMAGES]}
    if bad == "altered":
        server.content[f"/a/{IMAGES}"] = FILES[IMAGES][:-1] + b"?"
    else:
        server.cut = {f"/a/{IMAGES}"}
    with pytest.raises(ConnectionError, match="/a/"):
        downloads.fetch("mnist", IMAGES)
    assert kept(cache) == {}

    server.content[f"/b/{IMAGES}"] = FILES[IMAGES]
    assert downloads.fetch("mnist", IMAGES).read_bytes() == FILES[IMAGES]
    assert kept(cache) == {IMAGES: FILES[IMAGES]}


def test_a_damaged_file_in_the_cache_is_fetched_again(server, mirrors, cache, closed):
    cache.mkdir(parents=True)
    (cache / IMAGES).write_bytes(b"damaged")
    mirrors(closed)
    with pytest.raises(ConnectionError):
        downloads.fetch("mnist", IMAGES)
    mirrors(server.address)
    server.content = {f"/{IMAGES}": FILES[IMAGES]}
    assert downloads.fetch("mnist", IMAGES).read_bytes() == FILES[IMAGES]


@pytest.mark.parametrize("name", ["fashion_mnist", "mnist", "cifar10"])
def test_offline_is_one_error_that_says_what_to_do(name, closed, monkeypatch, tmp_path):
    files = downloads.SOURCES[name].files
    monkeypatch.setitem(downloads.SOURCES, name, downloads.Source((closed + "a/", closed + "b/"), files))
    with pytest.raises(ConnectionError) as error:
        data.load(name)
    message = str(error.value)
    first = next(iter(files))
    for word in (name, f"{closed}a/{first}", f"{closed}b/{first}", *downloads.EMBEDDED, "MINIDIFFUSION_DATA"):
        assert word in message
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_load_through_a_mirror(server, mirrors):
    mirrors(server.address)
    server.content = {f"/{file}": content for file, content in FILES.items()}
    images, labels = data.load("mnist")
    assert images.tolist() == [[[[97, 98, 99]]], [[[100, 101, 102]]]]
    assert labels.tolist() == [7, 1]


@pytest.fixture
def own(tmp_path, monkeypatch):
    folder = tmp_path / "own" / "mnist"
    folder.mkdir(parents=True)
    monkeypatch.setenv("MINIDIFFUSION_DATA", str(tmp_path / "own"))
    return folder


def test_the_folder_of_the_user_comes_first(server, mirrors, own):
    mirrors(server.address)
    server.content = {f"/{file}": content for file, content in FILES.items()}
    (own / IMAGES).write_bytes(FILES[IMAGES])
    assert downloads.fetch("mnist", IMAGES) == own / IMAGES
    assert server.asked == []
    downloads.fetch("mnist", "train-labels-idx1-ubyte.gz")  # not in the folder
    assert server.asked == ["/train-labels-idx1-ubyte.gz"]


def test_a_damaged_file_of_the_user_is_refused_and_left_alone(server, mirrors, own):
    mirrors(server.address)
    server.content = {f"/{file}": content for file, content in FILES.items()}
    altered = bytearray(FILES[IMAGES])
    altered[-9] ^= 1
    for content in (bytes(altered), FILES[IMAGES][:-1], b"", FILES[IMAGES] + b"x"):
        (own / IMAGES).write_bytes(content)
        with pytest.raises(ValueError, match=f"{IMAGES}: its sha256 is .*, want .*not used"):
            data.load("mnist")
        assert (own / IMAGES).read_bytes() == content
    assert server.asked == []


def test_a_folder_of_the_user_that_does_not_exist_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("MINIDIFFUSION_DATA", str(tmp_path / "typo"))
    with pytest.raises(ValueError, match="MINIDIFFUSION_DATA must be a folder that exists, got .*typo"):
        data.load("mnist")


def test_every_source_has_two_mirrors_and_a_sha256_for_each_file():
    for source in downloads.SOURCES.values():
        assert len(set(source.mirrors)) >= 2
        assert all(mirror.startswith("http") and mirror.endswith("/") for mirror in source.mirrors)
        assert all(len(bytes.fromhex(sha256)) == 32 for sha256 in source.files.values())


def test_a_mirror_that_never_ends_is_left(mirrors, cache, monkeypatch):
    monkeypatch.setattr(downloads, "LIMIT", 10**6)
    monkeypatch.setattr(downloads, "SECONDS", 1.0)
    bomb = gzip.compress(bytes(2**26))

    class Endless(Handler):
        def do_GET(self):
            self.server.asked.append(self.path)
            if "/hesitates/" in self.path:
                self.wfile.write(b"HTTP/1.0 200 OK\r\nX-Name: ")
                return self.drip(b"x", 0.1)
            self.send_response(200)
            if "/zipped/" in self.path:
                self.send_header("Content-Encoding", "gzip")
                self.end_headers()
                return self.wfile.write(bomb)
            self.end_headers()
            self.drip(*((b"x", 0.1) if "/drips/" in self.path else (bytes(2**16), 0.0)))

        def drip(self, piece, wait):
            try:
                while True:
                    self.wfile.write(piece)
                    time.sleep(wait)
            except OSError:  # we hung up
                pass

    with Server() as server:
        server.RequestHandlerClass = Endless
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        mirrors(*(server.address + way for way in ("drips/", "hesitates/", "floods/", "zipped/")))
        with pytest.raises(ConnectionError) as error:
            downloads.fetch("mnist", IMAGES)
        server.shutdown()
    reasons = [part.split(")")[0] for part in str(error.value).split("(")[1:5]]
    assert reasons == ["RequestException"] * 3 + ["its sha256 differs"]
    assert kept(cache) == {}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes and devices with names")
@pytest.mark.parametrize("where", ["own", "cache"])
@pytest.mark.parametrize("make", ["pipe", "device", "huge"])
def test_a_file_that_may_never_end_is_not_read(own, cache, mirrors, closed, make, where):
    mirrors(closed)
    place = (own if where == "own" else cache) / IMAGES
    place.parent.mkdir(parents=True, exist_ok=True)
    if make == "pipe":
        os.mkfifo(place)
    elif make == "device":
        place.symlink_to("/dev/zero")
    else:
        with place.open("wb") as file:
            file.truncate(downloads.LIMIT + 1)  # empty on the disk
    with pytest.raises(ValueError, match=f"{IMAGES}: no file of at most .* bytes"):
        downloads.fetch("mnist", IMAGES)
