"""A mail server for a test: accepts mails with STARTTLS and a password, and reports each as a line of JSON before it answers.

Arguments: the port; the certificate and its key, PEM; the user who may send, and what the password begins with.

It obeys commands on its standard input, and reports so: `take` emails; `refuse` them for now; `reject` them for good; `hold` them,
that is, take them and never answer; `drop` the connection once it has all of an email. It ends when its standard input ends. It does
not support SMTPUTF8.
"""

import asyncio
import base64
import json
import logging
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


def say(**line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


class Hooks:
    """The handling of emails."""

    def __init__(self):
        self.mode = "take"
        self.refused = 0

    def refuse(self, answer):
        self.refused += 1
        say(said="refused")
        return answer

    # In turns: before the email is received, as by greylisting, and after all of it was received.
    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.mode == "refuse" and self.refused % 2 == 0:
            return self.refuse("450 4.2.0 come back later")
        if self.mode == "reject":
            return self.refuse("550 5.1.1 there is no such mailbox")
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.mode == "refuse":
            return self.refuse("451 4.3.0 something is wrong here")
        mode = self.mode
        answered = mode not in ("hold", "drop")
        say(
            said="mail",
            by=session.auth_data,
            sender=envelope.mail_from,
            to=envelope.rcpt_tos,
            answered=answered,
            content=base64.b64encode(envelope.original_content).decode(),
        )
        if mode == "drop":
            server.transport.abort()
        if not answered:
            await asyncio.Event().wait()
        return "250 2.0.0 OK"


async def main(port, certificate, key, user, secret):
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)

    def authenticate(server, session, envelope, mechanism, data):
        name, password = data.login.decode(), data.password.decode()
        right = name == user and password.startswith(secret)
        return AuthResult(success=right, handled=False, auth_data=password.removeprefix(secret))

    hooks = Hooks()
    loop = asyncio.get_running_loop()

    def conversation():
        return SMTP(
            hooks,
            hostname="mail.test",
            tls_context=tls,
            require_starttls=True,
            auth_required=True,
            authenticator=authenticate,
            loop=loop,
        )

    # The test keeps the port reserved, also while this server is down.
    await loop.create_server(conversation, "127.0.0.1", int(port), reuse_port=True)
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    say(said="ready")
    while order := (await orders.readline()).decode().strip():
        hooks.mode = order
        say(said="obeyed")


# It warns of its own deprecations, mail by mail.
logging.getLogger("mail.log").setLevel(logging.ERROR)
asyncio.run(main(*sys.argv[1:]))
