"""Servers on this machine: ordinary ones that answer like real services, and one that follows a script of bad manners."""

import base64
import contextlib
import io
import json
import socket
import threading
import time
from dataclasses import dataclass, field

import numpy as np
from PIL import Image


@contextlib.contextmanager
def served(app, port=0):
    """Serve an ASGI application on a port, a free one unless it is named; yields its address."""
    import uvicorn

    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    # With its protocol named, or the server would not send small answers at once but after 40 milliseconds.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()


def pixels_of(data):
    """What a service decodes from the bytes of a picture file."""
    picture = np.asarray(Image.open(io.BytesIO(data)))
    return picture if picture.ndim == 3 else picture[:, :, None]


def classifier_app(scores, names, seen=None, top=5):  # noqa: C901 - one route for each style
    """A service with a model behind it, in every style that is common.

    Args:
        scores: From pixels (height, width, channels), or any float array, to a list of scores.
        names: Its class names, in the order of the scores.
        seen: A list to which every picture is added, or None.
        top: How many classes are named, where classes are named.
    """
    from fastapi import FastAPI, Request, Response, UploadFile

    app = FastAPI()
    shape = [-1, 1, 8, 8]

    def ask(pixels):
        if seen is not None:
            seen.append(np.asarray(pixels))
        return [float(score) for score in scores(np.asarray(pixels))]

    def labelled(found):
        powers = np.exp(np.array(found) - max(found))
        chances = powers / powers.sum()
        best = np.argsort(-chances, kind="stable")[:top]
        return [{"label": names[place], "score": float(chances[place])} for place in best]

    def said(value):
        return Response(json.dumps(value), media_type="application/json")  # NaN included, as some servers do

    @app.get("/v2/models/digits")
    def metadata():
        return {
            "name": "digits",
            "versions": ["1"],
            "platform": "onnxruntime_onnx",
            "inputs": [{"name": "images", "datatype": "FP32", "shape": shape}],
            "outputs": [{"name": "scores", "datatype": "FP32", "shape": [-1, len(names)]}],
        }

    @app.post("/v2/models/digits/infer")
    async def infer(request: Request):
        (given,) = (await request.json())["inputs"]
        values = np.array(given["data"], np.float32).reshape(given["shape"])
        found = ask(values[0])
        output = {"name": "scores", "datatype": "FP32", "shape": [1, len(found)], "data": found}
        return said({"model_name": "digits", "outputs": [output]})

    @app.post("/models/acme/digits")
    async def hugging_face(request: Request):
        return said(labelled(ask(pixels_of(await request.body()))))

    @app.post("/predict/json")
    async def by_json(request: Request):
        value = await request.json()
        picture = base64.b64decode(value["image"].rpartition(",")[2])
        rows = labelled(ask(pixels_of(picture)))
        return said({"predictions": [{"class": row["label"], "confidence": row["score"]} for row in rows]})

    @app.post("/predict/form")
    async def by_form(image: UploadFile):
        best = labelled(ask(pixels_of(await image.read())))[0]
        return {"label": best["label"]}

    @app.post("/predict/numbers")
    async def by_numbers(request: Request):
        (instance,) = (await request.json())["instances"]
        return said({"predictions": [ask(np.array(instance, np.uint8))]})

    return app


@dataclass
class Rude:
    """A server that answers with bytes of its script, whatever is asked.

    Attributes:
        script: Called with (number of the request, head, body, connection); returns the bytes of the answer, or
            None after it has done something else with the connection.
    """

    script: object
    heads: list = field(default_factory=list)
    bodies: list = field(default_factory=list)

    @contextlib.contextmanager
    def served(self, context=None):
        listening = socket.create_server(("127.0.0.1", 0))
        stopping = threading.Event()
        lock = threading.Lock()

        def handle(connection):
            with contextlib.suppress(OSError, ValueError), connection:
                connection.settimeout(20)
                if context is not None:
                    connection = context.wrap_socket(connection, server_side=True)
                data = b""
                while b"\r\n\r\n" not in data:
                    chunk = connection.recv(65536)
                    if not chunk:
                        return
                    data += chunk
                head, _, body = data.partition(b"\r\n\r\n")
                length = next(
                    (
                        int(line.split(b":")[1])
                        for line in head.split(b"\r\n")
                        if line.lower().startswith(b"content-length")
                    ),
                    0,
                )
                while len(body) < length:
                    body += connection.recv(65536)
                with lock:
                    number = len(self.heads)
                    self.heads.append(head)
                    self.bodies.append(body)
                answer = self.script(number, head, body, connection)
                if answer is not None:
                    connection.sendall(answer)

        def accept():
            while not stopping.is_set():
                with contextlib.suppress(OSError):
                    connection, _ = listening.accept()
                    threading.Thread(target=handle, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        scheme = "http" if context is None else "https"
        try:
            yield f"{scheme}://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            stopping.set()
            with contextlib.suppress(OSError):
                socket.create_connection(listening.getsockname(), 1).close()
            thread.join(5)
            listening.close()


def answer(value=None, *, status=200, kind="application/json", body=None, headers=()):
    """The bytes of a response that ends its connection."""
    content = json.dumps(value).encode() if body is None else body
    lines = [
        f"HTTP/1.1 {status} X",
        f"Content-Type: {kind}",
        f"Content-Length: {len(content)}",
        "Connection: close",
        *(f"{name}: {text}" for name, text in headers),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content
