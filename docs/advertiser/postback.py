"""Reports sales by signed postbacks. Python 3.9 or later; nothing else to install.

Set POSTBACK_URL, POSTBACK_KEY and CLICK_ID, then run: python3 postback.py
"""

import base64, hmac, json, os, sys, time, uuid
from http.client import HTTPException
from urllib.parse import quote
from urllib.request import HTTPErrorProcessor, Request, build_opener


def signed_query(parameters, key, now):
    """What follows the ? of a GET. `now` is Unix time in whole seconds."""
    signed = {**parameters, "signed_at": now}
    pairs = [f"{quote(name, safe='')}={quote(str(value), safe='')}" for name, value in signed.items()]
    # Whole pairs are sorted, not names: sub1=x comes before sub=x.
    canonical = "&".join(sorted(pairs))
    return f"{canonical}&signature={digest(key, canonical.encode()).hex()}"


def signed_headers(body, key, id, now):
    """The headers of a POST of `body`, which is bytes. A message that is sent again keeps its `id`."""
    signature = base64.b64encode(digest(key, f"{id}.{now}.".encode() + body)).decode()
    return {
        "Content-Type": "application/json",
        "webhook-id": id,
        "webhook-timestamp": str(now),
        "webhook-signature": f"v1,{signature}",
    }


def digest(key, text):
    return hmac.digest(base64.b64decode(key.removeprefix("whsec_")), text, "sha256")


def send(sign):
    """Sends a request, again if that can help, and returns whether it was accepted."""
    for pause in (1, 2, 4, 8, None):
        # Signed anew each time, since a signature is good for five minutes only.
        request = sign(int(time.time()))
        try:
            with build_opener(EveryStatus).open(request, timeout=10) as answer:
                retry_after = answer.headers.get("Retry-After", "")
                status, text = answer.status, answer.read().decode(errors="replace")
        except (OSError, HTTPException) as failure:
            status, text, retry_after = 0, str(failure), ""
        if pause is None or not (status in (0, 429) or status >= 500):
            print(request.get_method(), status or "no answer:", text)
            return 200 <= status < 300
        time.sleep(min(int(retry_after), 300) if retry_after.isdecimal() else pause)


class EveryStatus(HTTPErrorProcessor):
    """A refusal is an answer here, not an exception."""

    def http_response(self, request, response):
        return response

    https_response = http_response


def main():
    url, key, click_id = (os.environ[name] for name in ("POSTBACK_URL", "POSTBACK_KEY", "CLICK_ID"))
    # The amount is a text, or a Decimal made into one. A float is not exact.
    sale = {"click_id": click_id, "event": "sale", "amount": "99.95", "currency": "EUR"}

    first = {**sale, "transaction_id": "order-1001"}
    by_get = send(lambda now: Request(f"{url}?{signed_query(first, key, now)}"))

    body, id = json.dumps({**sale, "transaction_id": "order-1002"}).encode(), f"msg_{uuid.uuid4()}"
    by_post = send(lambda now: Request(url, body, signed_headers(body, key, id, now)))
    sys.exit(0 if by_get and by_post else 1)


if __name__ == "__main__":
    main()
