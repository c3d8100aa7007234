"""An object store on loopback for the OBS SDK: moto's S3 server, with faults on request."""

from __future__ import annotations

import logging
import socket
import threading
import uuid

import boto3
from moto.server import create_backend_app
from werkzeug.serving import make_server


class ObsServer:
    """A store with one bucket of a name of its own.

    every: each so-many-th request is answered with 503.
    cut: [method, text, count]. This many requests with this method and this text in their path
        break off in the middle of the body.
    """

    def __init__(self):
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.moto = create_backend_app("s3")
        self.server = make_server("127.0.0.1", 0, self.answer, threaded=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.every, self.cut, self.requests, self.lock = 0, None, [], threading.Lock()
        self.bucket = f"roads-{uuid.uuid4().hex[:8]}"
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        self.environment = {
            "OBS_ENDPOINT": self.endpoint,
            "OBS_ACCESS_KEY_ID": "key",
            "OBS_SECRET_ACCESS_KEY": "secret",
        }
        self.s3 = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id="key",
            aws_secret_access_key="secret",
            region_name="us-east-1",
        )
        self.s3.create_bucket(Bucket=self.bucket)

    def url(self, key=""):
        return f"obs://{self.bucket}/{key}"

    def put(self, key, content):
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=content)

    def put_folder(self, key, folder):
        for file in folder.rglob("*"):
            if file.is_file():
                self.put(f"{key}/{file.relative_to(folder)}", file.read_bytes())

    def contents(self, prefix=""):
        """{key: bytes} of everything below."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return {
            each["Key"]: self.s3.get_object(Bucket=self.bucket, Key=each["Key"])["Body"].read()
            for page in pages
            for each in page.get("Contents", [])
        }

    def close(self):
        self.server.shutdown()

    def answer(self, environ, start_response):
        with self.lock:
            ours = "boto" not in environ.get("HTTP_USER_AGENT", "").lower()
            method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
            if ours:
                self.requests.append((method, path))
            fails = ours and self.every and len(self.requests) % self.every == 0
            cuts = (
                ours
                and self.cut
                and method == self.cut[0]
                and self.cut[1] in path
                and self.cut[2] > 0
            )
            if cuts:
                self.cut[2] -= 1
        if fails:
            start_response("503 Service Unavailable", [("Content-Length", "0")])
            return [b""]
        if cuts and method == "PUT":
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0) // 2)
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            return []
        body = self.moto(environ, start_response)
        return self.half(b"".join(body), environ["werkzeug.socket"]) if cuts else body

    @staticmethod
    def half(body, connection):
        yield body[: len(body) // 2]
        connection.shutdown(socket.SHUT_RDWR)
