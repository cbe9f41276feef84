"""A bot behind a firewall that hears of events by webhook, written as such bots are.

It listens on this machine alone, starts the agent as a child, learns its public URL from
the agent's log and local API, registers it at the cloud service in the environment
variable CLOUD, and answers what is posted there. A thread watches the agent and starts it
again when it ends. The arguments are those of the agent, behind "ngrok http PORT". Every
line of standard output is a JSON object that says what happened; the bot ends with its
standard input.
"""

import json
import os
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def tell(**what):
    print(json.dumps(what), flush=True)


def multipart(fields, boundary="a-boundary-of-the-bot"):
    """Packs (name, type, content) triples the way chat services want their answers."""
    body = b""
    for name, kind, content in fields:
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'.encode()
        if kind != "text/plain":
            body += f'; filename="{name}"'.encode()
        body += f"\r\nContent-Type: {kind}\r\n\r\n".encode() + content + b"\r\n"
    return f"multipart/form-data; boundary={boundary}", body + f"--{boundary}--\r\n".encode()


# Every byte there is, long enough for several packets.
REPORT = bytes(range(256)) * 1024


class Bot(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, kind, body):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        commands = {"/status": b"all is well", "/hello": b"hello " + event["person"].encode()}
        self.answer(*multipart([("text", "text/plain", commands[event["text"]]), ("report.bin", "application/octet-stream", REPORT)]))

    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        self.answer("text/plain", f"signed in with {query['code'][0]} for {query['state'][0]}".encode())

    def log_message(self, *_):
        pass


def ask(url, body=None):
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode() if body is not None else None, headers)
    with urllib.request.urlopen(request, timeout=20) as response:
        return json.load(response)


class Tunnel(threading.Thread):
    """Starts the agent, watches it, and starts it again."""

    def __init__(self, port, arguments):
        super().__init__(daemon=True)
        self.command = ["ngrok", "http", str(port), "-log=stdout", "-log-format=json", "-log-level=info", *arguments]

    def run(self):
        while True:
            with subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True) as agent:
                tell(agent=agent.pid)
                try:
                    self.follow(agent)
                except (OSError, ValueError, KeyError) as trouble:
                    tell(trouble=str(trouble))
                    agent.kill()
            tell(ended=agent.returncode)

    def follow(self, agent):
        address, session, registered = None, False, False
        for line in agent.stdout:
            said = json.loads(line)
            if said.get("obj") == "web" and said["msg"] == "starting web service":
                address = said["addr"]
            if said.get("obj") == "csess" and said["msg"] == "client session established":
                session = True
            if address and session and not registered:
                registered = self.register(address)

    def register(self, address):
        tunnels = ask(f"http://{address}/api/tunnels")["tunnels"]
        if not tunnels:  # the endpoint's line is still to come
            return False
        secure = [t for t in tunnels if t["proto"] == "https"]
        url = (secure or tunnels)[0]["public_url"]
        hook = ask(os.environ["CLOUD"] + "/webhooks", {"name": "bot", "targetUrl": url, "resource": "messages", "event": "created"})
        tell(url=url, hook=hook["id"])
        return True


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bot)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Tunnel(server.server_address[1], sys.argv[1:]).start()
    sys.stdin.read()


main()
